"""The frontier of cost and quality: what each further measured candidate costs and brings."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from recommender.datasets.records import COLD_SEARCH, Measurement
from recommender.models import metrics
from recommender.models.crossval import HEDGED, Fold, score_trained, trained_on
from recommender.studies.table import Plot, Study, StudyInput, said
from recommender.studies.training import ranker_of
from recommender.vocabulary import Json

_BUDGETS = (1, 2, 3, 5, 8, 12, 20)
_RANKERS = (HEDGED, "nearest-shape", "random")
_PAUSE_SECONDS = 300.0
"""Between two kernels, longer than measuring the candidates of one takes: the campaign was interrupted."""


def study_k(given: StudyInput) -> Study:
    """Regret and time against k, after measuring the first k candidates of each kernel."""
    here = [m for m in given.data.measurements if m.setting == (given.hardware.id, given.pipeline)]
    cost = seconds_per_candidate(here)
    rows: list[dict[str, Json]] = []
    raw: list[Json] = []
    picked = given.spread(_frontier, [(name, given.seed, fold) for name in _RANKERS for fold in given.folds])
    for position, name in enumerate(_RANKERS):
        parts = picked[position * len(given.folds) : (position + 1) * len(given.folds)]
        kernels = [kernel for part in parts for kernel in part]
        raw += [{"ranker": name, **kernel} for kernel in kernels]
        regrets = np.array([kernel["regrets"] for kernel in kernels])
        weights = np.array([kernel["weight"] for kernel in kernels])
        for column, k in enumerate(_BUDGETS):
            low, high = metrics.bootstrap_interval(regrets[:, column].tolist(), weights.tolist())
            mean = float(np.average(regrets[:, column], weights=weights))
            rows.append(
                {
                    "ranker": name,
                    "k": k,
                    "measuring s a kernel": None if cost is None else k * cost,
                    "kernels ms": 1000 * float(weights.sum()) * (1 + mean),
                    "regret %": 100 * mean,
                    "low %": 100 * low,
                    "high %": 100 * high,
                }
            )
    each = "" if cost is None else f" ({cost:.2f} s each)"
    label = f"candidates measured of a kernel, k{each}"
    plot = Plot("lines", "k", "regret %", label, "regret, % of time", series="ranker")
    return Study("k", _finding(rows, each), rows, plot, raw)


def _finding(rows: Sequence[dict[str, Json]], each: str) -> str:
    own = {row["k"]: row for row in rows if row["ranker"] == HEDGED}
    by_shape = [row for row in rows if row["ranker"] == "nearest-shape"]
    as_good = next((r["k"] for r in by_shape if r["regret %"] <= own[2]["regret %"]), None)
    return (
        f"Measuring 2 candidates of a kernel{each} in the hedged order leaves {said(own[2], 'regret %')}, 5 "
        f"leave {said(own[5], 'regret %')}; ranked by shape it takes "
        f"{as_good or f'more than {_BUDGETS[-1]}'} to be as good as 2."
    )


def _frontier(name: str, seed: int, fold: Fold) -> list[dict[str, Json]]:
    """Regret at each budget, and the weight, of every kernel of a fold."""
    ranker = trained_on(fold, ranker_of(name, seed))
    return [
        {"model": s.model, "workload": s.workload, "weight": s.weight, "regrets": list(s.regret)}
        for s in score_trained(name, ranker, fold, ks=_BUDGETS)
    ]


def seconds_per_candidate(measurements: Sequence[Measurement]) -> float | None:
    """What it takes to build, check and time one candidate of a transfer, on average.

    Candidates of a kernel are stored when the last of them is timed, so those of the next one took from then
    to their own last. Searches do not count, since they also think; nor do pauses, nor the first kernel of
    a run. Candidates that were timed again later count where they were timed last, which makes this a little
    high. None where no two kernels were measured one after the other.
    """
    seconds, candidates = 0.0, 0
    stored = sorted(measurements, key=lambda m: m.measured_at)
    runs = [list(run) for _, run in itertools.groupby(stored, lambda m: (m.run, m.workload))]
    for before, after in itertools.pairwise(runs):
        took = after[-1].measured_at - before[-1].measured_at
        searched = any(m.source in (COLD_SEARCH, "warm-tune") for m in after)
        if not searched and before[0].run == after[0].run and 0 < took <= _PAUSE_SECONDS:
            seconds += took
            candidates += len(after)
    return seconds / candidates if candidates else None
