"""Layers: own measurements over shipped ones, other machines' schedules where there are no own."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from recommender.datasets.layers import SHIPPED, Data, load_data
from recommender.datasets.records import KernelUse, Measurement
from recommender.datasets.store import Store
from recommender.errors import DataError
from recommender.vocabulary import Hardware, Outcome, Schedule, Status
from tests.datasets.test_store import HARDWARE, measurement
from tests.recommender.test_candidates import matmul

WIDER = replace(HARDWARE, cpu="wider", threads=8)
NARROW = replace(HARDWARE, cpu="narrow", simd_bytes=16)
ARM = Hardware("arm", "", 16, 2, 32 << 10, 1 << 20, 32 << 20, ("neon",))
WORKLOADS = {key: matmul(64, 64, 64, key=key) for key in ("a", "b")}
KERNELS = tuple(KernelUse("m", key, "k", 1, "p") for key in WORKLOADS)


def data(*measured: tuple[str, Hardware, float]) -> Data:
    rows = tuple(
        replace(measurement(key, outcome=Outcome.of_times([seconds])), hardware=hardware.id)
        for key, hardware, seconds in measured
    )
    return Data(rows, KERNELS, WORKLOADS, {h.id: h for _, h, _ in measured})


def test_own_measurements_come_before_those_of_relatives() -> None:
    known = data(("a", HARDWARE, 1.0), ("a", WIDER, 2.0), ("b", WIDER, 3.0))

    found = [(d.workload.key, d.median_seconds) for d in known.donors(HARDWARE, "p")]

    assert found == [("a", 1.0), ("b", 3.0)]  # the relative's schedule of "a" is the same one


def test_the_most_similar_relative_comes_first() -> None:
    known = data(("a", NARROW, 2.0), ("a", WIDER, 3.0))

    assert [d.median_seconds for d in known.donors(HARDWARE, "p")] == [3.0]


def test_the_same_cpu_timed_warm_is_nearer_than_another_timed_cold() -> None:
    here = replace(HARDWARE, cold_weight_bytes=64 << 20)
    other = replace(here, cpu="other")

    assert data(("a", other, 2.0), ("b", HARDWARE, 3.0)).relatives(here) == [HARDWARE, other]


def test_another_architecture_has_no_donors() -> None:
    assert data(("a", ARM, 1.0)).donors(HARDWARE, "p") == []


def test_schedules_of_unknown_hardware_or_of_another_pipeline_are_no_donors() -> None:
    known = data(("a", HARDWARE, 1.0))
    here = known.measurements[0]
    other_rows = (replace(here, hardware="other"), replace(here, pipeline="older"))

    assert replace(known, measurements=other_rows).donors(HARDWARE, "p") == []


def test_studies_are_about_the_most_measured_hardware() -> None:
    known = data(("a", HARDWARE, 1.0), ("b", HARDWARE, 1.0), ("a", WIDER, 1.0))
    assert known.most_measured() == (HARDWARE, "p")
    with pytest.raises(DataError, match="no measurements"):
        Data((), (), {}, {}).most_measured()


def test_where_kernels_were_only_searched_for_no_ranker_can_be_judged() -> None:
    known = data(("a", HARDWARE, 1.0), ("b", HARDWARE, 1.0), ("a", WIDER, 1.0))
    sources = {HARDWARE.id: "tune", WIDER.id: "collect"}
    rows = tuple(replace(m, source=sources[m.hardware]) for m in known.measurements)

    assert replace(known, measurements=rows).most_measured() == (WIDER, "p")


def test_shipped_hardware_has_the_id_that_it_was_stored_under() -> None:
    """Machines timed before weights were cold keep theirs."""
    known = load_data(SHIPPED).hardware

    assert {bool(h.cold_weight_bytes) for h in known.values()} == {False, True}
    assert [h.id for h in known.values()] == list(known)


def test_stores_are_layered(tmp_path: Path) -> None:
    for name, workload in (("shipped", "a"), ("own", "b")):
        with Store(tmp_path / name) as store:
            store.add_hardware(HARDWARE)
            store.add(measurement(workload))

    known = load_data(tmp_path / "shipped", tmp_path / "own", tmp_path / "missing")

    assert [m.workload for m in known.measurements] == ["a", "b"]
    assert known.hardware == {HARDWARE.id: HARDWARE}


GOOD, BETTER = Outcome.of_times([2e-3]), Outcome.of_times([1e-3])
CRASHED = Outcome.failure(Status.CRASHED, "SIGSEGV")
TIMED_OUT, NO_MEMORY = (Outcome.failure(s, "busy") for s in (Status.TIMED_OUT, Status.OUT_OF_MEMORY))


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        (GOOD, BETTER, BETTER),
        (BETTER, GOOD, GOOD),
        (GOOD, CRASHED, CRASHED),
        (GOOD, TIMED_OUT, GOOD),
        (GOOD, NO_MEMORY, GOOD),
        (CRASHED, TIMED_OUT, TIMED_OUT),
        (TIMED_OUT, GOOD, GOOD),
    ],
)
def test_a_second_measurement_is_of_the_same_origin_in_one_store_and_over_another(
    first: Outcome, second: Outcome, kept: Outcome, tmp_path: Path
) -> None:
    earlier = measurement(outcome=first)
    later = replace(earlier, outcome=second, source="recommend", policy="", donor=None, run="copy", seed=9)
    expected = replace(earlier, outcome=kept)
    with Store(tmp_path / "one.db") as one, Store(tmp_path / "under.db") as under:
        under.add(earlier)
        for each in (earlier, later):
            one.add(each)
        assert list(one.measurements()) == [expected]
    with Store(tmp_path / "over.db") as over:
        over.add(later)

    assert load_data(tmp_path / "under.db", tmp_path / "over.db").measurements == (expected,)


@pytest.mark.parametrize("order", [1, -1])
def test_what_a_cold_search_finds_is_its_own_whoever_found_it_first(order: int, tmp_path: Path) -> None:
    """Transfer is judged by the best that searches found."""
    transferred = replace(measurement(outcome=GOOD), source="collect", policy="nearest", donor="other/abc")
    searched = replace(transferred, source="tune", policy="search", donor=None, seed=7, run="mine")
    first, second = (transferred, searched)[::order]
    with Store(tmp_path / "one.db") as one, Store(tmp_path / "under.db") as under:
        under.add(first)
        for each in (first, second):
            one.add(each)
        assert list(one.measurements()) == [searched]
    with Store(tmp_path / "over.db") as over:
        over.add(second)

    assert load_data(tmp_path / "under.db", tmp_path / "over.db").measurements == (searched,)


def test_the_maximum_is_of_a_quiet_machine_if_there_was_one() -> None:
    busy, quiet, slow = (
        replace(measurement("a", inner), outcome=Outcome.of_times([seconds], load))
        for inner, seconds, load in ((1, 1.0, 2.0), (2, 2.0, 0.0), (4, 3.0, 0.0))
    )
    transfer = replace(measurement("a", 8, Outcome.of_times([0.5])), source="collect")
    here = busy.setting
    stored = Data((busy, quiet, slow, transfer), KERNELS, WORKLOADS, {HARDWARE.id: HARDWARE})

    assert stored.best_searched(here) == {"a": quiet}
    assert replace(stored, measurements=(busy, transfer)).best_searched(here) == {"a": busy}
    assert stored.best_searched(("elsewhere", "p")) == {}


def test_what_was_transferred_keeps_its_donor_after_the_library_found_better_ones() -> None:
    first, better = (measurement("a", inner, Outcome.of_times([s])) for inner, s in ((4, 9.0), (8, 1.0)))
    given = replace(measurement("b", 4, Outcome.of_times([2.0])), donor=first.donor_id)
    known = Data((first, better, given), KERNELS, WORKLOADS, {HARDWARE.id: HARDWARE})

    assert first.donor_id not in [d.id for d in known.donors(HARDWARE, "p")]
    past = known.past_donors(known.measurements, HARDWARE, "p").values()
    assert [(d.id, d.median_seconds, d.rank) for d in past] == [(first.donor_id, 9.0, 1)]
    assert known.past_donors(known.measurements, HARDWARE, "p", ["m"]) == {}


def test_past_donors_are_timed_here_or_else_on_the_nearest_relative() -> None:
    rows = data(("a", WIDER, 2.0), ("a", NARROW, 3.0)).measurements
    given = replace(measurement("b"), donor=rows[0].donor_id)
    machines = {h.id: h for h in (HARDWARE, WIDER, NARROW)}

    def seconds(*more: Measurement) -> list[float]:
        known = Data((*rows, given, *more), KERNELS, WORKLOADS, machines)
        return [d.median_seconds for d in known.past_donors(known.measurements, HARDWARE, "p").values()]

    assert seconds() == [2.0]
    assert seconds(*data(("a", HARDWARE, 5.0)).measurements) == [5.0]


@pytest.mark.parametrize("content", [b"", None], ids=["empty", "begun"])
def test_a_store_that_was_only_begun_is_empty(content: bytes | None, tmp_path: Path) -> None:
    """As after a kill between the making of the file and of its tables."""
    path = tmp_path / "begun.db"
    if content is None:
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA journal_mode = WAL")
    else:
        path.write_bytes(content)

    assert load_data(path).measurements == ()
    with Store(path) as store:
        store.add(measurement("a"))
    assert len(load_data(path).measurements) == 1


def test_reading_a_store_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mine.db"
    with Store(path) as store:
        store.add(measurement("a"))
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
    before = path.read_bytes()

    assert len(load_data(path).measurements) == 1

    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["mine.db"]


def test_shipped_schedules_are_stored_under_their_ids() -> None:
    """Reading believes them, as working them all out takes long."""
    for m in load_data(SHIPPED).measurements[::97]:
        assert Schedule(m.schedule.sketch, m.schedule.decisions).id == m.schedule.id
