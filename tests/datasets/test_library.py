"""The library: good and distinct schedules, leaving models out, and the commands that look after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from recommender.cli import app
from recommender.datasets.library import PER_WORKLOAD, build_library
from recommender.datasets.lineage import Lineage
from recommender.datasets.records import KernelUse, Measurement, Search
from recommender.datasets.store import Store
from recommender.session import Machine
from recommender.vocabulary import Donor, Hardware, Outcome, Schedule, Status
from tests.datasets.test_store import SKETCH, measurement
from tests.recommender.test_candidates import matmul

WORKLOADS = {name: matmul(64, 64, 64, key=name) for name in ("a", "b", "shared")}
KERNELS = [
    KernelUse("model-a", "a", "k", 1, "p"),
    KernelUse("model-b", "b", "k", 1, "p"),
    KernelUse("model-a", "shared", "k", 1, "p"),
    KernelUse("model-b", "shared", "k", 1, "p"),
]


def timed(workload: str, inner: int, seconds: float, donor: str | None = None) -> Measurement:
    return replace(measurement(workload, inner, Outcome.of_times([seconds])), donor=donor)


def library(*measurements: Measurement, exclude: tuple[str, ...] = ()) -> list[Donor]:
    lineage = Lineage.of(measurements, KERNELS)
    return build_library(measurements, WORKLOADS, lineage, exclude)


def test_the_best_distinct_schedules_come_first() -> None:
    donors = library(timed("a", 4, 2.0), timed("a", 8, 1.0), timed("a", 2, 9.0))

    assert [(d.median_seconds, d.rank) for d in donors] == [(1.0, 0)]
    donors = library(timed("a", 4, 1.2), timed("a", 8, 1.0))
    assert [(d.median_seconds, d.rank) for d in donors] == [(1.0, 0), (1.2, 1)]


def test_schedules_that_differ_in_no_tile_count_once() -> None:
    same = replace(timed("a", 8, 1.1), schedule=Schedule(SKETCH, ((8, 1, 1, 8), 0)))

    assert len(library(timed("a", 8, 1.0), same)) == 1


def test_at_most_so_many_of_a_workload() -> None:
    many = [timed("a", inner, 1 + inner / 1000) for inner in (1, 2, 4, 8, 16, 32)]

    assert len(library(*many)) == PER_WORKLOAD


def test_failures_are_no_donors() -> None:
    assert library(measurement("a", 4, Outcome.failure(Status.WRONG_OUTPUT, "off"))) == []


def test_leaving_a_model_out_leaves_out_its_schedules() -> None:
    rows = (timed("a", 8, 1.0), timed("b", 8, 1.0), timed("shared", 8, 1.0))

    assert {d.workload.key for d in library(*rows, exclude=("model-a",))} == {"b", "shared"}
    assert {d.workload.key for d in library(*rows, exclude=("model-a", "model-b"))} == set()


def test_leaving_a_model_out_leaves_out_what_descends_from_it() -> None:
    parent = timed("a", 8, 1.0)
    child = timed("b", 16, 1.0, donor=f"a/{parent.schedule.id}")
    grandchild = timed("shared", 4, 1.0, donor=f"b/{child.schedule.id}")

    kept = library(parent, child, grandchild, exclude=("model-a",))

    assert kept == []
    everything = library(parent, child, grandchild)
    assert {d.workload.key: d.origins for d in everything}["b"] == {"model-a", "model-b"}


def store_of(path: Path, hardware: Hardware, pipeline: str, *keys: str, schedules: int = 3) -> Path:
    """Append some workloads, each of a model of its own and measured with so many schedules."""
    with Store(path) as store:
        store.add_hardware(hardware)
        store.add_kernels(
            (KernelUse(f"model-{key}", key, "k", 1, pipeline), matmul(64, 64, 64, key=key)) for key in keys
        )
        for key in keys:
            for inner in [2**n for n in range(schedules)]:
                m = timed(key, inner, 1e-3 * (1 + inner))
                store.add(replace(m, hardware=hardware.id, pipeline=pipeline))
    return path


def contents(path: Path) -> tuple[list[Measurement], list[KernelUse], list[Search]]:
    with Store(path, read_only=True) as store:
        return list(store.measurements()), store.kernels(), store.searches()


class TestCommands:
    """`recommender library`, in this process."""

    @pytest.fixture
    def store(self, tmp_path: Path, machine: Machine) -> Path:
        """Two kernels as this version lowers them, and one as an older one did."""
        path = store_of(tmp_path / "own.db", machine.hardware, machine.pipeline, "a", "b")
        with Store(store_of(path, machine.hardware, "older", "c")) as opened:
            for key, pipeline in (("a", machine.pipeline), ("c", "older")):
                opened.finish_search(Search(key, machine.hardware.id, pipeline, 64, 1.0))
        return path

    @pytest.fixture
    def run(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
        """A command, with nothing but one's own store to read."""
        monkeypatch.setattr("recommender.datasets.layers.SHIPPED", tmp_path / "nothing-shipped.db")
        return lambda *arguments: CliRunner().invoke(app, ["library", *map(str, arguments)])

    def test_list_counts_schedules_by_class_and_model(
        self, store: Path, run: Callable[..., Any], machine: Machine
    ) -> None:
        """One of each kernel is nearly as fast as its best: that one."""
        listed = run("list", "--store", store)

        assert listed.exit_code == 0, listed.stderr
        assert f"2 schedules for {machine.hardware.id}, pipeline {machine.pipeline}" in listed.stdout
        lines = [line.split() for line in listed.stdout.splitlines()]
        assert ["2", "matmul+T_add"] in lines
        assert ["1", "model-a"] in lines
        assert "model-c" not in listed.stdout  # of another pipeline

        without = run("list", "--store", store, "--exclude-model", "model-a").stdout
        assert without.startswith("1 schedules")
        assert "model-a" not in without

    def test_prune_drops_what_other_pipelines_measured_and_nothing_else(
        self, store: Path, run: Callable[..., Any], machine: Machine
    ) -> None:
        measured, uses, searches = contents(store)
        kept = [m for m in measured if m.pipeline == machine.pipeline]
        assert 0 < len(kept) < len(measured)

        pruned = run("prune", "--store", store)

        assert (pruned.exit_code, pruned.stdout) == (0, "3 measurements dropped\n"), pruned.stderr
        assert contents(store) == (
            kept,
            [use for use in uses if use.pipeline == machine.pipeline],
            [search for search in searches if search.pipeline == machine.pipeline],
        )
        assert run("prune", "--store", store).stdout == "0 measurements dropped\n"

    def test_prune_of_no_store_makes_none(self, tmp_path: Path, run: Callable[..., Any]) -> None:
        pruned = run("prune", "--store", tmp_path / "none.db")

        assert (pruned.exit_code, pruned.stdout) == (7, "")
        assert not (tmp_path / "none.db").exists()

    def test_an_exported_store_holds_all_of_it_and_adds_to_another(
        self, store: Path, run: Callable[..., Any], tmp_path: Path, machine: Machine
    ) -> None:
        before = contents(store)
        exported, other = tmp_path / "exported.db", tmp_path / "other.db"

        done = run("export", exported, "--store", store)

        assert (done.exit_code, done.stdout) == (0, f"{exported}\n"), done.stderr
        assert [p.name for p in tmp_path.glob("exported*")] == ["exported.db"]  # one file to carry away
        assert contents(exported) == contents(store) == before

        store_of(other, machine.hardware, machine.pipeline, "a")
        assert run("add", exported, "--store", other).stdout == "6 measurements added\n"
        assert contents(other) == before

    def test_an_export_replaces_no_file(self, store: Path, run: Callable[..., Any], tmp_path: Path) -> None:
        taken = tmp_path / "thesis.tex"
        taken.write_text("")

        done = run("export", taken, "--store", store)

        assert done.exit_code == 7
        assert "exists; give the name of a new file" in done.stderr
        assert taken.read_text() == ""
