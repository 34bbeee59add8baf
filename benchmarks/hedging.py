"""What else than the learned ranking should choose some of the few places that are measured?

    python benchmarks/hedging.py --seed 0 [--hardware znver5-2t-ea02d49e]

Trains rankers with one model left out at a time (novel shapes only, as `recommender evaluate` does), deals
out the places of each kernel to rankers in turns, and prints the time-weighted regret, with the 95 %
interval of the gain over the nearest shape. Takes about five minutes; needs no TVM and measures nothing.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from recommender.datasets.layers import SHIPPED, load_data
from recommender.models import metrics
from recommender.models.contract import Vector
from recommender.models.crossval import KS, RANKERS, make_folds

_DEALS = (
    ("nearest-shape",),
    ("xgboost",),
    ("xgboost", "nearest-shape"),
    ("xgboost", "nearest-shape", "xgboost"),
    ("xgboost", "nearest-shape", "xgboost", "xgboost"),
    ("xgboost", "xgboost-pairwise"),
    ("xgboost", "xgboost-ndcg"),
    ("xgboost", "forest"),
    ("forest", "nearest-shape"),
)
"""Who chooses the first place, the second and so on, and then from the beginning."""

_Kernel = tuple[float, Vector, dict[str, Vector]]
"""Weight, seconds of its candidates and what each ranker predicted of them."""


def kernels(names: Sequence[str], seed: int, hardware: str | None) -> Iterator[_Kernel]:
    """Every kernel of every model, ranked by rankers that never saw it."""
    data = load_data(SHIPPED)
    most, pipeline = data.most_measured()
    for fold in make_folds(data, data.hardware[hardware or most.id], pipeline):
        rankers = {n: RANKERS[n](seed).fit(fold.train.X, fold.train.y, fold.train.groups) for n in names}
        predicted = {name: ranker.predict(fold.test.X) for name, ranker in rankers.items()}
        for group in np.unique(fold.test.groups):
            rows = fold.test.groups == group
            seconds = fold.test.seconds[rows]
            weight = float(seconds.min()) * fold.calls[fold.test.workloads[group]]
            yield weight, seconds, {name: scores[rows] for name, scores in predicted.items()}


def dealt(deal: Sequence[str], predicted: dict[str, Vector]) -> Vector:
    """The place of each candidate when rankers choose in turns among those that are left."""
    places = np.full(len(predicted[deal[0]]), np.inf)
    for place, name in zip(range(len(places)), itertools.cycle(deal)):
        left = np.flatnonzero(np.isinf(places))
        places[left[np.argmin(predicted[name][left])]] = place
    return places


def main() -> None:
    """Print a table of deals."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hardware", help="id of a machine in the shipped outcomes; else the most measured")
    args = parser.parse_args()
    found = list(kernels(sorted({name for deal in _DEALS for name in deal}), args.seed, args.hardware))
    weights = [weight for weight, _, _ in found]
    regrets = {
        deal: np.array([[metrics.capped_regret(dealt(deal, p), s, k) for k in KS] for _, s, p in found])
        for deal in _DEALS
    }
    print(f"{len(found)} kernels; regret, % of time; in brackets the gain over nearest-shape, points, 95 %")
    for deal, regret in regrets.items():
        cells = []
        for column, k in enumerate(KS):
            gain = (regrets["nearest-shape",] - regret)[:, column]
            low, high = metrics.bootstrap_interval(gain.tolist(), weights)
            mean = np.average(regret[:, column], weights=weights)
            cells.append(f"@{k} {100 * mean:5.2f} [{100 * low:5.2f} to {100 * high:5.2f}]")
        print(f"{' / '.join(deal):50} {'  '.join(cells)}")


if __name__ == "__main__":
    main()
