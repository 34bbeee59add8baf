"""What each group of features is worth."""

from __future__ import annotations

import numpy as np

from recommender.features import FEATURE_NAMES, feature_groups
from recommender.models.boosted import BoostedRanker
from recommender.models.crossval import Fold, KernelScore, score_fold
from recommender.studies.common import AT_1, ranker_of, said
from recommender.studies.table import Plot, Study, StudyInput, regret_row
from recommender.vocabulary import Json


def study_features(given: StudyInput) -> Study:
    """Each group of features left out, and alone; and what TreeSHAP says each group contributes."""
    groups = feature_groups()
    everything = np.arange(len(FEATURE_NAMES))
    variants = {"all": everything}
    variants |= {f"without {g}": np.delete(everything, everything[part]) for g, part in groups.items()}
    variants |= {f"only {g}": everything[part] for g, part in groups.items() if g != "hardware"}
    work = [(name, columns, given.seed, fold) for name, columns in variants.items() for fold in given.folds]
    scores = [score for part in given.spread(_scored_columns, work) for score in part]
    contributions = np.mean(given.spread(_contributions, [(given.seed, f) for f in given.folds]), axis=0)
    rows: list[dict[str, Json]] = []
    for name in variants:
        mean, low, high = regret_row([s for s in scores if s.ranker == name], AT_1)
        group = name.partition(" ")[2]
        share = float(contributions[groups[group]].sum()) if group in groups else 1.0
        rows.append(
            {"features": name, "regret@1 %": mean, "low %": low, "high %": high, "TreeSHAP share": share}
        )
    without = [row for row in rows if row["features"].startswith("without")]
    worst = max(without, key=lambda row: row["regret@1 %"])
    top = ", ".join(FEATURE_NAMES[i] for i in np.argsort(-contributions)[:5])
    finding = (
        f"Leaving out {worst['features'].partition(' ')[2]} costs most: regret@1 "
        f"{said(worst, 'regret@1 %')} instead of {said(rows[0], 'regret@1 %')}. By TreeSHAP the five "
        f"features that move predictions most are {top}."
    )
    plot = Plot("bars", "features", "regret@1 %", "", "regret@1, % of time", low="low %", high="high %")
    raw: list[Json] = [
        {"feature": n, "mean_abs_shap_share": float(c)}
        for n, c in zip(FEATURE_NAMES, contributions, strict=True)
    ]
    return Study("features", finding, rows, plot, raw)


def _scored_columns(name: str, columns: np.ndarray, seed: int, fold: Fold) -> list[KernelScore]:
    return score_fold(name, ranker_of("xgboost", seed), fold, columns)


def _contributions(seed: int, fold: Fold) -> np.ndarray:
    """Mean absolute TreeSHAP value of each feature on a fold's candidates, as a share of all."""
    ranker: BoostedRanker = ranker_of("xgboost", seed)
    ranker.fit(fold.train.X, fold.train.y, fold.train.groups)
    mean = np.abs(ranker.contributions(fold.test.X)).mean(axis=0)
    return np.asarray(mean / mean.sum())
