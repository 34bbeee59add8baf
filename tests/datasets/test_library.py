"""The library: good and distinct schedules, and leaving a model out leaves out what descends from it."""

from __future__ import annotations

from dataclasses import replace

from recommender.datasets.library import PER_WORKLOAD, build_library
from recommender.datasets.lineage import Lineage
from recommender.datasets.records import KernelUse, Measurement
from recommender.vocabulary import Donor, Outcome, Schedule, Status
from tests.datasets.test_store import HARDWARE, SKETCH, measurement
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
    return build_library(
        measurements, WORKLOADS, lineage, hardware=HARDWARE.id, pipeline="p", exclude_models=exclude
    )


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


def test_failures_and_other_hardware_are_no_donors() -> None:
    failed = measurement("a", 4, Outcome.failure(Status.WRONG_OUTPUT, "off"))
    elsewhere = replace(timed("a", 8, 1.0), hardware="other")

    assert library(failed, elsewhere) == []


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
