"""What a ranker is: scikit-learn's estimator with groups.

`fit(X, y, groups)` takes features [n, len(FEATURE_NAMES)], log2 of seconds relative to the best of
the row's workload (0 is best; NaN for a candidate that failed), and the workload of each row.
`predict(X)` returns one score a row, in the same unit: lower is better. Scores compare within a group.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Matrix: TypeAlias = NDArray[np.float32]
Vector: TypeAlias = NDArray[np.float64]
Groups: TypeAlias = NDArray[np.int64]

FAILED_LOG2_RATIO = 6.0
"""What a failed candidate counts as when a model needs a number: 64 times as slow as the best."""


class Ranker(Protocol):
    """Orders the candidates of a workload, best first by ascending score."""

    def fit(self, X: Matrix, y: Vector, groups: Groups) -> Ranker:
        """Learn from measured candidates; return itself."""
        ...

    def predict(self, X: Matrix) -> Vector:
        """One score for each row; lower is better."""
        ...


def filled(y: Vector) -> Vector:
    """Targets with failures as numbers, and the hopeless tail cut off."""
    return np.minimum(np.where(np.isnan(y), FAILED_LOG2_RATIO, y), FAILED_LOG2_RATIO)
