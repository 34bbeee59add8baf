"""Rows to train on: what they are made from, and which of them are transfers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recommender.datasets.layers import Data
from recommender.datasets.records import KernelUse, Measurement
from recommender.errors import DataError
from recommender.features import FEATURE_NAMES
from recommender.models.artefact import RankerCard
from recommender.models.training import (
    OTHER_MACHINE_WEIGHT,
    TrainingSet,
    describe_ranker,
    machine_weights,
    train_ranker,
    training_set,
)
from recommender.vocabulary import Outcome, Status
from tests.datasets.test_store import HARDWARE, measurement
from tests.recommender.test_candidates import matmul

WORKLOADS = {"a": matmul(64, 64, 64, key="a"), "b": matmul(64, 64, 32, key="b")}
KERNELS = (KernelUse("model-a", "a", "k", 1, "p"), KernelUse("model-b", "b", "k", 1, "p"))


def timed(workload: str, inner: int, seconds: float) -> Measurement:
    return replace(measurement(workload, inner, Outcome.of_times([seconds])), donor=None)


DONOR = timed("a", 4, 4.0)
TRANSFER = replace(timed("b", 4, 2.0), policy="nearest", donor=DONOR.donor_id)
OTHER = replace(DONOR, workload="b")
ELSEWHERE = replace(HARDWARE, cpu="elsewhere")


def rows_of(*measured: Measurement) -> TrainingSet:
    return training_set(Data(measured, KERNELS, WORKLOADS, {HARDWARE.id: HARDWARE}), [HARDWARE], "p")


def feature(rows: TrainingSet, name: str) -> list[float]:
    return [float(value) for value in rows.X[:, FEATURE_NAMES.index(name)]]


def test_a_transfer_has_the_features_of_the_donor_that_it_was_made_from() -> None:
    rows = rows_of(DONOR, TRANSFER)

    assert rows.is_transfer.tolist() == [False, True]
    gflops = np.log2(WORKLOADS["a"].flops / 4.0 / 1e9)
    assert feature(rows, "pair.donor_gflops_log2")[1] == np.float32(gflops)
    assert np.isnan(feature(rows, "pair.donor_gflops_log2")[0])


def test_better_schedules_in_the_library_do_not_change_who_gave_it() -> None:
    rows = rows_of(DONOR, timed("a", 8, 1.0), TRANSFER)

    assert rows.is_transfer.tolist() == [False, False, True]
    assert feature(rows, "pair.donor_rank")[2] == 1


def test_what_a_search_made_of_its_donors_is_no_transfer() -> None:
    found = replace(TRANSFER, policy="search", source="warm-tune")

    assert rows_of(DONOR, found).is_transfer.tolist() == [False, False]


def test_what_its_own_model_gave_is_no_transfer() -> None:
    first = timed("b", 8, 4.0)
    own = replace(TRANSFER, donor=first.donor_id)

    assert rows_of(DONOR, first, own).is_transfer.tolist() == [False, False, False]


def test_transfers_are_the_lessons_and_are_compared_with_each_other() -> None:
    slower = replace(TRANSFER, schedule=timed("b", 32, 1.0).schedule, outcome=Outcome.of_times([8.0]))
    rows = rows_of(DONOR, timed("a", 8, 1.0), timed("b", 16, 0.5), TRANSFER, slower)

    lessons = rows.lessons()

    assert lessons.is_transfer.all()
    assert lessons.seconds.tolist() == [2.0, 8.0]
    assert lessons.y.tolist() == [0.0, 2.0]


def test_where_no_transfer_ran_searches_are_the_lessons() -> None:
    failed = replace(TRANSFER, outcome=Outcome.failure(Status.CRASHED, "SIGSEGV"))

    lessons = rows_of(DONOR, timed("a", 8, 1.0), failed).lessons()

    assert sorted(lessons.seconds) == [1.0, 4.0]


@pytest.mark.parametrize("ran", [True, False])
def test_what_is_no_lesson_need_not_be_encoded(ran: bool) -> None:
    transfer = TRANSFER if ran else replace(TRANSFER, outcome=Outcome.failure(Status.CRASHED, "SIGSEGV"))
    known = Data((DONOR, timed("a", 8, 1.0), transfer), KERNELS, WORKLOADS, {HARDWARE.id: HARDWARE})

    everything = training_set(known, [HARDWARE], "p").lessons()
    encoded = training_set(known, [HARDWARE], "p", lessons_only=True)

    assert encoded.is_transfer.all() == ran
    np.testing.assert_array_equal(encoded.lessons().X, everything.X)
    np.testing.assert_array_equal(encoded.lessons().y, everything.y)


def test_times_from_a_busy_machine_count_only_where_there_are_no_others() -> None:
    busy = replace(timed("a", 8, 8.0), outcome=Outcome.of_times([8.0], load=1.0))
    failed = replace(timed("a", 16, 1.0), outcome=Outcome.failure(Status.CRASHED, "SIGSEGV"))

    assert rows_of(DONOR, busy, failed).seconds.tolist() == [4.0, np.inf]
    assert rows_of(busy, failed).seconds.tolist() == [8.0, np.inf]


def test_another_machine_weighs_less_only_of_what_this_one_measured_too() -> None:
    there = [replace(m, hardware=ELSEWHERE.id) for m in (DONOR, OTHER)]
    known = Data((DONOR, *there), KERNELS, WORKLOADS, {h.id: h for h in (HARDWARE, ELSEWHERE)})
    rows = training_set(known, known.relatives(HARDWARE), "p")

    weights = machine_weights(rows, HARDWARE.id)

    found = {(rows.workloads[g], rows.machines[g]): w for g, w in zip(rows.groups, weights, strict=True)}
    assert found == {
        ("a", HARDWARE.id): 1.0,
        ("a", ELSEWHERE.id): OTHER_MACHINE_WEIGHT,
        ("b", ELSEWHERE.id): 1.0,
    }
    assert set(machine_weights(rows, "a machine without outcomes")) == {1.0}


class TestWhatARankerWasTrainedOn:
    """Two pages are of the same training only if the two rankers are the same."""

    FAILED = replace(
        TRANSFER,
        schedule=timed("b", 16, 1.0).schedule,
        outcome=Outcome.failure(Status.CRASHED, "SIGSEGV"),
    )

    def page(self, *measured: Measurement, **changes: Any) -> RankerCard:
        known = Data(measured, KERNELS, WORKLOADS, {h.id: h for h in (HARDWARE, ELSEWHERE)})
        rows = training_set(known, known.relatives(HARDWARE), "p")
        return describe_ranker(known, rows, **{"hardware": HARDWARE.id, **changes})

    def test_is_the_same_for_the_same_outcomes_whatever_the_day_and_the_verdict(self) -> None:
        page = self.page(DONOR, TRANSFER)
        later = replace(self.page(DONOR, TRANSFER), trained_at="another day", metrics={"regret_at_1": 0.5})

        assert page.is_of_same_training(later)
        assert page.is_of_same_training(
            self.page(DONOR, timed("a", 8, 1.0), TRANSFER)
        )  # one more in a search
        assert (page.hardware, page.seed) == (HARDWARE.id, 0)

    def test_differs_with_outcomes_and_settings(self) -> None:
        page = self.page(DONOR, TRANSFER)
        others = {
            "another time": self.page(DONOR, replace(TRANSFER, outcome=Outcome.of_times([3.0]))),
            "one more that failed": self.page(DONOR, TRANSFER, self.FAILED),
            "measured elsewhere": self.page(DONOR, replace(TRANSFER, hardware=ELSEWHERE.id)),
            "trained for elsewhere": self.page(DONOR, TRANSFER, hardware=ELSEWHERE.id),
            "another seed": self.page(DONOR, TRANSFER, seed=1),
            "another objective": self.page(DONOR, TRANSFER, objective="ndcg"),
            "a model left out": self.page(DONOR, TRANSFER, exclude_models=["model-c"]),
            "other features": replace(page, features_hash="other"),
            "an older page": replace(page, seed=None, hardware=None),
        }

        assert [name for name, other in others.items() if page.is_of_same_training(other)] == []

    def test_which_candidate_failed_is_part_of_the_digest(self) -> None:
        first, second = (
            self.page(
                *(replace(m, outcome=self.FAILED.outcome) if m is failed else m for m in (DONOR, OTHER))
            )
            for failed in (DONOR, OTHER)
        )

        assert (first.rows, first.workloads) == (second.rows, second.workloads)
        assert first.data_digest != second.data_digest


def test_nothing_is_learned_where_nothing_ran() -> None:
    failed = replace(timed("a", 16, 1.0), outcome=Outcome.failure(Status.CRASHED, "SIGSEGV"))
    known = Data((failed,), KERNELS, WORKLOADS, {HARDWARE.id: HARDWARE})

    with pytest.raises(DataError, match=r"none of 1 measured candidates ran.*recommender collect"):
        train_ranker(known, HARDWARE, "p")
