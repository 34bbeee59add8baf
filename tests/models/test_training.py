"""Rows to train on: what they are made from, and which of them are transfers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recommender.datasets.layers import Data
from recommender.datasets.records import KernelUse, Measurement
from recommender.features import FEATURE_NAMES
from recommender.models.training import TrainingSet, training_set
from recommender.vocabulary import Outcome, Status
from tests.datasets.test_store import HARDWARE, measurement
from tests.recommender.test_candidates import matmul

WORKLOADS = {"a": matmul(64, 64, 64, key="a"), "b": matmul(64, 64, 32, key="b")}
KERNELS = (KernelUse("model-a", "a", "k", 1, "p"), KernelUse("model-b", "b", "k", 1, "p"))


def timed(workload: str, inner: int, seconds: float) -> Measurement:
    return replace(measurement(workload, inner, Outcome.of_times([seconds])), donor=None)


DONOR = timed("a", 4, 4.0)
TRANSFER = replace(timed("b", 4, 2.0), policy="nearest", donor=DONOR.donor_id)


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


def test_times_from_a_busy_machine_count_only_where_there_are_no_others() -> None:
    busy = replace(timed("a", 8, 8.0), outcome=Outcome.of_times([8.0], load=1.0))
    failed = replace(timed("a", 16, 1.0), outcome=Outcome.failure(Status.CRASHED, "SIGSEGV"))

    assert rows_of(DONOR, busy, failed).seconds.tolist() == [4.0, np.inf]
    assert rows_of(busy, failed).seconds.tolist() == [8.0, np.inf]
