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

from recommender.attempts import Attempts
from recommender.datasets.records import Measurement
from recommender.progress import Reporter
from recommender.session import PreparedModel
from recommender.vocabulary import Candidate, Kernel, Outcome, Schedule
from recommender.workspace import Workspace


@dataclass(frozen=True)
class Drift:
    """What became of one kernel's measurements: old and new median seconds of each, best first before."""

    workload: str
    before_seconds: tuple[float, ...]
    after_seconds: tuple[float, ...]

    @classmethod
    def of(cls, workload: str, again: Sequence[tuple[Outcome, Outcome]]) -> Drift:
        """What became of a kernel whose schedules had and have these outcomes."""
        before, after = zip(*((old.median_seconds, now.median_seconds) for old, now in again), strict=True)
        return cls(workload, before, after)

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

    Raises:
        NothingMeasuredError: there was something to measure, and all of it failed.
    """
    work = {k.workload.key: (model, k) for model in models for k in model.kernels}
    drifts, attempts = [], Attempts(reporter)
    with reporter.steps("measuring again", len(work)) as steps:
        for key, (model, kernel) in work.items():
            with attempts.on(f"{model.name} {kernel.name}"):
                again = _again(model, kernel, per_kernel, workspace, since)
                attempts.outcomes.extend(now for _, now in again)
                if len(again) > 1:
                    drifts.append(Drift.of(key, again))
            steps.advance(f"{model.name} {kernel.name}")
    attempts.count()
    return drifts


def best_measured(kept: Sequence[Measurement], n: int) -> list[Measurement]:
    """The fastest `n` of a kernel that ran, best first."""
    ran = [m for m in kept if m.outcome.ok]
    return sorted(ran, key=lambda m: m.outcome.median_seconds)[:n]


def _again(
    model: PreparedModel, kernel: Kernel, per_kernel: int, workspace: Workspace, since: float
) -> list[tuple[Outcome, Outcome]]:
    """What became of the kernel's best, and of what is among them once others fell behind."""
    key, task = kernel.workload.key, model.task(kernel)
    again: dict[Schedule, tuple[Outcome, Outcome]] = {}

    def left() -> list[Measurement]:
        best = best_measured(workspace.kept(key), per_kernel)
        return [m for m in best if m.measured_at < since and m.schedule not in again]

    while todo := left():
        with workspace.loaded(task):
            outcomes = workspace.measure_all(
                model.name, task, [Candidate(kernel.workload, m.schedule, m.policy) for m in todo]
            )
        again |= {m.schedule: (m.outcome, now) for m, now in zip(todo, outcomes, strict=True)}
    return list(again.values())


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
