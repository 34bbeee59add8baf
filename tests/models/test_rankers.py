"""One contract for every ranker: scores for all rows, learning where there is something to learn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from recommender.errors import DataError
from recommender.features import FEATURE_NAMES, FEATURES_HASH
from recommender.models import baselines
from recommender.models.artefact import RankerCard, load_ranker, save_ranker
from recommender.models.boosted import BoostedRanker
from recommender.models.hedging import HedgedRanker

RULES = [baselines.RandomRanker(), baselines.NearestShapeRanker(), baselines.PaperHeuristicRanker()]
LEARNERS = [  # without the linear one: what makes a schedule good is not linear, here as in truth
    baselines.ForestRanker(trees=20),
    BoostedRanker(rounds=60, learning_rate=0.1),
    BoostedRanker("log-time", rounds=60, learning_rate=0.1),
    BoostedRanker("pairwise", rounds=60, learning_rate=0.1),
    BoostedRanker("ndcg", rounds=60, learning_rate=0.1),
    HedgedRanker(BoostedRanker(rounds=60, learning_rate=0.1)),
]
RANKERS = [*RULES, baselines.LinearRanker(), *LEARNERS]


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
COLUMNS_HAVE_NAMES = dict.fromkeys(
    (
        "check_dict_unchanged",
        "check_dtype_object",
        "check_estimators_dtypes",
        "check_estimators_pickle",
        "check_f_contiguous_array_estimator",
        "check_fit2d_predict1d",
        "check_fit_idempotent",
        "check_methods_sample_order_invariance",
        "check_methods_subset_invariance",
    ),
    "it reads columns of the features by name, and these matrices have few columns of no name",
)
NOTHING_IS_LEARNED = dict.fromkeys(
    (
        "check_complex_data",
        "check_dtype_object",
        "check_estimator_sparse_array",
        "check_estimator_sparse_matrix",
        "check_estimator_sparse_tag",
        "check_estimators_empty_data_messages",
        "check_estimators_nan_inf",
        "check_fit1d",
        "check_fit2d_predict1d",
        "check_n_features_in",
        "check_n_features_in_after_fitting",
    ),
    "it is a rule: fit looks at nothing",
)
ANY_ORDER = dict.fromkeys(
    ("check_methods_sample_order_invariance", "check_methods_subset_invariance"),
    "it depends on the number of rows, not on what is in them",
)
IT_WRAPS = dict.fromkeys(
    (
        "check_estimators_nan_inf",
        "check_estimators_overwrite_params",
        "check_n_features_in",
        "check_n_features_in_after_fitting",
    ),
    "what is learned and checked is in the ranker that it is given, which may be trained already",
)


def reasons(ranker: Any) -> dict[str, str]:
    """The checks that a ranker cannot pass, and why."""
    if isinstance(ranker, HedgedRanker):
        return COLUMNS_HAVE_NAMES | IT_WRAPS
    if isinstance(ranker, baselines.RandomRanker):
        return NOTHING_IS_LEARNED | ANY_ORDER
    if ranker in RULES:
        return NOTHING_IS_LEARNED | COLUMNS_HAVE_NAMES
    return WEIGHTS_DRAW if isinstance(ranker, BoostedRanker) else {}


def small(ranker: Any) -> Any:
    """A ranker with a few trees, where it has any."""
    few = {name: 5 for name in ("rounds", "ranker__rounds") if name in ranker.get_params()}
    return clone(ranker).set_params(**few)


@pytest.mark.parametrize("ranker", RANKERS, ids=repr)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_estimators_keep_scikit_learns_conventions(ranker: Any) -> None:
    check_estimator(small(ranker), expected_failed_checks=reasons(ranker))


@pytest.mark.parametrize("ranker", RANKERS, ids=repr)
def test_in_a_pipeline_a_ranker_scores_as_alone(ranker: Any) -> None:
    X, y, groups = rows()
    alone = small(ranker).fit(X, y, groups).predict(X)

    piped = Pipeline([("as it is", FunctionTransformer()), ("ranker", small(ranker))])
    scores = piped.fit(X, y, ranker__groups=groups).predict(X)

    assert (scores == alone).all()


@pytest.mark.parametrize("ranker", LEARNERS[:2], ids=repr)
def test_a_learner_learns_from_what_a_pipeline_scaled(ranker: Any) -> None:
    X, truth, groups = rows(1)
    learned_from, y, trained = rows(0)
    piped = Pipeline([("scale", StandardScaler()), ("ranker", clone(ranker))])

    picks = picked(piped.fit(learned_from, y, ranker__groups=trained), X, truth, groups)

    assert np.nanmean(picks) < 0.5 * np.nanmean(truth)


def first_five(ranker: Any, X: np.ndarray, y: np.ndarray) -> float:
    """Of the five that a ranker puts first, how fast they are on average: a score for scikit-learn."""
    return -float(np.nanmean(y[np.argsort(ranker.predict(X), kind="stable")[:5]]))


@pytest.mark.parametrize("ranker", RANKERS, ids=repr)
def test_cross_validation_by_workloads_gives_what_one_gets_by_hand(ranker: Any) -> None:
    """scikit-learn hands each fit its part of the groups, and changes nothing of the ranker it was given."""
    X, y, groups = (column[:120] for column in rows())
    given, folds = small(ranker), GroupKFold(3)

    scores = cross_val_score(
        given, X, y, groups=groups, cv=folds, scoring=first_five, params={"groups": groups}
    )

    by_hand = []
    for train, test in folds.split(X, y, groups):
        assert set(groups[train]).isdisjoint(groups[test])
        trained = small(ranker).fit(X[train], y[train], groups[train])
        by_hand.append(first_five(trained, X[test], y[test]))
    assert scores.tolist() == by_hand
    assert not hasattr(given, "booster_")
    assert not hasattr(given, "pipeline_")


def picked(ranker: Any, X: np.ndarray, truth: np.ndarray, groups: np.ndarray) -> list[float]:
    """How slow the first of each workload is."""
    of_each = [groups == group for group in np.unique(groups)]
    return [truth[mask][np.argmin(ranker.predict(X[mask]))] for mask in of_each]


@pytest.mark.parametrize("ranker", LEARNERS, ids=repr)
def test_a_learner_picks_better_than_chance_on_unseen_workloads(ranker: Any) -> None:
    X, truth, groups = rows(1)
    picks = picked(clone(ranker).fit(*rows(0)), X, truth, groups)

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
