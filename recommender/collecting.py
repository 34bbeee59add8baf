"""`recommender collect`: measure transfers between models, which is what the ranker learns from.

For a kernel, the donors are those of all models but the ones that it occurs in. Where there are more
candidates than are to be measured, a spread over the order of shape distance and donor quality is
taken, so that good and bad ones are seen. Measured ones are skipped; an interrupted run goes on.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recommender.candidates import fallback_candidates, transfer_candidates
from recommender.datasets.layers import Data
from recommender.datasets.records import Measurement
from recommender.datasets.store import Store
from recommender.harness.measurer import Measurer
from recommender.harness.timing import TimingRule
from recommender.progress import Reporter
from recommender.session import Machine, PreparedModel
from recommender.vocabulary import Candidate, Kernel

_LOSER_RATIO = 3.0


@dataclass(frozen=True)
class CollectOptions:
    """`per_kernel` candidates are measured of each kernel, by now and earlier together."""

    per_kernel: int = 40
    seed: int = 0


def collect(
    models: Sequence[PreparedModel],
    machine: Machine,
    store: Store,
    measurer: Measurer,
    options: CollectOptions,
    reporter: Reporter,
) -> int:
    """Measure transfer candidates of every kernel. Return how many were measured."""
    data = Data(tuple(store.measurements()), tuple(store.kernels()), store.workloads())
    origins: dict[str, set[str]] = defaultdict(set)
    for use in data.kernels:
        origins[use.workload].add(use.model)
    work = [(model, kernel) for model in models for kernel in model.kernels]
    measured = 0
    with reporter.steps("collecting", len(work)) as steps:
        for model, kernel in work:
            donors = data.donors(machine.hardware.id, machine.pipeline, origins[kernel.workload.key])
            chosen = select(
                kernel,
                transfer_candidates(kernel.workload, donors),
                fallback_candidates(kernel.workload, machine.hardware),
                options,
            )
            measured += _measure(model, kernel, chosen, machine, store, measurer, options)
            steps.advance(f"{model.name} {kernel.name}")
    return measured


def select(
    kernel: Kernel, transfers: Sequence[Candidate], fallbacks: Sequence[Candidate], options: CollectOptions
) -> list[Candidate]:
    """Which candidates to measure: the nearest few, a random spread of the rest, some fallbacks."""
    rng = np.random.default_rng([options.seed, int(kernel.workload.key[:8], 16)])
    nearest = list(transfers[: options.per_kernel // 4])
    rest = list(transfers[len(nearest) :])
    n_fallbacks = min(len(fallbacks), max(options.per_kernel // 8, 2))
    n_spread = min(max(options.per_kernel - len(nearest) - n_fallbacks, 0), len(rest))
    spread = [rest[i] for i in sorted(rng.choice(len(rest), n_spread, replace=False))] if rest else []
    own = [fallbacks[0]]
    if len(fallbacks) > 1:
        picks = rng.choice(len(fallbacks) - 1, n_fallbacks - 1, replace=False)
        own += [fallbacks[1 + i] for i in sorted(picks)]
    return own + nearest + spread


def _measure(
    model: PreparedModel,
    kernel: Kernel,
    chosen: Sequence[Candidate],
    machine: Machine,
    store: Store,
    measurer: Measurer,
    options: CollectOptions,
) -> int:
    hardware, key = machine.hardware.id, kernel.workload.key
    done = store.measured(key, hardware, machine.pipeline)
    todo = [candidate for candidate in chosen if candidate.schedule.id not in done]
    best = min(
        (m.outcome.median_seconds for m in store.measurements(key) if m.hardware == hardware),
        default=float("inf"),
    )
    task = model.task(kernel)
    for candidate in todo:
        outcome = measurer.measure(task, candidate.schedule, TimingRule(loser_seconds=_LOSER_RATIO * best))
        best = min(best, outcome.median_seconds)
        store.add(
            Measurement(
                workload=key,
                schedule=candidate.schedule,
                outcome=outcome,
                source="collect",
                hardware=hardware,
                pipeline=machine.pipeline,
                policy=candidate.policy,
                donor=candidate.donor.id if candidate.donor else None,
                seed=options.seed,
                run=model.name,
                measured_at=time.time(),
            )
        )
    if todo:
        measurer.unload(task)
    return len(todo)
