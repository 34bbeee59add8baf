"""The order in which candidates are measured: a learned ranking, hedged with the nearest shapes.

A learned ranking and the distance of shapes are wrong about different kernels, while the first few of one
ranking tend to be right or wrong together. So some of the few places to be measured go to the other.
docs/decisions.md has what else was tried.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from recommender.models.baselines import NearestShapeRanker
from recommender.models.contract import Groups, Matrix, Vector

EVERY = 3
"""One place of so many is the nearest shape's: the second, the fifth, the eighth."""


def hedged_places(scores: Vector, distances: Vector) -> Vector:
    """The place of each of one workload's candidates, from 0: those of the best score come first.

    At every third place, from the second on, stands the nearest that has no place yet. Those with an
    infinite distance are placed by score alone. Equals keep their order.
    """
    near = np.argsort(distances, kind="stable")
    by_score, by_distance = iter(np.argsort(scores, kind="stable")), iter(near[np.isfinite(distances[near])])
    places = np.full(len(scores), -1.0)
    for place in range(len(scores)):
        wanted = (by_distance, by_score) if place % EVERY == 1 else (by_score,)
        row = next(row for order in wanted for row in order if places[row] < 0)
        places[row] = place
    return places


class HedgedRanker(BaseEstimator):  # type: ignore[misc]
    """A ranker's order, hedged. Scores are places among the candidates that are given together."""

    def __init__(self, ranker: Any) -> None:
        """Keep the ranker, which may be trained already."""
        self.ranker = ranker

    def fit(self, X: Matrix, y: Vector, groups: Groups | None = None) -> HedgedRanker:
        """Train the ranker that is hedged."""
        self.ranker.fit(X, y, groups)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """Whether the ranker that is hedged is trained; a pipeline asks before it predicts."""
        try:
            check_is_fitted(self.ranker)
        except NotFittedError:
            return False
        return True

    def predict(self, X: Matrix) -> Vector:
        """Places of the candidates of one workload, the first 0."""
        return hedged_places(self.ranker.predict(X), shape_distances(X))


def shape_distances(X: Matrix) -> Vector:
    """How far each candidate's donor is in shape; infinite for candidates without a donor."""
    distances = NearestShapeRanker().predict(X)
    return np.where(distances < NearestShapeRanker.NO_DONOR, distances, np.inf)
