"""A trained ranker on disk: XGBoost's own format beside a JSON page about it. Never a pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import xgboost

from recommender.errors import DataError
from recommender.features import FEATURE_NAMES, FEATURES_HASH
from recommender.models.boosted import OBJECTIVES, BoostedRanker
from recommender.vocabulary import Json

SHIPPED = Path(__file__).parent / "shipped" / "ranker"


@dataclass(frozen=True)
class RankerCard:
    """What a ranker was trained on and how good it was on held-out workloads.

    `models` are those that its outcomes owe something to, `hardware` is the id of the machine that it is for,
    and `seed` what its trees were drawn with; None, in older pages, is unknown. `measured_until` is when the
    newest outcome was measured, in seconds since 1970; 0 in older pages. `settings` are those of the trees.
    """

    features_hash: str
    data_digest: str
    rows: int
    workloads: int
    objective: str
    settings: dict[str, Json] = field(default_factory=dict)
    hardware: str | None = None
    seed: int | None = None
    exclude_models: tuple[str, ...] = ()
    models: tuple[str, ...] | None = None
    measured_until: float = 0.0
    trained_at: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, Json] = field(default_factory=dict)

    def saw(self, models: Collection[str]) -> bool:
        """Whether the ranker may have learned from one of these models."""
        return bool(models) and (self.models is None or not set(models).isdisjoint(self.models))

    def is_of_same_training(self, other: RankerCard) -> bool:
        """Whether both rankers were made of the same outcomes in the same way, and so are the same."""
        return replace(self, metrics={}, trained_at="") == replace(other, metrics={}, trained_at="")

    @classmethod
    def from_json(cls, value: dict[str, Json]) -> RankerCard:
        """The page that `save_ranker` wrote."""
        given = {key: tuple(value[key]) for key in ("exclude_models", "models") if value.get(key) is not None}
        return cls(**{**value, **given})


def ranker_files(stem: Path) -> tuple[Path, Path]:
    """The model and the page of a ranker; a name may have dots in it."""
    return stem.with_name(f"{stem.name}.ubj"), stem.with_name(f"{stem.name}.json")


def save_ranker(ranker: BoostedRanker, card: RankerCard, stem: Path) -> None:
    """Write `stem.ubj` and `stem.json`, each complete or not at all; the page comes last.

    Raises:
        DataError: they cannot be written.
    """
    partial = stem.with_name(f".{stem.name}-{os.getpid()}.ubj")
    page = stem.with_name(f".{stem.name}-{os.getpid()}.json")
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        ranker.booster_.save_model(partial)
        page.write_text(json.dumps(asdict(card), indent=1, sort_keys=True) + "\n")
        partial.replace(ranker_files(stem)[0])
        page.replace(ranker_files(stem)[1])
    except (OSError, xgboost.core.XGBoostError) as exc:
        partial.unlink(missing_ok=True)
        page.unlink(missing_ok=True)
        raise DataError(f"the ranker {stem} cannot be written; free some space, or make it writable") from exc


def load_ranker(stem: Path) -> tuple[BoostedRanker, RankerCard]:
    """Read what `save_ranker` wrote.

    Raises:
        DataError: missing, damaged, or trained on other features; both hashes are named.
    """
    try:
        card = RankerCard.from_json(json.loads(ranker_files(stem)[1].read_text()))
    except (OSError, ValueError, TypeError, AttributeError) as exc:
        raise DataError(f"no ranker at {stem} ({exc}); run: recommender train") from exc
    if card.features_hash != FEATURES_HASH:
        raise DataError(
            f"the ranker {stem} was trained on features {card.features_hash}, but this version has "
            f"{FEATURES_HASH}; run: recommender train"
        )
    if card.objective not in OBJECTIVES:
        raise DataError(
            f"the ranker {stem} has objective {card.objective!r}, but this version knows "
            f"{', '.join(OBJECTIVES)}; run: recommender train"
        )
    ranker = BoostedRanker(objective=card.objective)  # type: ignore[arg-type]
    ranker.booster_ = xgboost.Booster()
    try:
        ranker.booster_.load_model(ranker_files(stem)[0])
    except (xgboost.core.XGBoostError, OSError) as exc:
        raise DataError(f"the ranker {stem} is damaged; run: recommender train") from exc
    if ranker.booster_.num_features() != len(FEATURE_NAMES):
        raise DataError(
            f"the ranker {stem} has {ranker.booster_.num_features()} features, but this version has "
            f"{len(FEATURE_NAMES)}; run: recommender train"
        )
    return ranker, card
