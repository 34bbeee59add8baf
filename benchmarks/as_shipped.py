"""How good the order that `recommend` measures is on each machine that has outcomes.

    python benchmarks/as_shipped.py [--hardware ID] [--seed N]

`recommender evaluate` says it of the most measured machine, this of any: one model left out at a time, novel
shapes only, by a ranker that has learned from all machines, beside the order of shapes; then the kernels that
cost the order most at k = 1. Takes a minute or two on two cores; nothing is measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from recommender.datasets.layers import SHIPPED, Data, load_data
from recommender.evaluation import NEAREST
from recommender.models.baselines import NearestShapeRanker
from recommender.models.crossval import (
    AS_SHIPPED,
    KS,
    KernelScore,
    gain_over,
    make_folds,
    score_trained,
    summarise,
)
from recommender.models.hedging import HedgedRanker
from recommender.models.training import fit_ranker


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hardware", help="hardware id [default: the most measured]")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data = load_data(SHIPPED)
    most_measured, pipeline = data.most_measured()
    hardware = data.hardware[options.hardware or most_measured.id]
    scores: list[KernelScore] = []
    for fold in make_folds(data, hardware, pipeline, learn_from=data.relatives(hardware)):
        ranker = HedgedRanker(fit_ranker(fold.train, hardware.id, seed=options.seed))
        scores += score_trained(AS_SHIPPED, ranker, fold)
        scores += score_trained(NEAREST, NearestShapeRanker(), fold)
        print(f"{fold.model}: learned from {len(fold.train.lessons().y)} outcomes", flush=True)
    print(f"{hardware.id}: {summarise(scores)[0].kernels} kernels; time-weighted regret, % (95 % interval)")
    for s in summarise(scores):
        cells = [
            f"@{k} {100 * w:.1f} ({100 * low:.1f} to {100 * high:.1f})"
            for k, w, (low, high) in zip(KS, s.weighted_regret, s.weighted_interval, strict=True)
        ]
        print(f"{s.ranker:14} {'  '.join(cells)}")
    lows = [100 * gain_over(scores, AS_SHIPPED, NEAREST, k)[1][0] for k in (1, 2)]
    print(f"gains over {NEAREST} at k = 1 and 2 at least {lows[0]:.1f} and {lows[1]:.1f} points")
    _print_costliest([s for s in scores if s.ranker == AS_SHIPPED], data)


def _print_costliest(scores: Sequence[KernelScore], data: Data) -> None:
    """The kernels whose first pick costs most: regret times their share of all kernels' best times."""
    names = {(use.model, use.workload): use.name for use in data.kernels}
    whole = sum(s.weight for s in scores)
    for s in sorted(scores, key=lambda s: -s.weight * s.regret[0])[:5]:
        share, name = s.weight / whole, names[s.model, s.workload]
        points, times = 100 * share * s.regret[0], 1 + s.regret[0]
        print(f"{points:.1f} points: {s.model} {name}, {100 * share:.1f} % of the time, {times:.2f} x best")


if __name__ == "__main__":
    main()
