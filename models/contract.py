"""What a ranker is: scikit-learn's estimator with groups.

`fit(X, y, groups=None)` takes features [n, len(FEATURE_NAMES)], log2 of seconds relative to the best of
the row's workload (0 is best; NaN for a candidate that failed), and the workload of each row.
`predict(X)` returns one score a row, in the same unit: lower is better. Scores compare within a group.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, check_array, check_consistent_length
from sklearn.utils.validation import validate_data

Matrix: TypeAlias = NDArray[np.float32]
Vector: TypeAlias = NDArray[np.float64]
Groups: TypeAlias = NDArray[np.int64]
Rows: TypeAlias = NDArray[np.bool_]

FAILED_LOG2_RATIO = 6.0
"""What a failed candidate counts as when a model needs a number: 64 times as slow as the best."""


class Ranker(Protocol):
    """Orders the candidates of a workload, best first by ascending score."""

    def fit(self, X: Matrix, y: Vector, groups: Groups | None = None) -> Ranker:
        """Learn from measured candidates; return itself."""
        ...

    def predict(self, X: Matrix) -> Vector:
        """One score for each row; lower is better."""
        ...


class Learner(BaseEstimator):  # type: ignore[misc]
    """An estimator that learns from measured candidates: missing features and failed candidates are NaN."""

    def __sklearn_tags__(self) -> Tags:
        """A target is needed, and missing values are understood."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.allow_nan = True
        return tags

    def checked_features(self, X: Matrix, reset: bool) -> Matrix:
        """Features as float32; without `reset`, of the same columns as those that were learned from.

        Raises:
            ValueError: of another shape or type, or infinite.
        """
        return validate_data(self, X, reset=reset, dtype=np.float32, ensure_all_finite="allow-nan")  # type: ignore[no-any-return]

    def checked(self, X: Matrix, y: Vector) -> tuple[Matrix, Vector]:
        """What `fit` was given, as arrays.

        Raises:
            ValueError: of other shapes or types, infinite, or without a target.
        """
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        X = self.checked_features(X, reset=True)
        y = check_array(y, ensure_2d=False, dtype=np.float64, ensure_all_finite="allow-nan").ravel()
        check_consistent_length(X, y)
        return X, y


def filled(y: Vector) -> Vector:
    """Targets with failures as numbers, and the hopeless tail cut off."""
    return np.asarray(np.minimum(np.where(np.isnan(y), FAILED_LOG2_RATIO, y), FAILED_LOG2_RATIO))
