"""Builds are timed in rounds until it is clear which is the fastest."""

from hypothesis import given
from hypothesis import strategies as st

from recommender.harness.latency import is_clear

seconds = st.floats(0.001, 1.0)


def test_the_same_winner_by_far_is_clear() -> None:
    assert is_clear([[1.0, 1.5], [1.02, 1.5], [0.99, 1.49]])
    assert is_clear([[1.5, 1.0], [1.5, 1.02], [1.49, 0.99]])


def test_a_gap_within_what_rounds_differ_is_not() -> None:
    assert not is_clear([[1.0, 1.05], [1.04, 1.05], [0.97, 1.05]])
    assert is_clear([[1.0, 1.05], [1.04, 1.05], [0.97, 1.05]] * 3)
    assert not is_clear([[1.0, 1.5], [1.6, 1.5], [0.9, 1.5]])


def test_few_rounds_say_nothing() -> None:
    assert not is_clear([])
    assert not is_clear([[1.0, 9.0], [1.0, 9.0]])


def test_every_other_must_be_beaten() -> None:
    assert is_clear([[1.0, 1.5, 2.0]] * 3)
    assert not is_clear([[1.0, 1.0, 2.0]] * 3)


@given(st.lists(st.tuples(seconds, seconds), min_size=3, max_size=9))
def test_it_does_not_depend_on_who_comes_first(turns: list[tuple[float, float]]) -> None:
    assert is_clear(turns) == is_clear([(b, a) for a, b in turns])
