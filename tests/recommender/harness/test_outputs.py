"""When two outputs count as the same."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.harness.outputs import TOLERANCE, allowed_difference, difference

values = st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=8)


@given(values, st.floats(0, 10))
def test_the_gap_is_a_share_of_the_largest_magnitude(given_values: list[float], share: float) -> None:
    expected = np.array(given_values, np.float64)
    scale = np.abs(expected).max() or 1.0
    actual = expected.copy()
    actual[0] += share * scale

    assert difference(expected, expected) == 0
    assert difference(actual, expected) == pytest.approx(share)


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        ([1.0, math.nan], [1.0, 2.0]),
        ([1.0, 2.0], [1.0, math.nan]),
        ([1.0, math.nan], [1.0, math.inf]),
        ([1.0, -math.inf], [1.0, math.inf]),
        ([1.0], [1.0, 1.0]),
    ],
)
def test_what_is_not_finite_must_be_the_same(actual: list[float], expected: list[float]) -> None:
    assert difference(np.array(actual), np.array(expected)) == math.inf
    assert difference(np.array(expected), np.array(expected)) == 0


def test_integers_and_booleans_are_compared_too() -> None:
    assert difference(np.array([3, 5]), np.array([3, 4])) == 0.25
    assert difference(np.array([True, False]), np.array([True, True])) == 1


class TestAllowedDifference:
    def test_the_reference_is_not_asked_where_nothing_is_off(self) -> None:
        def never() -> float:
            raise AssertionError("asked")

        assert allowed_difference([0.0, 9e-5, math.inf], never) == TOLERANCE

    def test_a_model_that_amplifies_rounding_may_be_off_by_twice_what_the_reference_is(self) -> None:
        assert allowed_difference([8e-4], lambda: 6e-4) == pytest.approx(1.2e-3)

    def test_of_any_other_model_a_difference_stays_wrong(self) -> None:
        assert allowed_difference([8e-4], lambda: 3e-6) == TOLERANCE

    @pytest.mark.parametrize("spread", [0.5, math.inf])
    def test_a_reference_that_cannot_say_does_not_allow_everything(self, spread: float) -> None:
        assert allowed_difference([8e-4], lambda: spread) == 1e-2
