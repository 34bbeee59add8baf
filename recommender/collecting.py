"""`recommender collect`: measure transfers between models, which is what the ranker learns from.

For a kernel, the donors are those of all models but the ones that it occurs in. Where there are more
candidates than are to be measured, a spread over the order of shape distance and donor quality is
taken, so that good and bad ones are seen. Measured ones are skipped; an interrupted run goes on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from recommender.candidates import fallback_candidates, transfer_candidates
from recommender.datasets.layers import Data
from recommender.harness.timing import TimingRule
from recommender.progress import Reporter
from recommender.session import PreparedModel
from recommender.vocabulary import Candidate, Kernel
from recommender.workspace import Workspace

_LOSER_RATIO = 3.0


def collect(
    models: Sequence[PreparedModel], per_kernel: int, workspace: Workspace, reporter: Reporter
) -> int:
    """Measure up to `per_kernel` candidates of every kernel. Return how many were measured."""
    for model in models:
        workspace.register(model)
    store, machine = workspace.store, workspace.machine
    data = Data(tuple(store.measurements()), tuple(store.kernels()), store.workloads(), store.hardware())
    origins: dict[str, set[str]] = defaultdict(set)
    for use in data.kernels:
        origins[use.workload].add(use.model)
    measured = 0
    with reporter.steps("collecting", sum(len(model.kernels) for model in models)) as steps:
        for model in models:
            for kernel in model.kernels:
                donors = data.donors(machine.hardware, machine.pipeline, origins[kernel.workload.key])
                transfers = transfer_candidates(kernel.workload, donors)
                own = fallback_candidates(kernel.workload, machine.hardware)
                chosen = select(transfers, own, per_kernel, _generator(kernel, workspace.seed))
                measured += _measure(model, kernel, chosen, workspace)
                steps.advance(f"{model.name} {kernel.name}")
    return measured


def _generator(kernel: Kernel, seed: int) -> np.random.Generator:
    """Draws the same for the same kernel, whatever was measured before it."""
    return np.random.default_rng([seed, int(kernel.workload.key[:8], 16)])


def select(
    transfers: Sequence[Candidate], own: Sequence[Candidate], per_kernel: int, rng: np.random.Generator
) -> list[Candidate]:
    """The first of the workload's own, the nearest quarter, and a random spread of both kinds."""
    n_own = min(len(own), max(per_kernel // 8, 2))
    nearest = list(transfers[: per_kernel // 4])
    n_spread = max(per_kernel - len(nearest) - n_own, 0)
    return [
        *own[:1],
        *_draw(own[1:], n_own - 1, rng),
        *nearest,
        *_draw(transfers[len(nearest) :], n_spread, rng),
    ]


def _draw(candidates: Sequence[Candidate], n: int, rng: np.random.Generator) -> list[Candidate]:
    if not candidates:
        return []
    rows = rng.choice(len(candidates), min(n, len(candidates)), replace=False)
    return [candidates[row] for row in sorted(rows)]


def _measure(model: PreparedModel, kernel: Kernel, chosen: Sequence[Candidate], workspace: Workspace) -> int:
    kept = workspace.kept(kernel.workload.key)
    done = {m.schedule.id for m in kept}
    todo = [candidate for candidate in chosen if candidate.schedule.id not in done]
    if not todo:
        return 0
    best = min((m.outcome.median_seconds for m in kept), default=float("inf"))
    task = model.task(kernel)
    workspace.measurer.build_all(task, [candidate.schedule for candidate in todo])
    for candidate in todo:
        rule = TimingRule(loser_seconds=_LOSER_RATIO * best)
        outcome = workspace.measurer.measure(task, candidate.schedule, rule)
        best = min(best, outcome.median_seconds)
        workspace.keep(candidate, outcome, model.name)
    workspace.measurer.unload(task)
    return len(todo)
