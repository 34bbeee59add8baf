"""How good a ranking is. All take scores (lower is better) and measured seconds of one workload.

Failed candidates have infinite seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
WORST_REGRET = 63.0
NDCG_PLACES = 10


def order(scores: Numbers) -> NDArray[np.int64]:
    """Rows from the best score to the worst; equal scores keep their order."""
    return np.argsort(scores, kind="stable")


def best_of_first(scores: Numbers, seconds: Numbers, k: int) -> float:
    """Seconds of the best of the k first; infinite if all of them failed."""
    return float(np.min(seconds[order(scores)[:k]], initial=math.inf))


def regret(scores: Numbers, seconds: Numbers, k: int) -> float:
    """Best of the k first over best of all, minus 1."""
    return best_of_first(scores, seconds, k) / float(np.min(seconds)) - 1


def capped_regret(scores: Numbers, seconds: Numbers, k: int) -> float:
    """`regret`, but a pick that failed counts as 64 times as slow as the best."""
    return min(regret(scores, seconds, k), WORST_REGRET)


def invalid_share(scores: Numbers, seconds: Numbers, k: int) -> float:
    """Share of the k first that failed."""
    first = seconds[order(scores)[:k]]
    return float(np.mean(~np.isfinite(first)))


def recall(scores: Numbers, seconds: Numbers, k: int) -> float:
    """Share of the k truly best that are among the k first."""
    k = min(k, len(seconds))
    return len(set(order(scores)[:k]) & set(order(seconds)[:k])) / k


def ndcg(scores: Numbers, seconds: Numbers, k: int) -> float:
    """Normalised discounted cumulative gain; a candidate's gain is best seconds over its seconds."""
    gain = _gain(seconds)
    discount = _discount(min(k, len(seconds)))
    ideal = np.sort(gain)[::-1][: len(discount)] @ discount
    return float(gain[order(scores)[: len(discount)]] @ discount / ideal)


def _gain(seconds: Numbers) -> Numbers:
    return np.where(np.isfinite(seconds), np.min(seconds) / seconds, 0.0)


def _discount(places: int) -> Numbers:
    return np.asarray(1 / np.log2(np.arange(2, 2 + places)))


def pairwise_accuracy(scores: Numbers, seconds: Numbers) -> float:
    """Share of pairs with different times that the scores put in the right order."""
    a, b = np.triu_indices(len(seconds), 1)
    with np.errstate(invalid="ignore"):
        truth = np.sign(seconds[a] - seconds[b])
    truth = np.nan_to_num(truth)
    judged = truth != 0
    if not judged.any():
        return 1.0
    return float(np.mean(np.sign(scores[a] - scores[b])[judged] == truth[judged]))


@dataclass(frozen=True)
class Quality:
    """How good a ranking of one workload's candidates is: for each k asked, and over all."""

    regret: tuple[float, ...]
    invalid: tuple[float, ...]
    recall: tuple[float, ...]
    ndcg: float
    pairwise: float


def quality(scores: Numbers, seconds: Numbers, ks: Sequence[int]) -> Quality:
    """All metrics of a ranking; regret is capped."""
    return Quality(
        regret=tuple(capped_regret(scores, seconds, k) for k in ks),
        invalid=tuple(invalid_share(scores, seconds, k) for k in ks),
        recall=tuple(recall(scores, seconds, k) for k in ks),
        ndcg=ndcg(scores, seconds, NDCG_PLACES),
        pairwise=pairwise_accuracy(scores, seconds),
    )


def chance_quality(seconds: Numbers, ks: Sequence[int]) -> Quality:
    """The mean of each metric over all orders of the candidates: what choosing blindly gives."""
    n = len(seconds)
    gain = _gain(seconds)
    discount = _discount(min(NDCG_PLACES, n))
    return Quality(
        regret=tuple(_chance_regret(seconds, min(k, n)) for k in ks),
        invalid=(float(np.mean(~np.isfinite(seconds))),) * len(ks),
        recall=tuple(min(k, n) / n for k in ks),
        ndcg=float(np.mean(gain) * discount.sum() / (np.sort(gain)[::-1][: len(discount)] @ discount)),
        pairwise=0.5,
    )


def _chance_regret(seconds: Numbers, k: int) -> float:
    """Of C(n, k) equally likely choices, C(n - 1 - i, k - 1) have the i-th fastest as their best."""
    n = len(seconds)
    regrets = np.minimum(np.sort(seconds) / np.min(seconds) - 1, WORST_REGRET)
    choices = np.array([float(math.comb(n - 1 - i, k - 1)) for i in range(n)])
    return float(choices @ regrets) / math.comb(n, k)


def bootstrap_interval(
    values: Sequence[float], weights: Sequence[float] | None = None, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of the weighted mean over resampled kernels."""
    data = np.asarray(values, dtype=np.float64)
    weight = np.ones_like(data) if weights is None else np.asarray(weights, dtype=np.float64)
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(data), (draws, len(data)))
    means = (data[rows] * weight[rows]).sum(axis=1) / weight[rows].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
