"""Which ranker is best."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from sklearn.base import clone

from recommender.models.crossval import HEDGED, KS, LEARNED, ONE_TREE_A_ROUND, RANKERS, score_fold
from recommender.studies.table import Plot, Study, StudyInput, regret_row, said
from recommender.studies.training import ranker_of
from recommender.vocabulary import Json


def study_rankers(given: StudyInput) -> Study:
    """All rankers and baselines; hedging, which keeps the first pick, is part of the study of k."""
    rankers = {name: ranker_of(name, given.seed) for name in RANKERS if name != HEDGED}
    return compare_rankers(given, rankers)


def study_objectives(given: StudyInput) -> Study:
    """XGBoost's objectives, all with one tree a round: relative speed, log time, pairwise, NDCG."""
    names = [name for name in RANKERS if name.startswith(f"{LEARNED}-")]
    one_tree = ranker_of(LEARNED, given.seed).set_params(**ONE_TREE_A_ROUND)
    rankers = {f"{LEARNED}-relative-speed": one_tree}
    rankers |= {name: ranker_of(name, given.seed) for name in names}
    return compare_rankers(given, rankers, "objectives")


def compare_rankers(given: StudyInput, rankers: Mapping[str, Any], subject: str = "rankers") -> Study:
    """Untrained rankers by name, two or more, side by side on the same candidates."""
    keys = {name: f"{name}: {ranker!r}" for name, ranker in rankers.items()}
    missing = [name for name in rankers if keys[name] not in given.scores]
    work = [(name, clone(rankers[name]), fold) for name in missing for fold in given.folds]
    for score in itertools.chain(*given.spread(score_fold, work)):
        given.scores.setdefault(keys[score.ranker], []).append(score)
    rows: list[dict[str, Json]] = []
    for name in rankers:
        own = given.scores[keys[name]]
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
    return Study(subject, finding, rows, plot, [vars(s) for key in keys.values() for s in given.scores[key]])
