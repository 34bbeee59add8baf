"""When two computations count as the same: schedules and builds are held to it alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1e-4
"""Largest difference, as a share of the expected output's largest magnitude."""
_SPREADS = 2.0
_MOST = 1e-2


def difference(actual: NDArray[np.generic], expected: NDArray[np.generic]) -> float:
    """The largest gap as a share of the largest expected magnitude.

    Infinite for another shape, and where one is infinite or not a number and the other is not the same.
    """
    if actual.shape != expected.shape:
        return math.inf
    finite = np.isfinite(expected)
    if not np.isfinite(actual[finite]).all():
        return math.inf
    if not np.array_equal(actual[~finite], expected[~finite], equal_nan=expected.dtype.kind == "f"):
        return math.inf
    scale = float(np.max(np.abs(expected[finite]), initial=0.0)) or 1.0
    gap = np.abs(actual[finite].astype(np.float64) - expected[finite].astype(np.float64))
    return float(np.max(gap, initial=0.0)) / scale


def allowed_difference(differences: Iterable[float], reference_spread: Callable[[], float]) -> float:
    """How far outputs may be off: `TOLERANCE`, or for a model that amplifies rounding, more.

    Some models (MobileBERT with random weights) give outputs further apart than that if sums are only taken
    in another order. `reference_spread` says how far apart two ways are in which the reference itself
    computes them; it is asked only if a difference is too large, and twice as much is allowed, up to 1 %.
    """
    if not any(TOLERANCE < difference < math.inf for difference in differences):
        return TOLERANCE
    return min(max(TOLERANCE, _SPREADS * reference_spread()), _MOST)
