"""What several studies need: rankers that train with one thread, usable rows, percentages in words."""

from __future__ import annotations

from typing import Any

import numpy as np

from recommender.models.crossval import KS, ONE_TREE_A_ROUND, RANKERS
from recommender.models.training import TrainingSet
from recommender.vocabulary import Json

AT_1 = KS.index(1)


def said(row: dict[str, Json], column: str) -> str:
    """A percentage with its interval."""
    return f"{row[column]:.1f} % ({row['low %']:.1f} to {row['high %']:.1f})"


def ranker_of(name: str, seed: int) -> Any:
    """A ranker that trains with one thread, so that figures do not depend on the number of jobs."""
    ranker = RANKERS[name](seed)
    threads = [
        p for p in ranker.get_params() if p.rpartition("__")[2] == "threads"
    ]  # its own, or its ranker's
    return ranker.set_params(**dict.fromkeys(threads, 1))


def light_ranker(seed: int) -> Any:
    """XGBoost with one tree a round, a third of the time: for studies that compare it with itself only."""
    return ranker_of("xgboost", seed).set_params(**ONE_TREE_A_ROUND)


def usable(rows: TrainingSet) -> TrainingSet:
    """Rows of workloads of which something ran."""
    good = [g for g in np.unique(rows.groups) if np.isfinite(rows.seconds[rows.groups == g]).any()]
    return rows.only(np.isin(rows.groups, good))
