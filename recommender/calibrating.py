"""`recommender calibrate`: a small designed set of measurements on a machine that the ranker never saw.

Kernels of two small models, taken in turns from all kernel classes; for each the fallback and candidates
spread evenly over the predicted order, so that good, middling and bad ones are seen. The ranker learns
from them with `recommender train`. What is measured already is skipped.
"""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from recommender.attempts import Attempts
from recommender.knowledge import Knowledge
from recommender.progress import Reporter
from recommender.ranking import rank_kernel
from recommender.run import Ranked
from recommender.session import PreparedModel
from recommender.vocabulary import Candidate, Kernel, Outcome
from recommender.workspace import Workspace

MODELS = ("resnet18", "mobilenet_v2")
PER_KERNEL = 8


def calibrate(
    models: Sequence[PreparedModel],
    knowledge: Knowledge,
    workspace: Workspace,
    budget_seconds: float,
    reporter: Reporter,
) -> int:
    """Measure until the set is done or the budget is spent. Return how many candidates were measured.

    Raises:
        NothingMeasuredError: there was something to measure, and all of it failed.
    """
    start, attempts = time.monotonic(), Attempts(reporter)
    knowledge = replace(knowledge, measured={})  # the set stays the same while it is measured
    for model in models:
        workspace.register(model)
    work = list(design(models))
    with reporter.steps("calibrating", len(work)) as steps:
        for model, kernel in work:
            if time.monotonic() - start > budget_seconds:
                reporter.say(f"the budget of {budget_seconds:.0f} s is spent; run it again to go on")
                break
            ranked = rank_kernel(kernel, knowledge, workspace.machine)
            with attempts.on(kernel.name):
                attempts.outcomes.extend(_measure(model, spread(ranked), workspace))
            steps.advance(kernel.name)
    return attempts.count()


def design(models: Sequence[PreparedModel]) -> Iterator[tuple[PreparedModel, Kernel]]:
    """Kernels of all classes in turns, so that a short budget sees some of each; none twice."""
    by_class: dict[str, list[tuple[PreparedModel, Kernel]]] = defaultdict(list)
    seen: set[str] = set()
    for model in models:
        for kernel in model.kernels:
            if kernel.workload.key not in seen:
                seen.add(kernel.workload.key)
                by_class[kernel.workload.kernel_class].append((model, kernel))
    for turn in itertools.zip_longest(*by_class.values()):
        yield from (item for item in turn if item is not None)


def spread(ranked: Ranked) -> list[Candidate]:
    """The fallback, and candidates at even steps from the first of the ranking to the last."""
    n = len(ranked.candidates)
    rows = np.unique(np.linspace(0, n - 1, min(PER_KERNEL - 1, n)).round().astype(int))
    chosen = [ranked.fallback, *(ranked.candidates[row] for row in rows)]
    return list({c.schedule: c for c in chosen}.values())


def _measure(model: PreparedModel, candidates: Sequence[Candidate], workspace: Workspace) -> list[Outcome]:
    workload = candidates[0].workload
    done = {m.schedule for m in workspace.kept(workload.key)}
    todo = [c for c in candidates if c.schedule not in done]
    if not todo:
        return []
    task = model.task(next(k for k in model.kernels if k.workload.key == workload.key))
    with workspace.loaded(task):
        return workspace.measure_all(model.name, task, todo)
