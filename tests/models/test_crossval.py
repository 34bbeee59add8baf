"""Leaving a model out: nothing of it is learned from, and only its own shapes are ranked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pytest

from recommender.datasets.layers import Data
from recommender.datasets.records import KernelUse, Measurement
from recommender.models.crossval import KS, Fold, KernelScore, gain_over, make_folds
from recommender.models.training import TrainingSet
from recommender.vocabulary import Outcome, Schedule
from tests.datasets.test_store import HARDWARE, SKETCH, measurement
from tests.recommender.test_candidates import matmul

OWN = {"a": {"a1", "ab"}, "b": {"b1", "ab"}, "c": {"c1"}}
"""The workloads of each model; the first two share one."""
NOVEL = {"a": "a1", "b": "b1", "c": "c1"}
SIZES = {"a1": 64, "b1": 32, "c1": 128, "ab": 16}
SCHEDULES = [
    Schedule(SKETCH, ((64 // inner, 1, 1, inner), choice))
    for choice in (0, 1)
    for inner in (1, 2, 4, 8, 16, 32)
]

DONORS: dict[str, dict[int, str]] = {
    # Which schedule of each workload (by number) descends from which other; the others were searched for it.
    "a1": {**dict.fromkeys(range(1, 5), "b1/0"), **dict.fromkeys(range(5, 10), "c1/0"), 10: "b1/5"},
    "b1": {**dict.fromkeys(range(1, 5), "c1/0"), **dict.fromkeys(range(5, 10), "a1/0"), 10: "c1/5"},
    "c1": {**dict.fromkeys(range(1, 5), "b1/0"), **dict.fromkeys(range(5, 10), "a1/0"), 10: "ab/0"},
    "ab": dict.fromkeys(range(1, 10), "c1/0"),
}
PLACES = [(key, n) for key in DONORS for n in range(len(SCHEDULES))]


def descent(key: str, n: int) -> set[str]:
    """The workloads that a schedule owes something to: its own, its donor's, its donor's donor's ..."""
    donor = DONORS[key].get(n)
    return {key} | (line_of(donor) if donor else set())


def line_of(donor: str) -> set[str]:
    """What a donor, as it is called in `DONORS`, owes something to."""
    key, n = donor.split("/")
    return descent(key, int(n))


def measured(key: str, n: int, slower: float = 1.0) -> Measurement:
    """The n-th schedule of a workload; its place in `PLACES` is the time at which it was measured."""
    donor = DONORS[key].get(n)
    parent, number = donor.split("/") if donor else ("", "0")
    return replace(
        measurement(key, outcome=Outcome.of_times([slower * (1 + n / 100)])),
        schedule=SCHEDULES[n],
        donor=f"{parent}/{SCHEDULES[int(number)].id}" if donor else None,
        policy="nearest" if donor else "search",
        measured_at=float(PLACES.index((key, n))),
    )


def data(slower: dict[tuple[str, int], float] | None = None) -> Data:
    """What was measured; some of it slower than it was."""
    rows = tuple(measured(*place, (slower or {}).get(place, 1.0)) for place in PLACES)
    kernels = tuple(KernelUse(model, key, key, 1, "p") for model, keys in OWN.items() for key in sorted(keys))
    workloads = {key: matmul(64, 64, size, key=key) for key, size in SIZES.items()}
    return Data(rows, kernels, workloads, {HARDWARE.id: HARDWARE})


def folds(known: Data, novel_shapes: bool = True) -> dict[str, Fold]:
    return {f.model: f for f in make_folds(known, HARDWARE, "p", novel_shapes=novel_shapes)}


def places(rows: TrainingSet) -> set[tuple[str, int]]:
    """Which schedules of which workloads the rows are of."""
    found = [PLACES[int(at)] for at in rows.measured_at]
    assert [key for key, _ in found] == [rows.workloads[g] for g in rows.groups]
    return set(found)


def without(workloads: Collection[str]) -> set[tuple[str, int]]:
    """What has none of the workloads in its line."""
    return {place for place in PLACES if descent(*place).isdisjoint(workloads)}


@pytest.mark.parametrize("model", OWN)
def test_nothing_that_descends_from_a_model_is_learned_from(model: str) -> None:
    fold = folds(data())[model]

    kept = without(OWN[model])
    assert places(fold.train) == kept
    assert len({key for key, _ in kept}) == len(SIZES) - len(OWN[model])


def test_a_grandchild_is_left_out_with_its_grandparent() -> None:
    """Said again in so many words: b1/10 comes from c1/5, which comes from a1."""
    assert descent("b1", 10) == {"a1", "b1", "c1"}
    assert ("b1", 10) not in places(folds(data())["a"].train)
    assert ("b1", 4) in places(folds(data())["a"].train)


