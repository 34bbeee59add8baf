"""How much data a ranker needs."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np

from recommender.models.crossval import LEARNED, Fold, KernelScore, score_fold
from recommender.studies.table import AT_1, Plot, Study, StudyInput, regret_row, said
from recommender.studies.training import ranker_of
from recommender.vocabulary import Json

_SHARES = (0.05, 0.1, 0.25, 0.5, 1.0)


def study_data(given: StudyInput) -> Study:
    """Learning curves: over the share of outcomes, of donors, and over the number of models learned from."""
    n_models = len(given.folds)
    sizes = sorted({n for n in (1, 2, 3, 5, 8, n_models - 1) if n < n_models})
    work: list[tuple[object, ...]] = []
    for fold in given.folds:
        for curve in ("share of outcomes", "share of donors"):
            work += [(curve, share, given.seed, fold, None) for share in _SHARES]
        others = [f.model for f in given.folds if f.model != fold.model]
        models_of = given.data.lineage.origins
        work += [("models learned from", n, given.seed, fold, (others, models_of)) for n in sizes]
    scores = [score for part in given.spread(_scored_part, work) for score in part]
    rows: list[dict[str, Json]] = []
    for name in dict.fromkeys(s.ranker for s in scores):
        curve, _, amount = name.partition(": ")
        mean, low, high = regret_row([s for s in scores if s.ranker == name], AT_1)
        rows.append(
            {"curve": curve, "amount": float(amount), "regret@1 %": mean, "low %": low, "high %": high}
        )
    shares = [row for row in rows if row["curve"] == "share of outcomes"]
    half, full = (next(r for r in shares if r["amount"] == share) for share in (0.5, 1.0))
    helps = full["high %"] < half["low %"]
    verdict = (
        "more data still helps"
        if helps
        else "the intervals overlap, so that this does not show whether more data helps"
    )
    finding = (
        f"With half of the outcomes regret@1 is {said(half, 'regret@1 %')}, with all of them "
        f"{said(full, 'regret@1 %')}: {verdict}."
    )
    plot = Plot("lines", "amount", "regret@1 %", "", "regret@1, % of time", series="curve", panel="curve")
    return Study("data", finding, rows, plot, [vars(score) for score in scores])


def _scored_part(
    curve: str,
    amount: float,
    seed: int,
    fold: Fold,
    models: tuple[list[str], Mapping[str, frozenset[str]]] | None,
) -> list[KernelScore]:
    rng = np.random.default_rng([seed, zlib.crc32(fold.model.encode())])
    rows = fold.train
    if models is not None:
        others, models_of = models
        chosen = set(rng.permutation(others)[: int(amount)])
        groups = [g for g, key in enumerate(rows.workloads) if models_of.get(key, frozenset()) & chosen]
        kept = np.isin(rows.groups, groups)
    elif curve == "share of donors":  # what has none, a kernel's own search, stays
        donors = np.unique(rows.donors[rows.is_transfer])
        kept = ~rows.is_transfer | np.isin(rows.donors, donors[rng.random(len(donors)) < amount])
    else:
        kept = rng.random(len(rows.y)) < amount
    part = Fold(fold.model, fold.train.only(kept).usable().judged_by_itself(), fold.test, fold.calls)
    if not len(part.train.y):
        return []
    return score_fold(f"{curve}: {amount:g}", ranker_of(LEARNED, seed), part)
