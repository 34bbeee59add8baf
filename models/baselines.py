"""Rankers to beat: random, nearest shape, the heuristic of Gibson and Cano (2022), linear, random forest."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from recommender.features import FEATURE_NAMES
from recommender.models.contract import Groups, Learner, Matrix, Vector, filled


class _Rule(BaseEstimator):  # type: ignore[misc]
    """A ranker that learns nothing, and can be asked at once."""

    def __sklearn_tags__(self) -> Tags:
        """No fit is needed: a pipeline may predict with it."""
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags


def _column(X: Matrix, name: str, missing: float) -> Vector:
    values = X[:, FEATURE_NAMES.index(name)].astype(np.float64)
    return np.where(np.isnan(values), missing, values)


class RandomRanker(_Rule):
    """Any order, the same for the same seed and number of rows. `crossval.judged` judges it by all orders."""

    def __init__(self, seed: int = 0) -> None:
        """Keep the seed."""
        self.seed = seed

    def fit(self, X: Matrix, y: Vector, groups: Groups | None = None) -> RandomRanker:
        """Nothing to learn."""
        return self

    def predict(self, X: Matrix) -> Vector:
        """Uniform numbers."""
        return np.random.default_rng([self.seed, len(X)]).random(len(X))


class NearestShapeRanker(_Rule):
    """The donor nearest in log2 extents first, its best schedule and the first policy before others."""

    NO_DONOR = 1e6
    """What a candidate without a donor counts as, or more."""

    def fit(self, X: Matrix, y: Vector, groups: Groups | None = None) -> NearestShapeRanker:
        """Nothing to learn."""
        return self

    def predict(self, X: Matrix) -> Vector:
        """Shape distance, with ties broken by the donor's rank and the policy."""
        distance = _column(X, "pair.shape_distance", self.NO_DONOR)
        rank = _column(X, "pair.donor_rank", 10.0)
        policy = _column(X, "pair.policy", 10.0)
        return distance + 1e-3 * rank + 1e-5 * policy


class PaperHeuristicRanker(_Rule):
    """Donors of the same kernel class only, the fastest expected first (Gibson and Cano 2022).

    The paper tries all same-class donors of one donor model; where few may be tried, the expectation
    is the donor's time scaled by the ratio of the work.
    """

    def fit(self, X: Matrix, y: Vector, groups: Groups | None = None) -> PaperHeuristicRanker:
        """Nothing to learn."""
        return self

    def predict(self, X: Matrix) -> Vector:
        """Expected log2 seconds; other classes after all of the same class."""
        other_class = 1.0 - _column(X, "pair.same_class", 0.0)
        return _column(X, "pair.donor_expected_log2_seconds", 100.0) + 1e3 * other_class


class _Imputed(Learner):
    """A scikit-learn regressor on log2 of relative time, with missing pair features filled in."""

    def _regressor(self) -> Any:
        raise NotImplementedError

    def fit(self, X: Matrix, y: Vector, groups: Groups | None = None) -> _Imputed:
        """Train on all rows alike."""
        X, y = self.checked(X, y)
        imputer = SimpleImputer(strategy="constant", fill_value=0.0, keep_empty_features=True)
        self.pipeline_ = make_pipeline(imputer, StandardScaler(), self._regressor())
        self.pipeline_.fit(X.astype(np.float64), filled(y))  # in float32 sums depend on the order of rows
        # Threads would add a forest's trees up in any order, and so round differently each time.
        if hasattr(self.pipeline_[-1], "n_jobs"):
            self.pipeline_[-1].n_jobs = 1
        return self

    def predict(self, X: Matrix) -> Vector:
        """Predicted log2 of relative time."""
        check_is_fitted(self)
        X = self.checked_features(X, reset=False)
        return np.asarray(self.pipeline_.predict(X.astype(np.float64)), dtype=np.float64)


class RegressorRanker(_Imputed):
    """Any regressor with scikit-learn's interface as a ranker."""

    def __init__(self, regressor: Any) -> None:
        """Keep the regressor, of which each training takes a new copy."""
        self.regressor = regressor

    def _regressor(self) -> Any:
        return clone(self.regressor)


class LinearRanker(_Imputed):
    """Ridge regression."""

    def _regressor(self) -> Any:
        return Ridge(alpha=10.0)


class ForestRanker(_Imputed):
    """A random forest."""

    def __init__(self, trees: int = 200, seed: int = 0) -> None:
        """Keep the settings."""
        self.trees = trees
        self.seed = seed

    def _regressor(self) -> Any:
        return RandomForestRegressor(
            self.trees, min_samples_leaf=2, max_features=0.4, n_jobs=-1, random_state=self.seed
        )
