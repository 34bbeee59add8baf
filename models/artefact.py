"""A trained ranker on disk: XGBoost's own format beside a JSON page about it. Never a pickle."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import xgboost

from recommender.errors import DataError
from recommender.features import FEATURES_HASH
from recommender.models.boosted import BoostedRanker
from recommender.vocabulary import Json

SHIPPED = Path(__file__).parent / "shipped" / "ranker"


@dataclass(frozen=True)
class RankerCard:
    """What a ranker was trained on and how good it was on held-out workloads."""

    features_hash: str
    data_digest: str
    rows: int
    workloads: int
    objective: str
    exclude_models: tuple[str, ...] = ()
    trained_at: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, Json] = field(default_factory=dict)


def save_ranker(ranker: BoostedRanker, card: RankerCard, stem: Path) -> None:
    """Write `stem.ubj` and `stem.json`, each complete or not at all; the page comes last.

    Raises:
        DataError: they cannot be written.
    """
    partial = stem.with_name(f".{stem.name}-{os.getpid()}.ubj")
    page = partial.with_suffix(".json")
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        ranker.booster_.save_model(partial)
        page.write_text(json.dumps(asdict(card), indent=1, sort_keys=True) + "\n")
        partial.replace(stem.with_suffix(".ubj"))
        page.replace(stem.with_suffix(".json"))
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
        values = json.loads(stem.with_suffix(".json").read_text())
        card = RankerCard(**{**values, "exclude_models": tuple(values["exclude_models"])})
    except (OSError, ValueError, TypeError, KeyError) as exc:
        raise DataError(f"no ranker at {stem} ({exc}); run: recommender train") from exc
    if card.features_hash != FEATURES_HASH:
        raise DataError(
            f"the ranker {stem} was trained on features {card.features_hash}, but this version has "
            f"{FEATURES_HASH}; run: recommender train"
        )
    ranker = BoostedRanker(objective=card.objective)  # type: ignore[arg-type]
    ranker.booster_ = xgboost.Booster()
    try:
        ranker.booster_.load_model(stem.with_suffix(".ubj"))
    except (xgboost.core.XGBoostError, OSError) as exc:
        raise DataError(f"the ranker {stem} is damaged; run: recommender train") from exc
    return ranker, card
