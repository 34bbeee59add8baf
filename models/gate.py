"""Whether a new ranker may replace the one in use: both rank held-out workloads of the user's machine.

A workload that was measured on several machines is held out on all of them, and judged on one: what is fast
elsewhere says nothing of the machine that a ranker is trained for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np

from recommender.models import metrics
from recommender.models.contract import Ranker
from recommender.models.training import TrainingSet

HELD_OUT_SHARE = 0.25
MIN_CANDIDATES = 3
"""Workloads with fewer measured candidates cannot tell rankers apart."""
SLACK = 0.005
"""The new ranker's mean regret may be higher by this much before it counts as worse."""


@dataclass(frozen=True)
class Verdict:
    """Mean regret of a new ranker, and of the one in use, over workloads of one machine (its hardware id).

    None where there were no workloads to judge by, or no ranker in use that can be read.
    """

    machine: str
    workloads: int
    new_regret_at_1: float | None = None
    new_regret_at_5: float | None = None
    old_regret_at_1: float | None = None

    @property
    def is_no_worse(self) -> bool:
        """Whether the new ranker may replace the old one; without evidence it may."""
        if self.old_regret_at_1 is None or self.new_regret_at_1 is None:
            return True
        return self.new_regret_at_1 <= self.old_regret_at_1 + SLACK

    def __str__(self) -> str:
        """The verdict in words."""
        if self.new_regret_at_1 is None:
            return "nothing to compare by: too few measured workloads"
        old = self.old_regret_at_1
        return (
            f"regret@1 on {self.workloads} held-out kernels of {self.machine}: "
            f"{100 * self.new_regret_at_1:.1f} % with the new ranker, "
            + (
                "and no ranker in use can be read"
                if old is None
                else f"{100 * old:.1f} % with the one in use"
            )
        )


def judged_groups(rows: TrainingSet, machine: str) -> dict[str, int]:
    """The group of each workload of one machine that has enough candidates there, and one that ran."""
    found: dict[str, int] = {}
    for group, (key, where) in enumerate(zip(rows.workloads, rows.machines, strict=True)):
        seconds = rows.seconds[rows.groups == group]
        if where == machine and len(seconds) >= MIN_CANDIDATES and np.isfinite(seconds).any():
            found[key] = group
    return found


def judged_machine(rows: TrainingSet, nearest_first: Iterable[str]) -> str | None:
    """The first machine with workloads to hold out, and others to learn from; None if none has."""
    return next((machine for machine in nearest_first if len(judged_groups(rows, machine)) > 1), None)


def held_out_workloads(rows: TrainingSet, machine: str, own: Collection[str], seed: int) -> set[str]:
    """A quarter of a machine's workloads that can be judged by: of the user's own, if there are two."""
    judged = judged_groups(rows, machine)
    mine = sorted(judged.keys() & set(own))
    pool = mine if len(mine) > 1 else sorted(judged)
    if len(pool) < 2:
        return set()
    n = max(1, round(HELD_OUT_SHARE * len(pool)))
    return {str(key) for key in np.random.default_rng(seed).choice(pool, n, replace=False)}


def compare_rankers(
    old: Ranker | None, new: Ranker, rows: TrainingSet, machine: str, workloads: Collection[str]
) -> Verdict:
    """Both rankers on the same candidates of the same workloads on one machine."""
    groups = [group for key, group in judged_groups(rows, machine).items() if key in workloads]
    if not groups:
        return Verdict(machine, 0)
    return Verdict(
        machine,
        len(groups),
        mean_regret(new, rows, groups, 1),
        mean_regret(new, rows, groups, 5),
        None if old is None else mean_regret(old, rows, groups, 1),
    )


def mean_regret(ranker: Ranker, rows: TrainingSet, groups: Collection[int], k: int) -> float:
    """Mean regret@k over groups; where all of the first k failed it counts as 64 times too slow."""
    regrets = []
    for group in groups:
        mask = rows.groups == group
        regrets.append(metrics.capped_regret(ranker.predict(rows.X[mask]), rows.seconds[mask], k))
    return float(np.mean(regrets))
