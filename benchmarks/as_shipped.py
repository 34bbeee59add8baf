"""How good the ranking is when it learns from all machines, as the shipped ranker does.

    python benchmarks/as_shipped.py [--hardware ID] [--seed N]

`recommender evaluate` trains each ranker on outcomes of the machine that it is judged on, so that rankers
compare cheaply. What ships has also learned from that machine's relatives, whose outcomes weigh less. Here
it is judged so: one model left out at a time, novel shapes only, beside the same trained on the machine's
own outcomes and the order of shapes. Takes some ten minutes on two cores; nothing is measured.
"""

from __future__ import annotations

import argparse

from recommender.datasets.layers import SHIPPED, load_data
from recommender.models.baselines import NearestShapeRanker
from recommender.models.crossval import KS, KernelScore, gain_over, make_folds, score_trained, summarise
from recommender.models.hedging import HedgedRanker
from recommender.models.training import fit_ranker


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hardware", help="hardware id [default: the most measured]")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data = load_data(SHIPPED)
    most_measured, pipeline = data.most_measured()
    hardware = data.hardware[options.hardware] if options.hardware else most_measured
    scores: dict[str, list[KernelScore]] = {"all machines": [], "own outcomes": []}
    for learned, learn_from in (("all machines", data.relatives(hardware)), ("own outcomes", [hardware])):
        for fold in make_folds(data, hardware, pipeline, learn_from=learn_from):
            ranker = HedgedRanker(fit_ranker(fold.train, hardware.id, seed=options.seed))
            scores[learned] += score_trained("hedged", ranker, fold)
            scores[learned] += score_trained("nearest-shape", NearestShapeRanker(), fold)
            print(f"{learned}: {fold.model}, learned from {len(fold.train.y)} outcomes", flush=True)
    for learned, own in scores.items():
        for s in summarise(own):
            regrets = ", ".join(
                f"{100 * w:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
                for w, (low, high) in zip(s.weighted_regret, s.weighted_interval, strict=True)
            )
            print(f"{learned}, {s.ranker}, {s.kernels} kernels: regret@{'/'.join(map(str, KS))} {regrets}")
        lows = [100 * gain_over(own, "hedged", "nearest-shape", k)[1][0] for k in (1, 2)]
        print(
            f"{learned}: gains over nearest shape at k = 1 and 2 "
            f"at least {lows[0]:.1f} and {lows[1]:.1f} points"
        )


if __name__ == "__main__":
    main()
