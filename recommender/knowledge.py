"""What a run may know: the library, what was measured here, and a ranker, without what it leaves out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from recommender.active import ranker_without
from recommender.datasets.layers import SHIPPED, Data, load_data, user_store_path
from recommender.errors import DataError
from recommender.models.boosted import BoostedRanker
from recommender.run import Run
from recommender.session import Machine
from recommender.vocabulary import Donor, Outcome, Schedule


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
    options = run.options
    ranker = ranker_without(
        options.exclude_models, data, run.machine, options.seed, run.reporter, always_train=bool(forget)
    )
    return Knowledge(donors=library.donors, measured=library.measured, ranker=ranker)


def read_data(run: Run) -> Data:
    """Everything that was measured, the shipped outcomes and the user's own."""
    return load_data(*store_paths(run))


def store_paths(run: Run) -> tuple[Path, Path]:
    """Where that is."""
    return SHIPPED, run.options.store or user_store_path()


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


def _measured(
    data: Data, machine: Machine, exclude_models: Collection[str]
) -> Mapping[str, Mapping[Schedule, Outcome]]:
    outcomes: dict[str, dict[Schedule, Outcome]] = defaultdict(dict)
    for m in data.measurements:
        if m.setting == machine.setting and data.lineage.allowed(m, exclude_models):
            outcomes[m.workload][m.schedule] = m.outcome
    return outcomes


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
