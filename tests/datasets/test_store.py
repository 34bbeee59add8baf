"""The store keeps what it is given, whoever else writes, and refuses what it cannot read."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from recommender.datasets.records import KernelUse, Measurement, Search
from recommender.datasets.store import Store
from recommender.errors import DataError
from recommender.vocabulary import (
    Hardware,
    Outcome,
    SampledChoice,
    SampledTile,
    Schedule,
    Sketch,
    Status,
    Workload,
)

SKETCH = Sketch((SampledTile(64, 4, 64), SampledChoice((0, 16))))
HARDWARE = Hardware("test", "x86_64", 64, 2, 32 << 10, 1 << 20, 32 << 20, ("avx2",))


def measurement(workload: str = "w", inner: int = 4, outcome: Outcome | None = None) -> Measurement:
    return Measurement(
        workload=workload,
        schedule=Schedule(SKETCH, ((64 // inner, 1, 1, inner), 1)),
        outcome=outcome or Outcome.of_times([1e-3, 2e-3], load=0.5),
        source="tune",
        hardware=HARDWARE.id,
        pipeline="p",
        policy="search",
        donor="other/abc",
        seed=3,
        run="r",
        measured_at=1.5,
    )


def test_what_is_added_is_read_back(tmp_path: Path) -> None:
    failed = measurement(inner=8, outcome=Outcome.failure(Status.CRASHED, "SIGSEGV"))
    with Store(tmp_path / "s.db") as store:
        store.add_hardware(HARDWARE)
        store.add(measurement())
        store.add(failed)
        store.finish_search(Search("w", HARDWARE.id, "p", 64, 12.5))

    with Store(tmp_path / "s.db", read_only=True) as store:
        assert sorted(store.measurements(), key=lambda m: m.outcome.ok) == [failed, measurement()]
        assert store.hardware() == {HARDWARE.id: HARDWARE}
        assert store.searches() == [Search("w", HARDWARE.id, "p", 64, 12.5)]


def test_a_candidate_is_kept_once(tmp_path: Path) -> None:
    with Store(tmp_path / "s.db") as store:
        store.add(measurement())
        store.add(measurement(outcome=Outcome.of_times([5e-3])))

        assert [m.outcome.seconds for m in store.measurements()] == [(5e-3,)]


@pytest.mark.parametrize(("mine", "theirs"), [(64, 256), (256, 64)])
def test_of_two_searches_of_a_kernel_the_longer_stays(tmp_path: Path, mine: int, theirs: int) -> None:
    with Store(tmp_path / "mine.db") as store, Store(tmp_path / "theirs.db") as other:
        store.finish_search(Search("w", HARDWARE.id, "p", mine, 1.0))
        other.finish_search(Search("w", HARDWARE.id, "p", theirs, 2.0))

        store.add_all(other)

        assert [s.trials for s in store.searches()] == [256]


_WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from recommender.datasets.store import Store
path, worker = Path(sys.argv[1]), sys.argv[2]
with Store(path) as store:
    (template,) = [m for m in store.measurements("w")]
    for i in range(50):
        store.add(replace(template, workload=f"{worker}-{i}"))
"""


def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with Store(path) as store:
        store.add(measurement())
    writers = [subprocess.Popen([sys.executable, "-c", _WRITER, str(path), str(n)]) for n in range(2)]

    assert [writer.wait(60) for writer in writers] == [0, 0]
    with Store(path) as store:
        assert len(list(store.measurements())) == 101


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    Store(tmp_path / "s.db").close()
    with closing(sqlite3.connect(tmp_path / "s.db")) as db, db:
        db.execute("PRAGMA user_version = 99")

    with pytest.raises(DataError, match="schema 99"):
        Store(tmp_path / "s.db")


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to look at", b"SQLite format 3\0" + bytes(90)]
)
def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "s.db"
    path.write_bytes(content)

    with pytest.raises(DataError, match="cannot be opened"):
        Store(path)
    assert path.read_bytes() == content


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "addresses.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE address (street TEXT)")
    before = path.read_bytes()

    with pytest.raises(DataError, match="another program's"):
        Store(path)
    assert path.read_bytes() == before


def test_what_is_not_in_the_file_yet_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with Store(path) as writing:
        writing.add(measurement())
        with Store(path, read_only=True) as reading:
            assert len(list(reading.measurements())) == 1


def test_a_missing_store_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be opened"):
        Store(tmp_path / "none.db", read_only=True)


def test_a_folder_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(DataError, match="cannot be opened"):
        Store(tmp_path / "file" / "s.db")


def test_kernels_are_read_back(tmp_path: Path, tuned_store: Path) -> None:
    with Store(tuned_store) as source, Store(tmp_path / "s.db") as copy:
        workloads = source.workloads()
        uses = source.kernels()
        copy.add_kernels((use, workloads[use.workload]) for use in uses)

        assert copy.kernels() == uses
        assert copy.workloads() == workloads
        assert all(isinstance(use, KernelUse) for use in uses)


def test_kernels_that_a_model_has_no_more_stay_with_no_calls(tmp_path: Path, tuned_store: Path) -> None:
    with Store(tuned_store) as source, Store(tmp_path / "s.db") as store:
        workloads = source.workloads()
        lost, kept = list(workloads)[:2]
        first = [KernelUse("m", key, key, 2, "p") for key in (lost, kept)]
        other = [KernelUse("other", lost, lost, 1, "p"), KernelUse("m", lost, lost, 1, "older")]
        store.add_kernels((use, workloads[use.workload]) for use in other)
        store.replace_model("m", "p", [(use, workloads[use.workload]) for use in first])

        store.replace_model("m", "p", [(first[1], workloads[kept])])

        calls = {(use.model, use.workload, use.pipeline): use.calls for use in store.kernels()}
    assert calls == {
        ("m", lost, "p"): 0,
        ("m", kept, "p"): 2,
        ("m", lost, "older"): 1,
        ("other", lost, "p"): 1,
    }


def test_a_model_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path, tuned_store: Path) -> None:
    with Store(tuned_store) as source, Store(tmp_path / "s.db") as store:
        key, workload = next(iter(source.workloads().items()))
        use = KernelUse("m", key, key, 2, "p")
        store.add_kernels([(use, workload)])

        def cut_off() -> Iterator[tuple[KernelUse, Workload]]:
            raise KeyboardInterrupt
            yield use, workload

        with pytest.raises(KeyboardInterrupt):
            store.replace_model("m", "p", cut_off())
        assert store.kernels() == [use]
