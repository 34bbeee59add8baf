"""What a run may know, and ranking a kernel's candidates with it. No TVM, no measuring."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from recommender.candidates import fallback_candidates, transfer_candidates
from recommender.datasets.layers import SHIPPED, Data, load_data, user_store_path
from recommender.errors import DataError
from recommender.features import encode
from recommender.models.active import ranker_without
from recommender.models.boosted import BoostedRanker
from recommender.run import Ranked, Run
from recommender.session import Machine
from recommender.vocabulary import Candidate, Donor, Kernel


@dataclass(frozen=True)
class Knowledge:
    """What a run may know: library schedules, and a ranker that never saw what is left out."""

    donors: Sequence[Donor]
    ranker: BoostedRanker


def gather_knowledge(run: Run, forget: Collection[str] = ()) -> Knowledge:
    """The library and the ranker for a run, from shipped data with the user's own over it.

    What was measured of the workloads to `forget`, and what descends from it, is left out: so are
    novel shapes judged.

    Raises:
        DataError: the library is empty, or made for another target.
    """
    machine, options = run.machine, run.options
    data = load_data(SHIPPED, options.store or user_store_path())
    if forget:
        data = data.without_workloads(forget)
    donors = data.donors(machine.hardware, machine.pipeline, options.exclude_models)
    if not donors:
        raise _no_donors(data, machine)
    if data.relatives(machine.hardware)[0].id != machine.hardware.id:
        run.reporter.say(
            f"nothing was measured on {machine.hardware.id} yet: schedules are those of "
            f"{data.relatives(machine.hardware)[0].id}, and a larger --top-k may pay"
        )
    unknown = set(options.exclude_models) - {use.model for use in data.kernels}
    if unknown:
        run.reporter.say(f"nothing is known of {', '.join(sorted(unknown))}: there is nothing to leave out")
    ranker = ranker_without(
        options.exclude_models, data, machine, options.seed, run.reporter, always_train=bool(forget)
    )
    return Knowledge(donors, ranker)


def rank_kernel(kernel: Kernel, knowledge: Knowledge, machine: Machine) -> Ranked:
    """Candidates of one kernel from all donors and from its own design space, best first."""
    workload = kernel.workload
    fallbacks = fallback_candidates(workload, machine.hardware)
    candidates = _distinct(transfer_candidates(workload, knowledge.donors) + fallbacks)
    scores = knowledge.ranker.predict(encode(workload, candidates, machine.hardware))
    order = np.argsort(scores, kind="stable")
    return Ranked(
        kernel,
        fallbacks[0],
        tuple(candidates[i] for i in order),
        tuple(float(scores[i]) for i in order),
    )


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
