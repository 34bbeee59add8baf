"""One contract for every ranker: scores for all rows, learning where there is something to learn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from recommender.errors import DataError
from recommender.features import FEATURE_NAMES, FEATURES_HASH
from recommender.models import baselines
from recommender.models.artefact import RankerCard, load_ranker, save_ranker
from recommender.models.boosted import BoostedRanker

RANKERS = [
    baselines.RandomRanker(),
    baselines.NearestShapeRanker(),
    baselines.PaperHeuristicRanker(),
    baselines.LinearRanker(),
    baselines.ForestRanker(trees=20),
    BoostedRanker(rounds=60, learning_rate=0.1),
    BoostedRanker("log-time", rounds=60, learning_rate=0.1),
    BoostedRanker("pairwise", rounds=60, learning_rate=0.1),
    BoostedRanker("ndcg", rounds=60, learning_rate=0.1),
]
LEARNERS = RANKERS[4:]  # what makes a schedule good is not linear, here as in truth


def rows(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Workloads whose best candidate has a vector of 16, with some missing and some failed."""
    rng = np.random.default_rng(seed)
    X = rng.random((400, len(FEATURE_NAMES)), dtype=np.float32)
    X[::17, FEATURE_NAMES.index("pair.shape_distance")] = np.nan
    vector = rng.integers(1, 32, 400)
    X[:, FEATURE_NAMES.index("schedule.inner_vector")] = vector
    y = np.abs(vector - 16) / 4.0
    y[::23] = np.nan
    return X, y, np.repeat(np.arange(20), 20)


@pytest.mark.parametrize("ranker", RANKERS, ids=repr)
class TestEveryRanker:
    def test_scores_every_row_the_same_way_twice(self, ranker: Any) -> None:
        X, y, groups = rows()
        a = clone(ranker).fit(X, y, groups).predict(X)
        b = clone(ranker).fit(X, y, groups).predict(X)

        assert a.shape == (len(X),)
        assert np.isfinite(a).all()
        assert (a == b).all()


WEIGHTS_DRAW = {
    "check_sample_weight_equivalence_on_dense_data": "rows are drawn for each tree, so that a weight of two "
    "is not the same as a row that is there twice; and workloads, not rows, weigh the same"
}


@pytest.mark.parametrize("ranker", RANKERS[3:], ids=repr)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_estimators_keep_scikit_learns_conventions(ranker: Any) -> None:
    is_boosted = isinstance(ranker, BoostedRanker)
    small = clone(ranker).set_params(rounds=5) if is_boosted else clone(ranker)

    check_estimator(small, expected_failed_checks=WEIGHTS_DRAW if is_boosted else {})


@pytest.mark.parametrize("ranker", LEARNERS, ids=repr)
def test_a_learner_picks_better_than_chance_on_unseen_workloads(ranker: Any) -> None:
    X, truth, groups = rows(1)
    scores = clone(ranker).fit(*rows(0)).predict(X)

    picks = [truth[groups == g][np.argmin(scores[groups == g])] for g in range(20)]
    assert np.nanmean(picks) < 0.5 * np.nanmean(truth)  # nothing here tells what will fail


def card(**changes: Any) -> RankerCard:
    values = {"features_hash": FEATURES_HASH, "data_digest": "d", "rows": 1, "workloads": 1}
    return RankerCard(**{**values, "objective": "relative-speed", **changes})


def test_an_artefact_predicts_what_was_saved(tmp_path: Path) -> None:
    X, y, groups = rows()
    ranker = BoostedRanker(rounds=10).fit(X, y, groups)

    save_ranker(ranker, card(exclude_models=("m",)), tmp_path / "r")
    loaded, page = load_ranker(tmp_path / "r")

    assert (loaded.predict(X) == ranker.predict(X)).all()
    assert page == card(exclude_models=("m",))


def test_other_features_are_refused_with_both_hashes(tmp_path: Path) -> None:
    save_ranker(BoostedRanker(rounds=1).fit(*rows()), card(features_hash="0ther"), tmp_path / "r")

    with pytest.raises(DataError, match=f"0ther.*{FEATURES_HASH}"):
        load_ranker(tmp_path / "r")


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({"features_hash": FEATURES_HASH})])
def test_a_damaged_page_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "r.json").write_text(content)

    with pytest.raises(DataError, match="recommender train"):
        load_ranker(tmp_path / "r")


def test_a_damaged_model_is_refused(tmp_path: Path) -> None:
    save_ranker(BoostedRanker(rounds=1).fit(*rows()), card(), tmp_path / "r")
    (tmp_path / "r.ubj").write_bytes(b"garbage")

    with pytest.raises(DataError, match="damaged"):
        load_ranker(tmp_path / "r")
