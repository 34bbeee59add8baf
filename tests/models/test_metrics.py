"""Metrics on rankings whose value is known."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.models import metrics

SECONDS = np.array([1.0, 2.0, 4.0, math.inf])
RIGHT, WRONG = np.array([0.0, 1, 2, 3]), np.array([3.0, 2, 1, 0])

rankings = st.lists(st.floats(0.1, 10), min_size=1, max_size=12).flatmap(
    lambda s: st.tuples(st.just(np.array(s)), st.permutations(range(len(s))).map(np.array))
)


def test_a_perfect_ranking() -> None:
    assert metrics.regret(RIGHT, SECONDS, 1) == 0
    assert metrics.ndcg(RIGHT, SECONDS, 4) == pytest.approx(1)
    assert metrics.recall(RIGHT, SECONDS, 2) == 1
    assert metrics.pairwise_accuracy(RIGHT, SECONDS) == 1


def test_the_worst_ranking() -> None:
    assert metrics.regret(WRONG, SECONDS, 1) == math.inf
    assert metrics.regret(WRONG, SECONDS, 2) == 3
    assert metrics.invalid_share(WRONG, SECONDS, 2) == 0.5
    assert metrics.pairwise_accuracy(WRONG, SECONDS) == 0
    assert metrics.ndcg(WRONG, SECONDS, 4) < 1


@given(rankings)
def test_regret_falls_with_k_to_nothing(ranking: tuple[np.ndarray, np.ndarray]) -> None:
    seconds, scores = ranking
    regrets = [metrics.regret(scores, seconds, k) for k in range(1, len(seconds) + 1)]

    assert regrets == sorted(regrets, reverse=True)
    assert regrets[-1] == 0


@settings(max_examples=25)
@given(st.lists(st.floats(0.1, 10) | st.just(math.inf), min_size=1, max_size=4), st.integers(1, 6))
def test_chance_is_the_mean_over_all_orders(others: list[float], k: int) -> None:
    seconds = np.array([0.05, *others])  # something ran
    orders = [np.array(order) for order in itertools.permutations(range(len(seconds)))]
    each = [metrics.quality(order, seconds, [k]) for order in orders]
    chance = metrics.chance_quality(seconds, [k])

    for name in ("regret", "invalid", "recall"):
        assert getattr(chance, name) == pytest.approx(np.mean([getattr(q, name) for q in each], axis=0))
    assert chance.ndcg == pytest.approx(np.mean([q.ndcg for q in each]))
    if len(set(seconds)) == len(seconds):
        assert chance.pairwise == pytest.approx(np.mean([q.pairwise for q in each]))


def test_an_interval_holds_the_mean_and_repeats() -> None:
    values = [1.0, 2, 3, 4, 5]
    low, high = metrics.bootstrap_interval(values)

    assert low < 3 < high
    assert metrics.bootstrap_interval(values) == (low, high)
