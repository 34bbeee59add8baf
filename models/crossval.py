"""Rankers compared on the same candidates, one model left out at a time.

For each model, rankers are trained without its rows and its schedules, and rank the measured transfer
candidates of its kernels, whose donors are the other models'. With `novel_shapes`, workloads that also
occur in another model are left out of training and of the figures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.datasets.layers import Data
from recommender.models import baselines, metrics
from recommender.models.boosted import BoostedRanker
from recommender.models.contract import Matrix, Vector
from recommender.models.hedging import HedgedRanker
from recommender.models.training import TrainingSet, fit_ranker, training_set
from recommender.vocabulary import Hardware

KS = (1, 2, 5, 10)
ALL = slice(None)
"""All columns of the features."""
MIN_CANDIDATES = 8
"""Kernels with fewer measured candidates say nothing about a ranking."""

ONE_TREE_A_ROUND: Mapping[str, Any] = {"trees_per_round": 1, "rounds": 300, "learning_rate": 0.05}
"""Boosting as usual: many small steps. Few large ones suit only rounds that average many trees."""

RANKERS: Mapping[str, Callable[[int], Any]] = {
    "random": lambda seed: baselines.RandomRanker(seed),
    "nearest-shape": lambda seed: baselines.NearestShapeRanker(),
    "paper-heuristic": lambda seed: baselines.PaperHeuristicRanker(),
    "linear": lambda seed: baselines.LinearRanker(),
    "forest": lambda seed: baselines.ForestRanker(seed=seed),
    "xgboost": lambda seed: BoostedRanker(seed=seed),
    "hedged": lambda seed: HedgedRanker(BoostedRanker(seed=seed)),
    "xgboost-log-time": lambda seed: BoostedRanker("log-time", seed=seed, **ONE_TREE_A_ROUND),
    "xgboost-pairwise": lambda seed: BoostedRanker("pairwise", seed=seed, **ONE_TREE_A_ROUND),
    "xgboost-ndcg": lambda seed: BoostedRanker("ndcg", seed=seed, **ONE_TREE_A_ROUND),
}


LEARNED, HEDGED = "xgboost", "hedged"
"""The learned ranker, and the order of its candidates in which `recommend` measures them."""
AS_SHIPPED = "as-shipped"
"""The same order by a ranker that has learned from all machines' outcomes, as the one that ships has."""


@dataclass(frozen=True, kw_only=True)
class KernelScore(metrics.Quality):
    """How one ranker did on one kernel of one left-out model. `weight` is best seconds times calls."""

    ranker: str
    model: str
    workload: str
    weight: float
    candidates: int


@dataclass(frozen=True)
class Fold:
    """One model left out: rows to train on, and rows of its kernels to be ranked, with their weights.

    `test` has the measured transfers of kernels that have enough of them; `calls` says how often the
    model calls each of its workloads.
    """

    model: str
    train: TrainingSet
    test: TrainingSet
    calls: Mapping[str, int]


def make_folds(
    data: Data,
    hardware: Hardware,
    pipeline: str,
    *,
    novel_shapes: bool = True,
    learn_from: Sequence[Hardware] = (),
) -> Iterator[Fold]:
    """A fold for each model that can be judged: transfers to its kernels, from a library without it.

    Outcomes of that hardware alone are learned from, or of all those in `learn_from`. Kernels that a model
    was lowered to once are left out with it, but are not judged.
    """
    measured = {m.workload for m in data.measurements if m.setting == (hardware.id, pipeline)}
    uses = {(u.model, u.workload): u.calls for u in data.kernels if u.pipeline == pipeline}
    models = sorted({model for model, _ in uses})
    for model in models if len(models) > 1 else []:
        own = {key for m, key in uses if m == model}
        current = {key for key in own if uses[model, key]}
        judged = {key for key in current if not novel_shapes or data.lineage.origins[key] <= {model}}
        if not judged & measured:
            continue
        forgotten = data.without_workloads(own) if novel_shapes else data
        library = forgotten.without_models([model])
        candidates = training_set(data, [hardware], pipeline, workloads=judged, library=library)
        test = candidates.only(candidates.is_transfer)
        test = test.only(np.isin(test.groups, [g for g in np.unique(test.groups) if _is_enough(test, g)]))
        if len(test.y):
            train = training_set(forgotten, learn_from or [hardware], pipeline, [model]).without(own)
            yield Fold(model, train, test, {key: uses[model, key] for key in own})


def _is_enough(rows: TrainingSet, group: int) -> bool:
    seconds = rows.seconds[rows.groups == group]
    return len(seconds) >= MIN_CANDIDATES and bool(np.isfinite(seconds).any())


def score_fold(
    name: str, ranker: Any, fold: Fold, columns: slice | NDArray[np.intp] = ALL
) -> list[KernelScore]:
    """Train a ranker on a fold, and score it on each kernel; it sees only `columns` of the features."""
    return score_trained(name, trained_on(fold, ranker, columns), fold, columns)


def trained_on(fold: Fold, ranker: Any, columns: slice | NDArray[np.intp] = ALL) -> Any:
    """The ranker, after it has learned from `columns` of the fold's lessons."""
    rows = fold.train.lessons()
    return ranker.fit(rows.X[:, columns], rows.y, rows.groups)


