"""Which ranker is best, and what each further measured candidate brings."""

from __future__ import annotations

import itertools

import numpy as np

from recommender.models import metrics
from recommender.models.contract import Vector
from recommender.models.crossval import HEDGED, KS, RANKERS, Fold, KernelScore, judged, score_fold
from recommender.studies.table import Plot, Study, StudyInput, regret_row, said
from recommender.studies.training import ranker_of
from recommender.vocabulary import Json

_BUDGETS = (1, 2, 3, 5, 8, 12, 20)


def study_rankers(given: StudyInput) -> Study:
    """All rankers and baselines; hedging, which keeps the first pick, is part of the study of k."""
    return _compared(given, "rankers", [name for name in RANKERS if name != HEDGED])


def study_objectives(given: StudyInput) -> Study:
    """XGBoost's objectives: squared error on relative speed or log time, pairwise, NDCG."""
    return _compared(given, "objectives", [name for name in RANKERS if name.startswith("xgboost")])


def _compared(given: StudyInput, subject: str, names: list[str]) -> Study:
    """Rankers side by side on the same candidates."""
    missing = [name for name in names if name not in given.scores]
    work = [(name, given.seed, fold) for name in missing for fold in given.folds]
    for score in itertools.chain(*given.spread(_scored, work)):
        given.scores.setdefault(score.ranker, []).append(score)
    scores = [score for name in names for score in given.scores[name]]
    rows: list[dict[str, Json]] = []
    for name in names:
        own = given.scores[name]
        for index, k in enumerate(KS):
            mean, low, high = regret_row(own, index)
            rows.append(
                {"ranker": name, "k": k, "kernels": len(own), "regret %": mean, "low %": low, "high %": high}
            )
    at_1 = sorted((row for row in rows if row["k"] == 1), key=lambda row: row["regret %"])
    best, second = at_1[0], at_1[1]
    finding = (
        f"{best['ranker']} is first at k = 1 with a time-weighted regret of {said(best, 'regret %')}, "
        f"before {second['ranker']} with {said(second, 'regret %')}, on {best['kernels']} kernels of "
        f"{len(given.folds)} models."
    )
    plot = Plot("lines", "k", "regret %", "candidates measured, k", "regret, % of time", series="ranker")
    return Study(subject, finding, rows, plot, [vars(s) for s in scores])


def _scored(name: str, seed: int, fold: Fold) -> list[KernelScore]:
    return score_fold(name, ranker_of(name, seed), fold)


def study_k(given: StudyInput) -> Study:
    """Cost against quality: regret after measuring the first k, for each k."""
    rows: list[dict[str, Json]] = []
    names = (HEDGED, "nearest-shape", "random")
    picked = given.spread(_frontier, [(name, given.seed, fold) for name in names for fold in given.folds])
    for position, name in enumerate(names):
        parts = picked[position * len(given.folds) : (position + 1) * len(given.folds)]
        regrets = np.vstack([regret for regret, _ in parts])
        weights = np.concatenate([weight for _, weight in parts])
        for column, k in enumerate(_BUDGETS):
            low, high = metrics.bootstrap_interval(regrets[:, column].tolist(), weights.tolist())
            mean = float(np.average(regrets[:, column], weights=weights))
            rows.append(
                {"ranker": name, "k": k, "regret %": 100 * mean, "low %": 100 * low, "high %": 100 * high}
            )
    own = {row["k"]: row for row in rows if row["ranker"] == HEDGED}
    by_shape = [row for row in rows if row["ranker"] == "nearest-shape"]
    as_good = next((r["k"] for r in by_shape if r["regret %"] <= own[2]["regret %"]), None)
    finding = (
        f"Measuring 2 candidates of the hedged ranking leaves {said(own[2], 'regret %')}, 5 leave "
        f"{said(own[5], 'regret %')}; ranked by shape it takes "
        f"{as_good or f'more than {_BUDGETS[-1]}'} to be as good as 2."
    )
    plot = Plot("lines", "k", "regret %", "candidates measured, k", "regret, % of time", series="ranker")
    return Study("k", finding, rows, plot)


def _frontier(name: str, seed: int, fold: Fold) -> tuple[Vector, Vector]:
    """Regret at each budget, and the weight, of every kernel of a fold."""
    ranker = ranker_of(name, seed).fit(fold.train.X, fold.train.y, fold.train.groups)
    regrets, weights = [], []
    for group in np.unique(fold.test.groups):
        mask = fold.test.groups == group
        seconds = fold.test.seconds[mask]
        regrets.append(judged(ranker, fold.test.X[mask], seconds, _BUDGETS).regret)
        weights.append(float(np.min(seconds)) * fold.calls[fold.test.workloads[group]])
    return np.array(regrets), np.array(weights)
