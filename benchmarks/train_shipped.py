"""Train the ranker that ships, for one of the machines that were measured.

    python benchmarks/train_shipped.py znver4-2t-3d7cb8a7 [-o models/shipped/ranker]

`recommender train` on the shipped outcomes does the same for the machine that it runs on; this runs on any.
Takes half a minute; nothing is measured.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from recommender.datasets.layers import SHIPPED, load_data
from recommender.models.artefact import save_ranker
from recommender.progress import Reporter
from recommender.retraining import plan_training, retrain
from recommender.session import this_machine


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("hardware")
    parser.add_argument("-o", "--output", type=Path, default=Path("models/shipped/ranker"))
    options = parser.parse_args()
    data = load_data(SHIPPED)
    machine = replace(this_machine(), hardware=data.hardware[options.hardware])
    plan = plan_training(data, machine, exclude_models=[], seed=0)
    result = retrain(plan, set(), Reporter(1))
    save_ranker(result.ranker, result.card, options.output)
    print(f"trained on {result.card.rows} outcomes of {result.card.workloads} kernels; {result.verdict}")


if __name__ == "__main__":
    main()
