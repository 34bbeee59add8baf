"""`recommender tune`: search schedules for the kernels of models, and keep every trial.

Kernels that are searched already are skipped, also when another model asked for them; a search that
was cut off goes on from its stored trials.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from recommender.progress import Reporter
from recommender.session import PreparedModel
from recommender.vocabulary import Candidate, Kernel, Outcome, Schedule
from recommender.workspace import Workspace


def tune(models: Sequence[PreparedModel], trials: int, workspace: Workspace, reporter: Reporter) -> int:
    """Spend `trials` on every kernel that has not had them yet. Return the number of trials spent."""
    for model in models:
        workspace.register(model)
    work = [
        (model, kernel)
        for model in models
        for kernel in model.kernels
        if _searched(kernel, workspace) < trials
    ]
    spent = 0
    with reporter.steps("tuning", len(work)) as steps:
        for model, kernel in work:
            if _searched(kernel, workspace) < trials:  # another model may have asked for it meanwhile
                spent += _search(model, kernel, trials, workspace, reporter)
            steps.advance(f"{model.name} {kernel.name}")
    return spent


def _searched(kernel: Kernel, workspace: Workspace) -> int:
    """Trials of the finished search of a kernel; 0 when there was none."""
    machine = workspace.machine
    finished = workspace.store.finished_searches(machine.hardware.id, machine.pipeline)
    return finished.get(kernel.workload.key, (0, 0.0))[0]


def _search(
    model: PreparedModel, kernel: Kernel, trials: int, workspace: Workspace, reporter: Reporter
) -> int:
    key, machine = kernel.workload.key, workspace.machine
    known = [(m.schedule, m.outcome) for m in workspace.kept(key) if m.source == "tune"]
    start, seconds = time.monotonic(), []

    def keep(schedule: Schedule, outcome: Outcome) -> None:
        seconds.append(outcome.median_seconds)
        workspace.keep(Candidate(kernel.workload, schedule, "search"), outcome, model.name)

    task = model.task(kernel)
    left = max(trials - len(known), 0)
    workspace.measurer.search(task, trials=left, seed=workspace.seed, known=known, report=keep)
    workspace.measurer.unload(task)
    wall = time.monotonic() - start
    workspace.store.finish_search(key, machine.hardware.id, machine.pipeline, trials, wall)
    best = min([*seconds, *(outcome.median_seconds for _, outcome in known)], default=float("inf"))
    reporter.say(
        f"{model.name} {kernel.name}: {len(seconds)} trials in {wall:.0f} s, best {best * 1e3:.3f} ms"
    )
    return len(seconds)
