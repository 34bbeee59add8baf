"""Records of other MetaSchedule runs become schedules here; broken and hostile ones are counted, not run."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from itertools import islice, permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tvm
from tvm.script import ir as I
from tvm.script import tirx as T

from recommender.compiler import hardware
from recommender.compiler.export import write_database
from recommender.datasets.foreign import read_records, read_workloads
from recommender.datasets.layers import load_data
from recommender.errors import DataError, NothingMeasuredError
from recommender.importing import PER_WORKLOAD, ImportSummary, import_database
from recommender.models.training import training_set
from recommender.progress import Reporter
from recommender.session import Machine, PreparedModel
from recommender.workspace import open_workspace

pytestmark = pytest.mark.tvm


@pytest.fixture
def database(model: PreparedModel, machine: Machine, tmp_path: Path) -> Path:
    """A MetaSchedule work directory with one record for each kernel of a small model."""
    folder = tmp_path / "work"
    folder.mkdir()
    choices = {key: (space.schedule_of(space.samples[0].trace), 1e-3) for key, space in model.spaces.items()}
    write_database(folder, model.spaces, choices, hardware.target_from_json(machine.target))
    return folder


@pytest.fixture
def import_it(machine: Machine, tmp_path: Path) -> Callable[[Path], ImportSummary]:
    def run(folder: Path) -> ImportSummary:
        with open_workspace(machine, tmp_path / "own.db", "import") as workspace:
            return import_database(folder, "theirs", workspace, Reporter(0))

    return run


def test_traces_are_read_as_tvm_reads_them(database: Path, model: PreparedModel) -> None:
    records = list(read_records(database))
    assert len(records) == len(read_workloads(database)) == len(model.spaces)
    read = {record.readings[0] for record in records}
    assert read == {space.schedule_of(space.samples[0].trace) for space in model.spaces.values()}


def test_every_good_record_becomes_a_schedule(
    database: Path,
    model: PreparedModel,
    machine: Machine,
    tmp_path: Path,
    import_it: Callable[[Path], ImportSummary],
) -> None:
    summary = import_it(database)

    assert summary.records == summary.adopted == len(model.spaces)
    with open_workspace(machine, tmp_path / "own.db", "import") as workspace:
        assert {use.workload for use in workspace.store.kernels()} == set(model.spaces)
        for key, space in model.spaces.items():
            (kept,) = workspace.kept(key)
            assert kept.outcome.ok
            assert kept.schedule == space.schedule_of(space.samples[0].trace)

    again = import_it(database)  # and nothing is left to do
    assert (again.adopted, again.reasons) == (0, {"measured already": len(model.spaces)})


def test_broken_records_are_counted_with_their_reasons(
    database: Path, import_it: Callable[[Path], ImportSummary]
) -> None:
    path = database / "database_tuning_record.json"
    good = path.read_text().splitlines()
    workload, (trace, seconds, target, arguments) = json.loads(good[0])
    foreign_sketch = [[["SamplePerfectTile", ["l1"], [4, 64], ["v1"]]], [[0, [1, 1, 1, 7]]]]
    bad = [
        "not json",
        "[]",
        json.dumps([workload, [["os.system", "rm"], seconds, target, arguments]]),
        json.dumps([999, [trace, seconds, target, arguments]]),
        json.dumps([workload, [foreign_sketch, seconds, target, arguments]]),
    ]
    path.write_text("\n".join(good + bad) + "\n")

    summary = import_it(database)

    assert summary.records == len(good) + len(bad)
    assert summary.adopted == len(good)
    assert sum(summary.reasons.values()) == len(bad)
    assert summary.reasons["no sketch of this structure here"] == 1
    assert summary.reasons["a workload that is not there"] == 1


def test_mutated_records_never_end_the_import(
    database: Path, import_it: Callable[[Path], ImportSummary], machine: Machine, tmp_path: Path
) -> None:
    path = database / "database_tuning_record.json"
    lines, rng = path.read_text().splitlines(), np.random.default_rng(0)
    mutants = []
    for _ in range(300):
        text = bytearray(lines[rng.integers(len(lines))].encode())
        for _ in range(rng.integers(1, 6)):
            text[rng.integers(len(text))] = rng.integers(32, 127)
        mutants.append(text.decode())
    path.write_text("\n".join(mutants) + "\n")

    summary = import_it(database)

    assert summary.records == 300
    assert summary.adopted + sum(summary.reasons.values()) == 300
    rows = training_set(load_data(tmp_path / "own.db"), [machine.hardware], machine.pipeline)
    assert np.isfinite(rows.seconds).any()  # and what was taken over can be learned from


@pytest.mark.parametrize("wrong", ["choice", "factors"])
def test_decisions_that_the_sketch_does_not_offer_are_no_record(wrong: str, database: Path) -> None:
    path = database / "database_tuning_record.json"
    lines, is_wrong = [], []
    for line in path.read_text().splitlines():
        record = json.loads(line)
        decisions = record[1][0][1]
        for decision in decisions:
            if wrong == "factors" and isinstance(decision[1], list):
                decision[1][:2] = [-decision[1][0], -decision[1][1]]  # whose product is the same
            if wrong == "choice" and isinstance(decision[1], int) and decision[1] >= 0:
                decision[1] = 99
        lines.append(json.dumps(record))
        is_wrong.append(lines[-1] != json.dumps(json.loads(line)))
    path.write_text("\n".join(lines) + "\n")

    records = list(read_records(database))

    assert any(is_wrong)
    assert [not record.readings for record in records] == is_wrong


@I.ir_module
class Hostile:
    @T.prim_func(s_tir=True)
    def main(a: T.Buffer((16,), "float32"), b: T.Buffer((16,), "float32")):
        for i in range(16):
            with T.sblock("copy"):
                v = T.axis.spatial(16, i)
                b[v] = a[v] + T.call_extern("float32", "abort")


def test_a_workload_that_calls_outside_is_not_run(
    database: Path, import_it: Callable[[Path], ImportSummary]
) -> None:
    text = str(tvm.ir.save_json(Hostile)).encode()
    content = base64.b64encode(len(text).to_bytes(8, "little") + text).decode()
    records = (database / "database_tuning_record.json").read_text().splitlines()
    (database / "database_workload.json").write_text(json.dumps(["1", content]) + "\n")
    (database / "database_tuning_record.json").write_text(
        "\n".join(json.dumps([0, json.loads(line)[1]]) for line in records) + "\n"
    )

    with pytest.raises(NothingMeasuredError, match=rf"calls functions outside itself: {len(records)}\)"):
        import_it(database)


def test_the_fastest_that_fit_are_measured_and_all_are_turned_into_decisions(
    database: Path, import_it: Callable[[Path], ImportSummary], machine: Machine, tmp_path: Path
) -> None:
    path = database / "database_tuning_record.json"
    record = max(map(json.loads, path.read_text().splitlines()), key=lambda r: len(r[1][0][1]))
    foreign_sketch = [[["SamplePerfectTile", ["l1"], [4, 64], ["v1"]]], [[0, [1, 1, 1, 7]]]]
    elsewhere = [with_trace(record, foreign_sketch, 1e-6) for _ in range(PER_WORKLOAD + 1)]
    variants = [with_trace(record, trace, 1e-3) for trace in retiled(record[1][0], PER_WORKLOAD + 2)]
    path.write_text("\n".join(map(json.dumps, elsewhere + variants)) + "\n")

    summary = import_it(database)

    assert summary.records == len(elsewhere) + len(variants)
    assert summary.adopted + sum(summary.reasons.values()) == summary.records
    assert summary.reasons["no sketch of this structure here"] == len(elsewhere)
    (unmeasured,) = [n for reason, n in summary.reasons.items() if "but not measured" in reason]
    assert unmeasured == len(variants) - PER_WORKLOAD
    with open_workspace(machine, tmp_path / "own.db", "import") as workspace:
        assert len(list(workspace.store.measurements())) == PER_WORKLOAD


def with_trace(record: Any, trace: Any, seconds: float) -> Any:
    workload, (_, _, target, arguments) = record
    return [workload, [trace, [seconds], target, arguments]]


def retiled(trace: Any, n: int) -> list[Any]:
    """The same trace with `n` different orders of its tiles' factors."""
    instructions, decisions = trace
    tiles = [sorted(set(permutations(d))) if isinstance(d, list) else [d] for _, d in decisions]
    chosen = list(islice(product(*tiles), n))
    assert len(chosen) == n
    return [[instructions, [[place, d] for (place, _), d in zip(decisions, c, strict=True)]] for c in chosen]


def test_workloads_that_tvm_cannot_read_end_nothing(
    database: Path, import_it: Callable[[Path], ImportSummary]
) -> None:
    path = database / "database_workload.json"
    _first, *others = path.read_text().splitlines()
    nonsense = base64.b64encode((3).to_bytes(8, "little") + b"{1}").decode()
    path.write_text("\n".join([json.dumps(["1", nonsense]), *others]) + "\n")

    summary = import_it(database)

    assert summary.adopted == len(others)
    assert sum(summary.reasons.values()) == 1


def test_what_is_no_work_directory_is_said(
    tmp_path: Path, import_it: Callable[[Path], ImportSummary]
) -> None:
    with pytest.raises(DataError, match="is no MetaSchedule work directory"):
        import_it(tmp_path)
