"""A new ranker is used only if it is no worse on held-out workloads of the machine that it is for."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recommender.models.gate import Verdict, compare_rankers, held_out_workloads, judged_machine
from recommender.models.training import TrainingSet


class Column:
    """Scores rows by one column."""

    def __init__(self, index: int, sign: float = 1.0) -> None:
        self.index, self.sign = index, sign

    def fit(self, X: np.ndarray, y: np.ndarray, groups: np.ndarray) -> Column:
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.sign * X[:, self.index].astype(float)


def rows_of(*places: tuple[str, str, list[float]]) -> TrainingSet:
    """Workloads, machines, and their candidates' seconds, which are also the first feature."""
    keys, machines, seconds = zip(*places, strict=True)
    flat = np.array([s for group in seconds for s in group])
    groups = np.array([g for g, group in enumerate(seconds) for _ in group])
    X = np.stack([np.where(np.isfinite(flat), flat, 99.0), np.zeros(len(flat))], axis=1).astype(np.float32)
    ones = np.ones(len(flat))
    return TrainingSet(X, np.log2(flat), groups, flat, keys, ones > 0, ones, machines)


def rows(seconds: list[list[float]], machine: str = "here") -> TrainingSet:
    """Workloads w0, w1 ... of one machine."""
    return rows_of(*((f"w{g}", machine, group) for g, group in enumerate(seconds)))


def test_the_better_ranker_wins_and_the_worse_is_refused() -> None:
    data = rows([[1.0, 2.0, 4.0], [3.0, 6.0, 3.0]])
    good, bad = Column(0), Column(0, -1.0)

    better = compare_rankers(bad, good, data, "here", data.workloads)
    assert better.is_no_worse
    assert better.new_regret_at_1 == 0.0
    assert better.old_regret_at_1 == (3.0 + 1.0) / 2

    assert not compare_rankers(good, bad, data, "here", data.workloads).is_no_worse


def test_a_pick_that_failed_is_worse_than_any_that_ran() -> None:
    data = rows([[math.inf, 1.0, 10.0]])
    slow, failing = Column(0, 1.0), Column(0, -1.0)
    verdict = compare_rankers(slow, failing, data, "here", data.workloads)
    assert verdict.new_regret_at_1 == 63.0
    assert not verdict.is_no_worse


def test_a_ranker_has_figures_of_its_own_where_none_is_in_use() -> None:
    data = rows([[9.0, 8.0, 4.0, 3.0, 2.0, 1.0]])
    slowest_first = Column(0, -1.0)

    verdict = compare_rankers(None, slowest_first, data, "here", data.workloads)

    assert verdict == Verdict("here", 1, new_regret_at_1=8.0, new_regret_at_5=1.0)
    assert verdict.is_no_worse
    assert "800.0 % with the new ranker, and no ranker in use" in str(verdict)


def test_workloads_that_cannot_be_judged_by_are_not() -> None:
    data = rows([[1.0, 2.0], [math.inf, math.inf, math.inf]])
    assert held_out_workloads(data, "here", data.workloads, 0) == set()
    nothing = Verdict("here", 0)
    assert compare_rankers(Column(0), Column(1), data, "here", data.workloads) == nothing
    assert "nothing to compare" in str(nothing)


SHARED = rows_of(
    # Here the first column is right about w0 and w1; there it is the other way round. w2 has too few here.
    ("w0", "here", [1.0, 2.0, 4.0]),
    ("w0", "there", [1.0, 1.0, 1.0, 64.0]),
    ("w1", "here", [1.0, 3.0, 5.0]),
    ("w1", "elsewhere", [1.0, 1.0, 1.0, 64.0]),
    ("w2", "here", [1.0, 2.0]),
    ("w2", "there", [1.0, 1.0, 1.0, 64.0]),
    ("w3", "there", [1.0, 1.0, 1.0, 64.0]),
)


def test_only_rows_of_the_machine_itself_judge() -> None:
    good, bad = Column(0), Column(0, -1.0)
    everywhere = {"w0", "w1", "w2", "w3"}

    here = compare_rankers(good, bad, SHARED, "here", everywhere)
    assert (here.workloads, here.machine) == (2, "here")  # kernels, not kernels times machines
    assert here.new_regret_at_1 == (3.0 + 4.0) / 2
    assert here.old_regret_at_1 == 0.0

    there = compare_rankers(good, bad, SHARED, "there", everywhere)
    assert (there.workloads, there.new_regret_at_1) == (3, 63.0)


def test_workloads_are_held_out_that_the_machine_itself_can_judge() -> None:
    for seed in range(8):
        assert held_out_workloads(SHARED, "here", ["w0", "w1", "w2", "w3"], seed) < {"w0", "w1"}
        assert held_out_workloads(SHARED, "here", ["w2"], seed) < {"w0", "w1"}
    assert held_out_workloads(SHARED, "elsewhere", ["w1"], 0) == set()


def test_what_is_held_out_is_learned_from_no_machine() -> None:
    left = SHARED.without({"w0"})

    assert "w0" not in {left.workloads[g] for g in left.groups}
    assert len(left.y) == len(SHARED.y) - 7


def test_the_nearest_machine_that_can_judge_judges() -> None:
    assert judged_machine(SHARED, ["here", "there"]) == "here"
    assert judged_machine(SHARED, ["unknown", "elsewhere", "there", "here"]) == "there"
    assert judged_machine(SHARED, ["elsewhere"]) is None


@given(st.integers(2, 40), st.integers(0, 40), st.integers(0, 5))
def test_held_out_are_a_quarter_of_the_users_own(total: int, own: int, seed: int) -> None:
    data = rows([[1.0, 2.0, 3.0]] * total)
    mine = set(data.workloads[:own])

    held_out = held_out_workloads(data, "here", mine, seed)

    pool = mine if len(mine) > 1 else set(data.workloads)
    assert len(held_out) == max(1, round(len(pool) / 4))
    assert held_out < pool
    seen = data.without(held_out)
    assert {seen.workloads[g] for g in seen.groups} == set(data.workloads) - held_out
