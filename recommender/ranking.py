"""What a run may know, and ranking a kernel's candidates with it. No TVM, no measuring.

A kernel that was measured before is not a matter of prediction: the best of what was measured comes first,
what lost clearly is not tried again, and the rest of the places go to what is new, by a hedged ranking.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recommender.candidates import fallback_candidates, transfer_candidates
from recommender.datasets.layers import SHIPPED, Data, load_data, user_store_path
from recommender.errors import DataError
from recommender.features import encode
from recommender.models.active import ranker_without
from recommender.models.boosted import BoostedRanker
from recommender.models.contract import Matrix
from recommender.models.hedging import hedged_places, shape_distances
from recommender.run import Ranked, Run
from recommender.session import Machine
from recommender.vocabulary import Candidate, Donor, Kernel, Outcome, Schedule, Status

LOST = 1.1
"""A schedule that took so many times as long as the kernel's best is not measured again."""


@dataclass(frozen=True, kw_only=True)
class Library:
    """What a run may start from: schedules of other kernels, and what became of a kernel's own.

    `measured` has the outcomes of schedules that were measured on this machine, by workload.
    """

    donors: Sequence[Donor]
    measured: Mapping[str, Mapping[Schedule, Outcome]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class Knowledge(Library):
    """All that a run may know: also a ranker that never saw what is left out."""

    ranker: BoostedRanker


@dataclass(frozen=True)
class Pool:
    """A kernel's candidates with their features, before they are ranked.

    `is_best` marks the fastest of those that were measured before.
    """

    kernel: Kernel
    fallback: Candidate
    candidates: Sequence[Candidate]
    features: Matrix
    is_best: NDArray[np.bool_]


def gather_knowledge(run: Run, forget: Collection[str] = ()) -> Knowledge:
    """The library and the ranker for a run, from shipped data with the user's own over it.

    What was measured of the workloads to `forget`, and what descends from it, is left out: so are
    novel shapes judged.

    Raises:
        DataError: the library is empty, or made for another target.
    """
    data = read_data(run)
    if forget:
        data = data.without_workloads(forget)
    library = library_for(run, data)
    ranker = ranker_for(run, data, always_train=bool(forget))
    return Knowledge(donors=library.donors, measured=library.measured, ranker=ranker)


def read_data(run: Run) -> Data:
    """Everything that was measured, the shipped outcomes and the user's own."""
    return load_data(SHIPPED, run.options.store or user_store_path())


def library_for(run: Run, data: Data) -> Library:
    """The schedules for a run, without what it leaves out.

    Raises:
        DataError: there are none, or only of another target.
    """
    machine, options = run.machine, run.options
    donors = data.donors(machine.hardware, machine.pipeline, options.exclude_models)
    if not donors:
        raise _no_donors(data, machine)
    if data.relatives(machine.hardware)[0].id != machine.hardware.id:
        run.reporter.say(
            f"nothing was measured on {machine.hardware.id} yet: schedules are those of "
            f"{data.relatives(machine.hardware)[0].id}, and a larger --top-k may help"
        )
    unknown = set(options.exclude_models) - {use.model for use in data.kernels}
    if unknown:
        run.reporter.say(f"nothing is known of {', '.join(sorted(unknown))}: there is nothing to leave out")
    return Library(donors=donors, measured=_measured(data, machine, options.exclude_models))


def ranker_for(run: Run, data: Data, *, always_train: bool = False) -> BoostedRanker:
    """The ranker in use, or one that is trained now, if that saw what the run leaves out."""
    options = run.options
    return ranker_without(
        options.exclude_models, data, run.machine, options.seed, run.reporter, always_train=always_train
    )


def _measured(
    data: Data, machine: Machine, exclude_models: Collection[str]
) -> Mapping[str, Mapping[Schedule, Outcome]]:
    outcomes: dict[str, dict[Schedule, Outcome]] = defaultdict(dict)
    for m in data.measurements:
        if m.setting == machine.setting and data.lineage.allowed(m, exclude_models):
            outcomes[m.workload][m.schedule] = m.outcome
    return outcomes


def rank_kernel(kernel: Kernel, knowledge: Knowledge, machine: Machine) -> Ranked:
    """Candidates of one kernel from all donors and from its own design space, in the order to be measured."""
    return rank(candidate_pool(kernel, knowledge, machine), knowledge.ranker)


def candidate_pool(kernel: Kernel, library: Library, machine: Machine) -> Pool:
    """What could be measured of a kernel: all but what has lost already."""
    workload = kernel.workload
    fallbacks = fallback_candidates(workload, machine.hardware)
    known = library.measured.get(workload.key, {})
    best = min((outcome.median_seconds for outcome in known.values() if outcome.ok), default=math.inf)
    every = _distinct(transfer_candidates(workload, library.donors) + fallbacks)
    lost = {schedule for schedule, outcome in known.items() if _has_lost(outcome, best)}
    candidates = [c for c in every if c.schedule not in lost] or fallbacks[:1]
    is_best = np.array([best < math.inf and _seconds(known.get(c.schedule)) == best for c in candidates])
    return Pool(kernel, fallbacks[0], candidates, encode(workload, candidates, machine.hardware), is_best)


def rank(pool: Pool, ranker: BoostedRanker) -> Ranked:
    """The candidates in the order to be measured: the best known first, then by hedged prediction."""
    scores = ranker.predict(pool.features)
    places = hedged_places(np.where(pool.is_best, -np.inf, scores), shape_distances(pool.features))
    order = np.argsort(places)
    return Ranked(
        pool.kernel,
        pool.fallback,
        tuple(pool.candidates[i] for i in order),
        tuple(float(scores[i]) for i in order),
    )


def _seconds(outcome: Outcome | None) -> float:
    return outcome.median_seconds if outcome else math.inf


def _has_lost(outcome: Outcome, best_seconds: float) -> bool:
    """Whether a schedule need not be measured again: it fails for good, or is slower on a quiet machine."""
    if not outcome.ok:
        return outcome.status not in (Status.TIMED_OUT, Status.OUT_OF_MEMORY)
    return outcome.median_seconds > LOST * best_seconds and not outcome.is_unsure


def _distinct(candidates: list[Candidate]) -> list[Candidate]:
    seen = {(c.schedule.sketch, c.schedule.decisions): c for c in reversed(candidates)}
    return list(reversed(seen.values()))


def _no_donors(data: Data, machine: Machine) -> DataError:
    if not data.measurements:
        return DataError("the library is empty; run: recommender tune --cold MODEL")
    if any(m.hardware == machine.hardware.id for m in data.measurements):
        return DataError(
            f"the library has nothing left for {machine.hardware.id} with pipeline {machine.pipeline}; leave "
            "out fewer models, or run: recommender tune --cold MODEL"
        )
    known = sorted({m.hardware for m in data.measurements})
    return DataError(
        f"the library has nothing that {machine.hardware.id} could use (it has {', '.join(known)}); "
        "run: recommender tune --cold MODEL"
    )
