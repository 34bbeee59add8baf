"""`recommender collect`: measure transfers between models, which is what the ranker learns from.

For a kernel, the donors are those of all models but its own, and candidates are put in the order of a
ranker that never saw its model. Where there are more than are to be measured, the first of that order, the
nearest in shape and an even spread over the rest are taken, so that good and bad ones are seen. Measured
ones are skipped; an interrupted run goes on.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from operator import itemgetter

import numpy as np

from recommender.active import ranker_without
from recommender.attempts import Attempts
from recommender.candidates import fallback_candidates, transfer_candidates
from recommender.datasets.layers import SHIPPED, Data, load_data
from recommender.errors import DataError
from recommender.features import encode
from recommender.models.contract import Ranker
from recommender.progress import Reporter
from recommender.session import Machine, PreparedModel, named_kernels
from recommender.vocabulary import Candidate, Donor, Kernel, Outcome
from recommender.workspace import Workspace


def collect(
    models: Sequence[PreparedModel],
    per_kernel: int,
    workspace: Workspace,
    reporter: Reporter,
    names: Sequence[str] = (),
) -> int:
    """Measure up to `per_kernel` candidates of every kernel, or of those with such `names`.

    Returns how many were measured.

    Raises:
        UsageError: no kernel has such a name.
        NothingMeasuredError: there was something to measure, and all of it failed.
    """
    for model in models:
        workspace.register(model)
    work = named_kernels(models, names)
    data, attempts = load_data(SHIPPED, workspace.store.path), Attempts(reporter)
    with reporter.steps("collecting", len(work)) as steps:
        for model, pairs in itertools.groupby(work, key=itemgetter(0)):
            ranker = _ranker_without(model, data, workspace, reporter)
            for _, kernel in pairs:
                donors = _donors(kernel, data, workspace.machine)
                chosen = _chosen(kernel, donors, ranker, per_kernel, workspace)
                with attempts.on(f"{model.name} {kernel.name}"):
                    attempts.outcomes.extend(_measure(model, kernel, chosen, workspace))
                steps.advance(f"{model.name} {kernel.name}")
    return attempts.count()


def _ranker_without(
    model: PreparedModel, data: Data, workspace: Workspace, reporter: Reporter
) -> Ranker | None:
    """A ranker that never saw a model; None where there is nothing else to learn from yet."""
    try:
        return ranker_without([model.name], data, workspace.machine, workspace.seed, reporter)
    except DataError as exc:
        reporter.say(f"{model.name}: candidates in the order of their shapes ({exc})")
        return None


def _donors(kernel: Kernel, data: Data, machine: Machine) -> list[Donor]:
    """The library without all models that the kernel occurs in: what its rows will be trained with."""
    models = data.lineage.origins.get(kernel.workload.key, frozenset())
    return data.donors(machine.hardware, machine.pipeline, models)


def _chosen(
    kernel: Kernel, donors: Sequence[Donor], ranker: Ranker | None, per_kernel: int, workspace: Workspace
) -> list[Candidate]:
    workload, machine = kernel.workload, workspace.machine
    own = fallback_candidates(workload, machine.hardware)
    nearest = transfer_candidates(workload, donors, machine.hardware)
    rng = np.random.default_rng([workspace.seed, int(workload.key[:8], 16)])  # the same for the same kernel
    return select(_ranked(nearest, ranker, machine), nearest, own, per_kernel, rng)


def _ranked(candidates: list[Candidate], ranker: Ranker | None, machine: Machine) -> list[Candidate]:
    if ranker is None or not candidates:
        return candidates
    scores = ranker.predict(encode(candidates[0].workload, candidates, machine.hardware))
    return [candidates[i] for i in np.argsort(scores, kind="stable")]


def select(
    ranked: Sequence[Candidate],
    nearest: Sequence[Candidate],
    own: Sequence[Candidate],
    per_kernel: int,
    rng: np.random.Generator,
) -> list[Candidate]:
    """The fallback, a few more of the workload's own, the first transfers by rank and by shape, and a spread.

    A quarter of what is to be measured goes to the first of the ranking, an eighth to the nearest in
    shape, the rest to one candidate drawn from each of so many even parts of what is left.
    """
    n_own = min(len(own), max(per_kernel // 8, 2))
    chosen = {c.schedule: c for c in own[:1]}
    chosen |= {c.schedule: c for c in _draw(own[1:], n_own - 1, rng)}
    chosen |= {c.schedule: c for c in (*ranked[: per_kernel // 4], *nearest[: per_kernel // 8])}
    rest = [c for c in ranked if c.schedule not in chosen]
    n_spread = min(max(per_kernel - len(chosen), 0), len(rest))
    edges = np.linspace(0, len(rest), n_spread + 1).astype(int)
    spread = [rest[rng.integers(low, high)] for low, high in itertools.pairwise(edges)]
    return [*chosen.values(), *spread]


def _draw(candidates: Sequence[Candidate], n: int, rng: np.random.Generator) -> list[Candidate]:
    if not candidates or n < 1:
        return []
    rows = rng.choice(len(candidates), min(n, len(candidates)), replace=False)
    return [candidates[row] for row in sorted(rows)]


def _measure(
    model: PreparedModel, kernel: Kernel, chosen: Sequence[Candidate], workspace: Workspace
) -> list[Outcome]:
    kept = workspace.kept(kernel.workload.key)
    done = {m.schedule.id for m in kept}
    collected = sum(m.source == "collect" for m in kept)
    todo = [c for c in chosen if c.schedule.id not in done][: max(len(chosen) - collected, 0)]
    if not todo:
        return []
    task = model.task(kernel)
    with workspace.loaded(task):
        return workspace.measure_all(model.name, task, todo)