def score_trained(
    name: str,
    ranker: Any,
    fold: Fold,
    columns: slice | NDArray[np.intp] = ALL,
    ks: Sequence[int] = KS,
) -> list[KernelScore]:
    """Score a ranker that was trained on a fold on each of its kernels."""
    return [_score(name, ranker, fold, group, columns, ks) for group in np.unique(fold.test.groups)]


def _score(
    name: str, ranker: Any, fold: Fold, group: int, columns: slice | NDArray[np.intp], ks: Sequence[int]
) -> KernelScore:
    mask = fold.test.groups == group
    seconds = fold.test.seconds[mask]
    key = fold.test.workloads[group]
    return KernelScore(
        ranker=name,
        model=fold.model,
        workload=key,
        weight=float(np.min(seconds)) * fold.calls[key],
        candidates=len(seconds),
        **vars(judged(ranker, fold.test.X[mask][:, columns], seconds, ks)),
    )


def judged(ranker: Any, X: Matrix, seconds: Vector, ks: Sequence[int]) -> metrics.Quality:
    """How good a trained ranker is on one workload's candidates; chance is judged by all orders, not one."""
    if isinstance(ranker, baselines.RandomRanker):
        return metrics.chance_quality(seconds, ks)
    return metrics.quality(ranker.predict(X), seconds, ks)


def leave_one_model_out(
    data: Data,
    hardware: Hardware,
    pipeline: str,
    *,
    rankers: Sequence[str] = tuple(RANKERS),
    novel_shapes: bool = True,
    seed: int = 0,
    on_model: Callable[[str], None] = lambda model: None,
) -> list[KernelScore]:
    """Scores of every ranker on every kernel that has enough measured candidates."""
    scores: list[KernelScore] = []
    for fold in make_folds(data, hardware, pipeline, novel_shapes=novel_shapes):
        trained: dict[str, Any] = {}
        for name in rankers:
            is_there = name == HEDGED and LEARNED in trained  # and need not be trained twice
            trained[name] = (
                HedgedRanker(trained[LEARNED]) if is_there else trained_on(fold, RANKERS[name](seed))
            )
            scores += score_trained(name, trained[name], fold)
        on_model(fold.model)
    return scores


def leave_one_model_out_as_shipped(
    data: Data,
    hardware: Hardware,
    pipeline: str,
    *,
    seed: int = 0,
    on_model: Callable[[str], None] = lambda model: None,
) -> list[KernelScore]:
    """Scores of the order that `recommend` measures, novel shapes only.

    The ranker learns from the transfers of all related machines, those of others than the judged one
    weighing less where both measured a kernel. The rankers of `leave_one_model_out` learn from the judged
    machine's alone.
    """
    scores: list[KernelScore] = []
    for fold in make_folds(data, hardware, pipeline, learn_from=data.relatives(hardware)):
        ranker = HedgedRanker(fit_ranker(fold.train, hardware.id, seed=seed))
        scores += score_trained(AS_SHIPPED, ranker, fold)
        on_model(fold.model)
    return scores


@dataclass(frozen=True)
class RankerSummary:
    """One ranker over all kernels: regrets weighted by time, and on the median kernel."""

    ranker: str
    kernels: int
    models: int
    weighted_regret: tuple[float, ...]
    weighted_interval: tuple[tuple[float, float], ...]
    median_regret: tuple[float, ...]
    invalid: tuple[float, ...]
    recall: tuple[float, ...]
    ndcg: float
    pairwise: float


def summarise(scores: Sequence[KernelScore]) -> list[RankerSummary]:
    """A summary for each ranker, in the order of the scores."""
    by_ranker: dict[str, list[KernelScore]] = defaultdict(list)
    for score in scores:
        by_ranker[score.ranker].append(score)
    return [_summary(name, own) for name, own in by_ranker.items()]


def _summary(name: str, own: Sequence[KernelScore]) -> RankerSummary:
    weights = np.array([s.weight for s in own])
    regrets = np.array([s.regret for s in own])
    return RankerSummary(
        ranker=name,
        kernels=len(own),
        models=len({s.model for s in own}),
        weighted_regret=tuple(np.average(regrets, axis=0, weights=weights)),
        weighted_interval=tuple(
            metrics.bootstrap_interval(regrets[:, i].tolist(), weights.tolist()) for i in range(len(KS))
        ),
        median_regret=tuple(np.median(regrets, axis=0)),
        invalid=tuple(np.mean([s.invalid for s in own], axis=0)),
        recall=tuple(np.mean([s.recall for s in own], axis=0)),
        ndcg=float(np.mean([s.ndcg for s in own])),
        pairwise=float(np.mean([s.pairwise for s in own])),
    )


def gain_over(
    scores: Sequence[KernelScore], ranker: str, other: str, k: int
) -> tuple[float, tuple[float, float]]:
    """How much less time-weighted regret@k `ranker` has than `other`, with its 95 % interval."""
    index = KS.index(k)
    mine = {(s.model, s.workload): s for s in scores if s.ranker == ranker}
    theirs = {(s.model, s.workload): s for s in scores if s.ranker == other}
    pairs = sorted(mine.keys() & theirs.keys())
    differences = [theirs[p].regret[index] - mine[p].regret[index] for p in pairs]
    weights = [mine[p].weight for p in pairs]
    mean = float(np.average(differences, weights=weights))
    return mean, metrics.bootstrap_interval(differences, weights)
