"""Whether a new ranker may replace the one in use: both rank held-out workloads of the user's data."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from recommender.models import metrics
from recommender.models.contract import Ranker, Vector
from recommender.models.training import TrainingSet

HELD_OUT_SHARE = 0.25
MIN_CANDIDATES = 3
"""Workloads with fewer measured candidates cannot tell rankers apart."""
SLACK = 0.005
"""The new ranker's mean regret may be higher by this much before it counts as worse."""


@dataclass(frozen=True)
class Verdict:
    """Mean regret@1 of both rankers over held-out workloads; None where there were none to judge by."""

    workloads: int
    old_regret: float | None
    new_regret: float | None

    @property
    def is_no_worse(self) -> bool:
        """Whether the new ranker may replace the old one; without evidence it may."""
        if self.old_regret is None or self.new_regret is None:
            return True
        return self.new_regret <= self.old_regret + SLACK

    def __str__(self) -> str:
        """The verdict in words."""
        if self.old_regret is None or self.new_regret is None:
            return "nothing to compare: too few measured workloads, or no ranker in use that can be read"
        return (
            f"regret@1 on {self.workloads} held-out kernels: {100 * self.new_regret:.1f} % "
            f"with the new ranker, {100 * self.old_regret:.1f} % with the one in use"
        )


def held_out_workloads(rows: TrainingSet, own: Collection[str], seed: int) -> set[str]:
    """A quarter of the user's workloads that can be judged by; of all workloads if the user has none."""
    judged = [key for group, key in enumerate(rows.workloads) if _seconds(rows, group) is not None]
    pool = sorted({key for key in judged if key in own} or set(judged))
    if len(pool) < 2:
        return set()
    n = max(1, round(HELD_OUT_SHARE * len(pool)))
    return {str(key) for key in np.random.default_rng(seed).choice(pool, n, replace=False)}


def compare_rankers(old: Ranker, new: Ranker, rows: TrainingSet, workloads: Collection[str]) -> Verdict:
    """Both rankers on the same candidates of the same workloads."""
    groups = [g for g, key in enumerate(rows.workloads) if key in workloads and _seconds(rows, g) is not None]
    if not groups:
        return Verdict(0, None, None)
    return Verdict(len(groups), mean_regret(old, rows, groups), mean_regret(new, rows, groups))


def mean_regret(ranker: Ranker, rows: TrainingSet, groups: Collection[int]) -> float:
    """Mean regret@1 over workloads; a pick that failed counts as 64 times too slow."""
    regrets = []
    for group in groups:
        mask = rows.groups == group
        regrets.append(metrics.capped_regret(ranker.predict(rows.X[mask]), rows.seconds[mask], 1))
    return float(np.mean(regrets))


def _seconds(rows: TrainingSet, group: int) -> Vector | None:
    """Seconds of a workload's candidates if there are enough to judge by, and one that ran."""
    seconds = rows.seconds[rows.groups == group]
    return seconds if len(seconds) >= MIN_CANDIDATES and np.isfinite(seconds).any() else None
