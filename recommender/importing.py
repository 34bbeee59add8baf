"""`recommender library import`: MetaSchedule records made elsewhere become schedules of the own library.

A record's trace is read, never executed. Every record is turned into decisions, which costs next to nothing;
of those that fit a sketch which TVM generates here for their workload, the fastest few are replayed, built,
checked and timed like any candidate, as only what was timed here can be a donor. What cannot be read, does
not fit, fails or is not measured is counted with its reason.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from recommender.datasets.foreign import ForeignRecord, read_records, read_workloads
from recommender.datasets.layers import SHIPPED, Data, load_data
from recommender.datasets.records import KernelUse
from recommender.errors import NothingMeasuredError
from recommender.harness.client import WorkerFailure
from recommender.harness.measurer import Task
from recommender.progress import Reporter
from recommender.session import Machine
from recommender.vocabulary import Candidate, Schedule, Workload
from recommender.workspace import Workspace

PER_WORKLOAD = 8
"""Schedules measured for each workload, the fastest by their own account: twice what the library keeps."""

_KNOWN = "measured already"
_TOO_MANY = f"turned into decisions, but not measured: beyond the {PER_WORKLOAD} fastest of its workload"


@dataclass
class ImportSummary:
    """How many records there were, how many became schedules, and why the others did not."""

    records: int = 0
    adopted: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class _Known:
    """What is measured here already keeps the lineage that it has."""

    workloads: frozenset[str]
    schedules: frozenset[tuple[str, Schedule]]

    @classmethod
    def of(cls, data: Data, machine: Machine) -> _Known:
        """All that is known on a machine."""
        return cls(
            frozenset(use.workload for use in data.kernels),
            frozenset((m.workload, m.schedule) for m in data.measurements if m.setting == machine.setting),
        )


def import_database(folder: Path, origin: str, workspace: Workspace, reporter: Reporter) -> ImportSummary:
    """Import a MetaSchedule work directory; its kernels count as those of a model called `origin`.

    Raises:
        DataError: `folder` is no MetaSchedule work directory.
        NothingMeasuredError: it has records, and not one of them ran or was measured before.
    """
    modules, summary = read_workloads(folder), ImportSummary()
    known = _Known.of(load_data(SHIPPED, workspace.store.path), workspace.machine)
    by_workload = _usable_records(folder, len(modules), summary)
    with reporter.steps("importing", len(by_workload)) as steps:
        for index in sorted(by_workload):
            _import_workload(modules[index], by_workload[index], origin, workspace, known, summary)
            steps.advance(f"workload {index}")
    if summary.records and not summary.adopted and not summary.reasons[_KNOWN]:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in summary.reasons.most_common())
        raise NothingMeasuredError(
            f"none of the {summary.records} records of {folder} could be imported ({reasons}); give a folder "
            "that TVM 0.27 wrote for a CPU, or run: recommender doctor"
        )
    return summary


def _usable_records(folder: Path, workloads: int, summary: ImportSummary) -> dict[int, list[ForeignRecord]]:
    by_workload: dict[int, list[ForeignRecord]] = defaultdict(list)
    for record in read_records(folder):
        summary.records += 1
        if not record.readings:
            summary.reasons[record.reason] += 1
        elif not 0 <= record.workload < workloads:
            summary.reasons["a workload that is not there"] += 1
        else:
            by_workload[record.workload].append(record)
    return by_workload


def _import_workload(
    module_json: str | None,
    records: Sequence[ForeignRecord],
    origin: str,
    workspace: Workspace,
    known: _Known,
    summary: ImportSummary,
) -> None:
    described = _describe(module_json, workspace)
    if isinstance(described, str):
        summary.reasons[described] += len(records)
        return
    workload, task = described
    workspace.store.add_hardware(workspace.machine.hardware)
    if workload.key not in known.workloads:  # else it stays one of the models that it is known from
        use = KernelUse(origin, workload.key, f"imported_{workload.key[:8]}", 1, workspace.machine.pipeline)
        workspace.store.add_kernels([(use, workload)])
    todo = [Candidate(workload, s, "import") for s in _to_measure(records, workload, known, summary)]
    if not todo:
        return
    try:
        with workspace.loaded(task):
            outcomes = workspace.measure_all(origin, task, todo)
    except WorkerFailure as exc:
        summary.reasons[f"a workload that cannot be run ({type(exc).__name__})"] += len(todo)
        return
    summary.adopted += sum(outcome.ok for outcome in outcomes)
    summary.reasons.update(f"{o.status.value} when tried" for o in outcomes if not o.ok)


def _to_measure(
    records: Sequence[ForeignRecord], workload: Workload, known: _Known, summary: ImportSummary
) -> list[Schedule]:
    """The new schedules among the fastest that fit; all other records are counted with their reasons."""
    fastest: set[Schedule] = set()
    todo = []
    for record in sorted(records, key=lambda r: r.seconds):
        schedule = next((s for s in record.readings if s.sketch in workload.sketches), None)
        if schedule is None:
            summary.reasons["no sketch of this structure here"] += 1
        elif schedule in fastest:
            summary.reasons["the same schedule as of a faster record"] += 1
        elif (workload.key, schedule) in known.schedules:
            summary.reasons[_KNOWN] += 1
            fastest.add(schedule)
        elif len(fastest) >= PER_WORKLOAD:
            summary.reasons[_TOO_MANY] += 1
        else:
            fastest.add(schedule)
            todo.append(schedule)
    return todo


def _describe(module_json: str | None, workspace: Workspace) -> tuple[Workload, Task] | str:
    """The workload in our words with a task to measure it, or why there is none."""
    if module_json is None:
        return "a workload that cannot be read"
    try:
        workload = workspace.measurer.describe(module_json)
    except WorkerFailure as exc:
        return f"a workload that TVM cannot read ({type(exc).__name__})"
    if workload is None:
        return "a workload that calls functions outside itself"
    return workload, Task(workload.key, module_json)
