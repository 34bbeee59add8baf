"""Gradient-boosted trees (XGBoost): the ranker that ships."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import xgboost
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from recommender.models.contract import Groups, Learner, Matrix, Vector, filled

Objective = Literal["relative-speed", "log-time", "pairwise", "ndcg"]
_XGBOOST = {
    "relative-speed": "reg:squarederror",
    "log-time": "reg:squarederror",
    "pairwise": "rank:pairwise",
    "ndcg": "rank:ndcg",
}
OBJECTIVES = tuple(_XGBOOST)
_RELEVANCE_LEVELS = 31  # NDCG's exponential gain allows no more
_SLOWEST = 2.0**-10  # squared error may predict a speed of 0 or less


class BoostedRanker(Learner):
    """Boosted trees on the speed relative to the workload's best, on log time, or on the order.

    Squared error on relative speed (1 for the best schedule, 1/2 for one that takes twice as long) puts the
    errors where picks are decided: among the fast. The mean of several trees in each round makes picks
    depend less on the seed. docs/decisions.md has the comparison.
    """

    def __init__(
        self,
        objective: Objective = "relative-speed",
        rounds: int = 40,
        depth: int = 9,
        learning_rate: float = 0.25,
        trees_per_round: int = 8,
        bins: int = 64,
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        """Keep the settings; see XGBoost's documentation of the parameters of those names.

        `trees_per_round` is its `num_parallel_tree`, `bins` its `max_bin`. `threads` is how many
        train: all cores by default.
        """
        self.objective = objective
        self.rounds = rounds
        self.depth = depth
        self.learning_rate = learning_rate
        self.trees_per_round = trees_per_round
        self.bins = bins
        self.seed = seed
        self.threads = threads

    def fit(
        self, X: Matrix, y: Vector, groups: Groups | None = None, sample_weight: Vector | None = None
    ) -> BoostedRanker:
        """Train from scratch. A workload weighs as much as the square root of how many candidates it has.

        So one with ten times as many, which says more, does not count ten times as much.

        Without groups all rows are of one workload. `sample_weight` has one weight a row, the same for all
        rows of a workload.
        """
        X, y = self.checked(X, y)
        groups = np.zeros(len(y), dtype=np.int64) if groups is None else np.asarray(groups)
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
        check_consistent_length(X, groups)
        order = np.argsort(groups, kind="stable")
        X, target, groups, weight = X[order], filled(y)[order], groups[order], weight[order]
        _, first, index, counts = np.unique(
            groups, return_index=True, return_inverse=True, return_counts=True
        )
        data = xgboost.DMatrix(X, label=self._labels(target))
        if self._is_regression:
            data.set_weight(weight / np.sqrt(counts[index]))
        else:
            data.set_group(counts)
            data.set_weight(weight[first])
        self.booster_ = xgboost.train(self._parameters(), data, num_boost_round=self.rounds)
        return self

    @property
    def trees(self) -> dict[str, Any]:
        """The settings that say how many trees there are, and how they grow."""
        settings: dict[str, Any] = self.get_params()
        return {name: settings[name] for name in sorted(settings.keys() - {"objective", "seed", "threads"})}

    @property
    def _is_regression(self) -> bool:
        return self.objective in ("relative-speed", "log-time")

    def _labels(self, target: Vector) -> Vector:
        if self.objective == "log-time":
            return target
        speed = np.exp2(-target)
        if self.objective == "relative-speed":
            return np.asarray(speed)
        return np.asarray(np.rint(_RELEVANCE_LEVELS * speed), dtype=np.float64)

    def _parameters(self) -> dict[str, Any]:
        common = {
            "objective": _XGBOOST[self.objective],
            "max_depth": self.depth,
            "eta": self.learning_rate,
            "num_parallel_tree": self.trees_per_round,
            "max_bin": self.bins,
            "subsample": 0.8,
            "colsample_bytree": 0.5,
            "colsample_bynode": 0.6,
            "min_child_weight": 3.0,
            "seed": self.seed,
            "tree_method": "hist",
            **({"nthread": self.threads} if self.threads else {}),
        }
        if self._is_regression:
            return common
        return {**common, "lambdarank_pair_method": "mean", "lambdarank_num_pair_per_sample": 4}

    def predict(self, X: Matrix) -> Vector:
        """Predicted log2 of relative time, or minus the ranking score."""
        check_is_fitted(self)
        X = self.checked_features(X, reset=False)
        raw = np.asarray(self.booster_.inplace_predict(X), dtype=np.float64)
        if self.objective == "relative-speed":
            return np.asarray(-np.log2(np.maximum(raw, _SLOWEST)))
        return raw if self.objective == "log-time" else -raw

    def contributions(self, X: Matrix) -> Vector:
        """TreeSHAP values [rows, features], lower is better; the expected value is left out.

        In shares of the best schedule's speed, in log2 of relative time, or in units of the ranking score.
        """
        sign = 1.0 if self.objective == "log-time" else -1.0
        values = self.booster_.predict(xgboost.DMatrix(X), pred_contribs=True)
        return sign * np.asarray(values[:, :-1], dtype=np.float64)

    def in_words(self, gain: float) -> str:
        """A difference of contributions with its unit."""
        if self.objective == "relative-speed":
            return f"{100 * gain:.0f} % of the best speed"
        return f"{2.0**gain:.2f} x" if self.objective == "log-time" else f"score {gain:.2f}"
