"""Laws of the hedged order."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recommender.features import FEATURE_NAMES
from recommender.models.baselines import NearestShapeRanker
from recommender.models.boosted import BoostedRanker
from recommender.models.hedging import EVERY, HedgedRanker, hedged_places, shape_distances

CANDIDATES = st.lists(
    st.tuples(
        st.floats(-9, 9, allow_nan=False), st.one_of(st.just(math.inf), st.floats(0, 30, allow_nan=False))
    ),
    min_size=1,
    max_size=40,
)


def columns(candidates: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    scores, distances = zip(*candidates, strict=True)
    return np.array(scores), np.array(distances)


@given(CANDIDATES)
def test_every_candidate_has_one_place_and_the_best_score_is_first(
    candidates: list[tuple[float, float]],
) -> None:
    scores, distances = columns(candidates)
    places = hedged_places(scores, distances)

    assert sorted(places) == list(range(len(scores)))
    assert scores[np.argmin(places)] == scores.min()


@given(CANDIDATES)
def test_each_place_has_the_best_of_what_is_left(candidates: list[tuple[float, float]]) -> None:
    scores, distances = columns(candidates)
    order = list(np.argsort(hedged_places(scores, distances)))
    for place, row in enumerate(order):
        left = order[place:]
        nearest = min(distances[left])
        if place % EVERY == 1 and math.isfinite(nearest):
            assert distances[row] == nearest
        else:
            assert scores[row] == min(scores[left])


def test_candidates_without_a_donor_are_placed_by_score_alone() -> None:
    X = np.zeros((4, len(FEATURE_NAMES)), dtype=np.float32)
    column = FEATURE_NAMES.index("pair.shape_distance")
    X[:, column] = [np.nan, 2.0, 1.0, np.nan]

    distances = shape_distances(X)

    assert np.isinf(distances).tolist() == [True, False, False, True]
    assert (distances[[1, 2]] == NearestShapeRanker().predict(X)[[1, 2]]).all()
    assert hedged_places(np.array([0.0, 3.0, 2.0, 1.0]), distances).tolist() == [0, 3, 1, 2]


def test_a_hedged_ranker_keeps_the_first_pick_and_trains_what_it_hedges() -> None:
    rng = np.random.default_rng(0)
    X = rng.random((60, len(FEATURE_NAMES)), dtype=np.float32)
    y = np.abs(X[:, 5] - X[:, 9]).astype(np.float64)
    alone = BoostedRanker(rounds=20).fit(X, y)

    hedged = HedgedRanker(BoostedRanker(rounds=20)).fit(X, y)

    assert np.argmin(hedged.predict(X)) == np.argmin(alone.predict(X))
    assert sorted(hedged.predict(X)) == list(range(60))
    assert (HedgedRanker(alone).predict(X) == hedged.predict(X)).all()
