"""`recommender tune`: search schedules for the kernels of models, and keep every trial.

Kernels that are searched already are skipped, also when another model asked for them; a search that
was cut off goes on from its stored trials.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from recommender.datasets.records import KernelUse, Measurement
from recommender.datasets.store import Store
from recommender.harness.measurer import Measurer
from recommender.progress import Reporter
from recommender.session import Machine, PreparedModel
from recommender.vocabulary import Kernel, Outcome, Schedule


@dataclass(frozen=True)
class TuneOptions:
    """`trials` per kernel; `heavy_trials` for those that make up `heavy_share` of a model's time."""

    trials: int = 64
    heavy_trials: int = 64
    heavy_share: float = 0.8
    seed: int = 0
    run: str = ""


def register(store: Store, model: PreparedModel, machine: Machine) -> None:
    """Remember the kernels of a model in the store."""
    store.add_hardware(machine.hardware)
    store.add_kernels(
        (KernelUse(model.name, k.workload.key, k.name, k.calls, machine.pipeline), k.workload)
        for k in model.kernels
    )


def tune(
    models: Sequence[PreparedModel],
    machine: Machine,
    store: Store,
    measurer: Measurer,
    options: TuneOptions,
    reporter: Reporter,
) -> int:
    """Search every kernel that is not searched yet. Return the number of trials spent."""
    before = store.finished_searches(machine.hardware.id, machine.pipeline)
    work = [
        (model, kernel, options.trials)
        for model in models
        for kernel in model.kernels
        if before.get(kernel.workload.key, (0, 0.0))[0] < options.trials
    ]
    spent = 0
    with reporter.steps("tuning", sum(trials for _, _, trials in work)) as steps:
        for model, kernel, trials in work:
            done = store.finished_searches(machine.hardware.id, machine.pipeline)
            if done.get(kernel.workload.key, (0, 0.0))[0] < trials:
                spent += _tune_one(model, kernel, trials, machine, store, measurer, options, reporter)
            steps.advance(f"{model.name} {kernel.name}", by=trials)
    return spent


def _tune_one(
    model: PreparedModel,
    kernel: Kernel,
    trials: int,
    machine: Machine,
    store: Store,
    measurer: Measurer,
    options: TuneOptions,
    reporter: Reporter,
) -> int:
    key, hardware = kernel.workload.key, machine.hardware.id
    known = [
        (m.schedule, m.outcome)
        for m in store.measurements(key)
        if (m.hardware, m.pipeline, m.source) == (hardware, machine.pipeline, "tune")
    ]
    start, spent, best = time.monotonic(), 0, float("inf")

    def keep(schedule: Schedule, outcome: Outcome) -> None:
        nonlocal spent, best
        spent += 1
        best = min(best, outcome.median_seconds)
        store.add(
            Measurement(
                workload=key,
                schedule=schedule,
                outcome=outcome,
                source="tune",
                hardware=hardware,
                pipeline=machine.pipeline,
                policy="search",
                seed=options.seed,
                run=options.run,
                measured_at=time.time(),
            )
        )

    task = model.task(kernel)
    measurer.search(task, trials=max(trials - len(known), 0), seed=options.seed, known=known, report=keep)
    measurer.unload(task)
    seconds = time.monotonic() - start
    store.finish_search(key, hardware, machine.pipeline, trials, seconds)
    reporter.say(f"{model.name} {kernel.name}: {spent} trials in {seconds:.0f} s, best {best * 1e3:.3f} ms")
    return spent
