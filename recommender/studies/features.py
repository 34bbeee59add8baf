"""What each group of features is worth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recommender.features import FEATURE_NAMES, feature_groups
from recommender.models.boosted import BoostedRanker
from recommender.models.crossval import LEARNED, Fold, KernelScore, score_fold, score_trained, trained_on
from recommender.studies.table import AT_1, Plot, Study, StudyInput, regret_row, said
from recommender.studies.training import ranker_of
from recommender.vocabulary import Json


def study_features(given: StudyInput) -> Study:
    """Each group of features left out, alone, and permuted; and what TreeSHAP says it contributes.

    A group is permuted by giving each candidate that group's values of another candidate of the same model
    (Breiman 2001, section 10), which asks what the trained ranker leans on; leaving it out asks what another
    ranker could do without it.
    """
    groups = feature_groups()
    everything: NDArray[np.intp] = np.arange(len(FEATURE_NAMES))
    variants: dict[str, NDArray[np.intp]] = {"all": everything}
    variants |= {f"without {g}": np.delete(everything, everything[part]) for g, part in groups.items()}
    variants |= {f"only {g}": everything[part] for g, part in groups.items() if g != "hardware"}
    work = [(name, columns, given.seed, fold) for name, columns in variants.items() for fold in given.folds]
    scores = [score for part in given.spread(_scored_columns, work) for score in part]
    parts = given.spread(_looked_into, [(given.seed, fold) for fold in given.folds])
    contributions = np.mean([contribution for contribution, _ in parts], axis=0)
    scores += [score for _, permuted in parts for score in permuted]
    variants |= {f"permuted {g}": everything for g in groups if g != "hardware"}
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


def _scored_columns(name: str, columns: NDArray[np.intp], seed: int, fold: Fold) -> list[KernelScore]:
    return score_fold(name, ranker_of(LEARNED, seed), fold, columns)


def _looked_into(seed: int, fold: Fold) -> tuple[NDArray[np.float64], list[KernelScore]]:
    """Mean absolute TreeSHAP value of each feature as a share of all, and scores with groups permuted."""
    ranker: BoostedRanker = trained_on(fold, ranker_of(LEARNED, seed))
    mean = np.abs(ranker.contributions(fold.test.X)).mean(axis=0)
    rng = np.random.default_rng(seed)
    scores: list[KernelScore] = []
    for group, columns in feature_groups().items():
        mixed = fold.test.X.copy()
        mixed[:, columns] = mixed[rng.permutation(len(mixed)), columns]
        permuted = replace(fold, test=replace(fold.test, X=mixed))
        scores += score_trained(f"permuted {group}", ranker, permuted)
    return np.asarray(mean / mean.sum()), scores
