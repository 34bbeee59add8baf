"""`recommender remeasure`: the best schedules of each kernel again, side by side, so that luck is corrected.

A search or a collection times thousands of candidates once, one after the other, on a machine whose speed
changes meanwhile: the best of many such times is partly luck (the winner's curse). Here the best few of a
kernel are timed again in turns, and the new times replace the old. What they had drifted by is the noise
of the old ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from recommender.datasets.records import Measurement
from recommender.harness.client import WorkerFailure
from recommender.progress import Reporter
from recommender.session import PreparedModel
from recommender.vocabulary import Candidate, Kernel, Schedule
from recommender.workspace import Workspace

_ROUNDS = 4
"""So often what turns out to be among the best is measured as well."""


@dataclass(frozen=True)
class Drift:
    """What became of one kernel's measurements: old and new median seconds of each, best first before."""

    workload: str
    before_seconds: tuple[float, ...]
    after_seconds: tuple[float, ...]

    @property
    def best_kept(self) -> bool:
        """Whether what was the best before is within 2 % of the best now."""
        return self.after_seconds[0] <= 1.02 * min(self.after_seconds)

    @property
    def spread(self) -> float:
        """Standard deviation of the change between the two in log2, whatever changed all alike."""
        change = np.log2(np.array(self.after_seconds) / np.array(self.before_seconds))
        return float(np.std(change[np.isfinite(change)])) if np.isfinite(change).any() else 0.0


def remeasure(
    models: Sequence[PreparedModel],
    per_kernel: int,
    workspace: Workspace,
    reporter: Reporter,
    since: float,
) -> list[Drift]:
    """Measure again until the `per_kernel` best of every kernel have all been measured since then.

    Those that were best by luck fall behind others, which are then measured too. `since` is in seconds since
    1970, now or the start of a run that was interrupted, which is so gone on with.
    """
    work = {k.workload.key: (model, k) for model in models for k in model.kernels}
    drifts = []
    with reporter.steps("measuring again", len(work)) as steps:
        for model, kernel in work.values():
            try:
                drifts += _again(model, kernel, per_kernel, workspace, since)
            except WorkerFailure as exc:
                reporter.say(f"{model.name} {kernel.name} cannot be measured ({exc})")
            steps.advance(f"{model.name} {kernel.name}")
    return drifts


def best_measured(kept: Sequence[Measurement], n: int) -> list[Measurement]:
    """The fastest `n` of a kernel that ran, best first."""
    ran = [m for m in kept if m.outcome.ok]
    return sorted(ran, key=lambda m: m.outcome.median_seconds)[:n]


def _again(
    model: PreparedModel, kernel: Kernel, per_kernel: int, workspace: Workspace, since: float
) -> list[Drift]:
    key, task = kernel.workload.key, model.task(kernel)
    before: dict[Schedule, float] = {}
    after: dict[Schedule, float] = {}
    for _ in range(_ROUNDS):
        best = best_measured(workspace.kept(key), per_kernel)
        todo = [m for m in best if m.measured_at < since]
        if not todo:
            break
        with workspace.loaded(task):
            outcomes = workspace.measure_all(
                model.name, task, [Candidate(kernel.workload, m.schedule, m.policy) for m in todo]
            )
        before |= {m.schedule: m.outcome.median_seconds for m in todo}
        after |= {m.schedule: o.median_seconds for m, o in zip(todo, outcomes, strict=True)}
    return [Drift(key, tuple(before.values()), tuple(after.values()))] if len(after) > 1 else []


def said(drifts: Sequence[Drift]) -> str:
    """What measuring again showed, in one sentence."""
    if not drifts:
        return "nothing was measured again"
    factor = 2 ** median(d.spread for d in drifts)
    kept = sum(d.best_kept for d in drifts) / len(drifts)
    count = sum(len(d.before_seconds) for d in drifts)
    failed = sum(not math.isfinite(s) for d in drifts for s in d.after_seconds)
    return (
        f"{count} schedules of {len(drifts)} kernels measured again, {failed} failed; a time varies by a "
        f"factor of {factor:.2f} (standard deviation, median kernel), and what was best before is within "
        f"2 % of the best for {100 * kept:.0f} % of the kernels"
    )
