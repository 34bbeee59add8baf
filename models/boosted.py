"""Gradient-boosted trees (XGBoost): the ranker that ships."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import xgboost
from sklearn.base import BaseEstimator

from recommender.models.contract import Groups, Matrix, Vector, filled

Objective = Literal["squared-error", "pairwise", "ndcg"]
_XGBOOST = {"squared-error": "reg:squarederror", "pairwise": "rank:pairwise", "ndcg": "rank:ndcg"}
OBJECTIVES = tuple(_XGBOOST)
_RELEVANCE_LEVELS = 31  # NDCG's exponential gain allows no more


class BoostedRanker(BaseEstimator):  # type: ignore[misc]
    """Boosted trees on log2 of relative time, or on the order within each workload.

    Squared error is robust on heavy kernels, where one bad pick costs most; the ranking objectives
    are better on the typical kernel (docs/decisions.md has the comparison).
    """

    def __init__(
        self,
        objective: Objective = "squared-error",
        rounds: int = 400,
        depth: int = 8,
        learning_rate: float = 0.06,
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        """Keep the settings; see XGBoost's documentation of the parameters of those names.

        `threads` is how many train: all cores by default.
        """
        self.objective = objective
        self.rounds = rounds
        self.depth = depth
        self.learning_rate = learning_rate
        self.seed = seed
        self.threads = threads

    def fit(self, X: Matrix, y: Vector, groups: Groups, sample_weight: Vector | None = None) -> BoostedRanker:
        """Train from scratch. Every workload weighs the same, however many candidates it has.

        `sample_weight` has one weight a row, the same for all rows of a workload.
        """
        order = np.argsort(groups, kind="stable")
        weight = np.ones(len(y)) if sample_weight is None else sample_weight[order]
        X, target, groups = X[order], filled(y)[order], groups[order]
        _, first, index, counts = np.unique(
            groups, return_index=True, return_inverse=True, return_counts=True
        )
        data = xgboost.DMatrix(X, label=self._labels(target))
        if self.objective == "squared-error":
            # A pick's cost grows with its speed: rows near the best decide what is picked.
            data.set_weight(weight * (np.exp2(-target) + 0.1) / np.sqrt(counts[index]))
        else:
            data.set_group(counts)
            data.set_weight(weight[first])
        self.booster_ = xgboost.train(self._parameters(), data, num_boost_round=self.rounds)
        return self

    def _labels(self, target: Vector) -> Vector:
        if self.objective == "squared-error":
            return target
        return np.asarray(np.rint(_RELEVANCE_LEVELS * np.exp2(-target)), dtype=np.float64)

    def _parameters(self) -> dict[str, Any]:
        common = {
            "objective": _XGBOOST[self.objective],
            "max_depth": self.depth,
            "eta": self.learning_rate,
            "subsample": 0.8,
            "colsample_bytree": 0.5,
            "min_child_weight": 1.0,
            "seed": self.seed,
            "tree_method": "hist",
            **({"nthread": self.threads} if self.threads else {}),
        }
        if self.objective == "squared-error":
            return common
        return {**common, "lambdarank_pair_method": "mean", "lambdarank_num_pair_per_sample": 4}

    def predict(self, X: Matrix) -> Vector:
        """Predicted log2 of relative time, or minus the ranking score."""
        sign = 1.0 if self.objective == "squared-error" else -1.0
        return sign * np.asarray(self.booster_.inplace_predict(X), dtype=np.float64)

    def contributions(self, X: Matrix) -> Vector:
        """TreeSHAP values in the unit of `predict` [rows, features]; the expected value is left out."""
        sign = 1.0 if self.objective == "squared-error" else -1.0
        values = self.booster_.predict(xgboost.DMatrix(X), pred_contribs=True)
        return sign * np.asarray(values[:, :-1], dtype=np.float64)
