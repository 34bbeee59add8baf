"""Which ranker a run uses: the active one, or one trained without excluded models."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from recommender.compiler.setup import usable_cores
from recommender.datasets.layers import Data
from recommender.errors import DataError
from recommender.features import FEATURES_HASH
from recommender.models.artefact import load_ranker, save_ranker
from recommender.models.boosted import BoostedRanker
from recommender.models.registry import SHIPPED_NAME, active_name, ranker_stem, rankers_folder
from recommender.models.training import train_ranker
from recommender.progress import Reporter
from recommender.session import Machine
from recommender.vocabulary import Hardware, digest

_KEPT = 16


def ranker_without(
    exclude_models: Collection[str],
    data: Data,
    machine: Machine,
    seed: int,
    reporter: Reporter,
    *,
    always_train: bool = False,
) -> BoostedRanker:
    """The active ranker, or else the shipped one, if it never saw the excluded models.

    If both did, one is trained without them, once, and cached. `always_train` is for data that something
    else was left out of.

    Raises:
        DataError: a ranker is damaged or of other features, or there is nothing to train on.
    """
    ready = None if always_train else ready_ranker(exclude_models)
    if ready is not None:
        return ready
    stem = trained_without(exclude_models, data, machine.hardware, machine.pipeline, seed, reporter)
    return load_ranker(stem)[0]


def ready_ranker(exclude_models: Collection[str]) -> BoostedRanker | None:
    """The active ranker, or else the shipped one, if it never saw the excluded models.

    Raises:
        DataError: a ranker is damaged or of other features.
    """
    for name in (active_name(), SHIPPED_NAME):
        ranker, card = load_ranker(ranker_stem(name))
        if not card.saw(exclude_models):
            return ranker
    return None


def trained_without(
    exclude_models: Collection[str],
    data: Data,
    hardware: Hardware,
    pipeline: str,
    seed: int,
    reporter: Reporter,
) -> Path:
    """Train a ranker without models, unless there is one of the same outcomes; where its files are.

    Raises:
        DataError: there is nothing to train on.
    """
    in_data = {use.model for use in data.kernels} & set(exclude_models)
    allowed = data.without_models(in_data)
    learned_from = sorted(
        (m.workload, m.schedule.id, m.hardware, m.outcome.median_seconds) for m in allowed.measurements
    )
    settings = BoostedRanker(seed=seed).get_params()
    name = digest([sorted(in_data), FEATURES_HASH, hardware.id, pipeline, learned_from, settings])
    stem = rankers_folder() / "without" / name
    try:
        load_ranker(stem)
        return stem
    except DataError:
        reporter.say(f"training a ranker without {', '.join(sorted(in_data))} (once; it is cached)")
    # A core is left to what goes on beside: threads that share one wait for each other at every step.
    threads = max(usable_cores() - 1, 1)
    ranker, card = train_ranker(data, hardware, pipeline, exclude_models=in_data, seed=seed, threads=threads)
    save_ranker(ranker, card, stem)
    _forget_old(stem.parent)
    return stem


def _forget_old(folder: Path) -> None:
    """Keep the newest few of the rankers that were trained without a model."""
    by_age = sorted(folder.glob("*.json"), key=lambda page: page.stat().st_mtime)
    for page in by_age[:-_KEPT]:
        page.unlink(missing_ok=True)
        page.with_suffix(".ubj").unlink(missing_ok=True)
