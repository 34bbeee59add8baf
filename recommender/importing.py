"""`recommender library import`: MetaSchedule records made elsewhere become schedules of the own library.

A record's trace is read, never executed: its decisions are replayed on sketches that TVM generates here
for the record's workload, built, checked and timed like any candidate. What cannot be read, does not fit
or fails is counted with its reason.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from recommender.datasets.foreign import ForeignRecord, read_records, read_workloads
from recommender.datasets.layers import SHIPPED, Data, load_data
from recommender.datasets.records import KernelUse
from recommender.harness.client import WorkerFailure
from recommender.harness.measurer import Task
from recommender.progress import Reporter
from recommender.session import Machine
from recommender.vocabulary import Candidate, Schedule, Workload
from recommender.workspace import Workspace

PER_WORKLOAD = 8
"""Records tried for each workload, the fastest by their own account first."""


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
    """
    modules, summary = read_workloads(folder), ImportSummary()
    known = _Known.of(load_data(SHIPPED, workspace.store.path), workspace.machine)
    by_workload = _usable_records(folder, len(modules), summary)
    with reporter.steps("importing", len(by_workload)) as steps:
        for index in sorted(by_workload):
            _import_workload(modules[index], by_workload[index], origin, workspace, known, summary)
            steps.advance(f"workload {index}")
    return summary


def _usable_records(folder: Path, workloads: int, summary: ImportSummary) -> dict[int, list[ForeignRecord]]:
    by_workload: dict[int, list[ForeignRecord]] = defaultdict(list)
    for record in read_records(folder):
        summary.records += 1
        if record.schedule is None:
            summary.reasons[record.reason] += 1
        elif not 0 <= record.workload < workloads:
            summary.reasons["a workload that is not there"] += 1
        else:
            by_workload[record.workload].append(record)
    for records in by_workload.values():
        records.sort(key=lambda r: r.seconds)
        if len(records) > PER_WORKLOAD:
            summary.reasons[f"not tried: beyond the {PER_WORKLOAD} fastest of its workload"] += (
                len(records) - PER_WORKLOAD
            )
            del records[PER_WORKLOAD:]
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
    todo: dict[Schedule, Candidate] = {}
    for record in records:
        assert record.schedule is not None
        if record.schedule.sketch not in workload.sketches:
            summary.reasons["no sketch of this structure here"] += 1
        elif (workload.key, record.schedule) in known.schedules or record.schedule in todo:
            summary.reasons["measured already"] += 1
        else:
            todo[record.schedule] = Candidate(workload, record.schedule, "import")
    if not todo:
        return
    try:
        with workspace.loaded(task):
            outcomes = workspace.measure_all(origin, task, list(todo.values()))
    except WorkerFailure as exc:
        summary.reasons[f"a workload that cannot be run ({type(exc).__name__})"] += len(todo)
        return
    summary.adopted += sum(outcome.ok for outcome in outcomes)
    summary.reasons.update(f"{o.status.value} when tried" for o in outcomes if not o.ok)


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
