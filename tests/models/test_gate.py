"""A new ranker is used only if it is no worse on held-out workloads."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recommender.models.gate import Verdict, compare_rankers, held_out_workloads
from recommender.models.training import TrainingSet


class Column:
    """Scores rows by one column."""

    def __init__(self, index: int, sign: float = 1.0) -> None:
        self.index, self.sign = index, sign

    def fit(self, X: np.ndarray, y: np.ndarray, groups: np.ndarray) -> Column:
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.sign * X[:, self.index].astype(float)


def rows(seconds: list[list[float]]) -> TrainingSet:
    """Workloads with their candidates' seconds, which are also the first feature."""
    flat = np.array([s for group in seconds for s in group])
    groups = np.array([g for g, group in enumerate(seconds) for _ in group])
    X = np.stack([np.where(np.isfinite(flat), flat, 99.0), np.zeros(len(flat))], axis=1).astype(np.float32)
    keys = tuple(f"w{g}" for g in range(len(seconds)))
    ones = np.ones(len(flat))
    return TrainingSet(X, np.log2(flat), groups, flat, keys, ones > 0, ones, ("h",) * len(keys))


def test_the_better_ranker_wins_and_the_worse_is_refused() -> None:
    data = rows([[1.0, 2.0, 4.0], [3.0, 6.0, 3.0]])
    good, bad = Column(0), Column(0, -1.0)

    better = compare_rankers(bad, good, data, data.workloads)
    assert better.is_no_worse
    assert better.new_regret == 0.0
    assert better.old_regret == (3.0 + 1.0) / 2

    assert not compare_rankers(good, bad, data, data.workloads).is_no_worse


def test_a_pick_that_failed_is_worse_than_any_that_ran() -> None:
    data = rows([[math.inf, 1.0, 10.0]])
    slow, failing = Column(0, 1.0), Column(0, -1.0)
    verdict = compare_rankers(slow, failing, data, data.workloads)
    assert verdict.new_regret == 63.0
    assert not verdict.is_no_worse


def test_workloads_that_cannot_be_judged_by_are_not() -> None:
    data = rows([[1.0, 2.0], [math.inf, math.inf, math.inf]])
    assert held_out_workloads(data, data.workloads, 0) == set()
    assert compare_rankers(Column(0), Column(1), data, data.workloads) == Verdict(0, None, None)
    assert "nothing to compare" in str(Verdict(0, None, None))


@given(st.integers(2, 40), st.integers(0, 40), st.integers(0, 5))
def test_held_out_are_a_quarter_of_the_users_own(total: int, own: int, seed: int) -> None:
    data = rows([[1.0, 2.0, 3.0]] * total)
    mine = set(data.workloads[:own])

    held_out = held_out_workloads(data, mine, seed)

    pool = mine or set(data.workloads)
    assert held_out <= pool
    if len(pool) >= 2:
        assert len(held_out) == max(1, round(len(pool) / 4))
        assert held_out < pool
        seen = data.without(held_out)
        assert {seen.workloads[g] for g in seen.groups} == set(data.workloads) - held_out