@pytest.mark.parametrize("model", OWN)
def test_how_fast_a_left_out_model_is_changes_nothing_that_is_learned_from(model: str) -> None:
    """Neither rows nor features: a donor's rank among its kernel's schedules is a feature too."""
    tainted = set(PLACES) - without(OWN[model])
    before = folds(data())[model].train
    after = folds(data({(key, n): 0.5 if n % 2 else 3.0 for key, n in tainted}))[model].train

    assert len(before.y)
    for column in ("X", "y", "groups", "seconds", "is_transfer"):
        np.testing.assert_array_equal(getattr(before, column), getattr(after, column), err_msg=column)
    assert before.workloads == after.workloads


@pytest.mark.parametrize("model", OWN)
def test_what_is_ranked_are_transfers_from_other_models_to_shapes_of_its_own(model: str) -> None:
    fold = folds(data())[model]

    key = NOVEL[model]
    foreign = {(key, n) for n, donor in DONORS[key].items() if key not in line_of(donor)}
    assert 8 <= len(foreign) <= len(DONORS[key])
    assert places(fold.test) == foreign
    assert fold.test.is_transfer.all()
    assert set(fold.calls) == OWN[model]


def test_what_a_model_was_lowered_to_once_is_left_out_with_it_but_not_judged() -> None:
    now = data()
    once = replace(now, kernels=tuple(replace(u, calls=u.calls * (u.workload != "a1")) for u in now.kernels))
    before, after = (folds(known, novel_shapes=False)["a"] for known in (now, once))

    assert {key for key, _ in places(before.test)} == {"a1", "ab"}
    assert {key for key, _ in places(after.test)} == {"ab"}
    assert places(after.train) == places(before.train)
    assert "a" not in folds(once)  # of whose shapes of its own none is left


def test_shared_shapes_are_ranked_only_where_they_are_asked_for() -> None:
    fold = folds(data(), novel_shapes=False)["a"]

    assert {key for key, _ in places(fold.test)} == {"a1", "ab"}
    kept = {(key, n) for key, n in without({"a1"}) if key not in OWN["a"]}
    assert places(fold.train) == kept
    assert ("c1", 10) in kept  # of a shape that another model has as well


def score(ranker: str, workload: str, regret_at_2: float, weight: float = 1.0) -> KernelScore:
    """A kernel's score; at other k all rankers are the same."""
    return KernelScore(
        ranker=ranker,
        model="m",
        workload=workload,
        weight=weight,
        candidates=9,
        regret=tuple(regret_at_2 if k == 2 else 7.0 for k in KS),
        invalid=(0.0,) * len(KS),
        recall=(1.0,) * len(KS),
        ndcg=1.0,
        pairwise=1.0,
    )


REGRETS = {"u": (0.1, 0.2), "v": (0.0, 0.5), "w": (0.3, 0.4), "x": (0.1, 0.3)}
SCORES = [
    score(name, key, regret)
    for key, both in REGRETS.items()
    for name, regret in zip(("new", "old"), both, strict=True)
]


class TestGain:
    def test_is_positive_where_the_first_ranker_has_less_regret(self) -> None:
        gain, (low, high) = gain_over(SCORES, "new", "old", 2)
        loss, (lowest, highest) = gain_over(SCORES, "old", "new", 2)

        assert gain == pytest.approx((0.1 + 0.5 + 0.1 + 0.2) / 4)
        assert 0 < low < gain < high  # certain: better on every kernel
        assert loss == pytest.approx(-gain)
        assert (lowest, highest) == pytest.approx((-high, -low))

    def test_is_uncertain_where_kernels_disagree(self) -> None:
        one_lost = [*SCORES, score("new", "y", 0.9), score("old", "y", 0.2)]

        _, (low, high) = gain_over(one_lost, "new", "old", 2)

        assert low < 0 < high

    def test_weighs_kernels_by_their_time(self) -> None:
        heavy = [*SCORES, score("new", "y", 0.9, weight=12.0), score("old", "y", 0.2, weight=12.0)]

        gain, (low, high) = gain_over(heavy, "new", "old", 2)

        assert gain == pytest.approx((0.9 - 12 * 0.7) / 16)
        assert low < -0.6 < gain < 0 < high  # almost all of it is the heavy kernel's, where it is drawn

    def test_has_no_width_where_all_kernels_gain_the_same(self) -> None:
        same = [score(name, key, r) for key in "uvw" for name, r in (("new", 0.25), ("old", 0.5))]

        gain, interval = gain_over(same, "new", "old", 2)

        assert (gain, *interval) == pytest.approx((0.25, 0.25, 0.25))

    def test_counts_only_kernels_that_both_have_ranked(self) -> None:
        more = [*SCORES, score("new", "y", 0.0), score("old", "z", 9.0), score("other", "u", 0.0)]

        assert gain_over(more, "new", "old", 2) == gain_over(SCORES, "new", "old", 2)
