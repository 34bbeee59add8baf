"""How fast candidates are made, encoded and ranked.

    python benchmarks/ranking_speed.py [MODEL]

Ranks all candidates of a zoo model's kernels (default resnet50) against the shipped library with the
shipped ranker, and prints candidates a second of each step. Nothing is measured on the hardware.
"""

from __future__ import annotations

import sys
import time

from recommender.candidates import transfer_candidates
from recommender.datasets.layers import SHIPPED, load_data
from recommender.features import encode
from recommender.models.artefact import SHIPPED as SHIPPED_RANKER
from recommender.models.artefact import load_ranker
from recommender.session import prepare_named, this_machine


def main() -> None:
    machine = this_machine()
    model = prepare_named(sys.argv[1] if len(sys.argv) > 1 else "resnet50", machine)
    donors = load_data(SHIPPED).donors(machine.hardware, machine.pipeline)
    ranker, _ = load_ranker(SHIPPED_RANKER)
    seconds = {"making": 0.0, "encoding": 0.0, "ranking": 0.0}
    total = 0
    for kernel in model.kernels:
        start = time.perf_counter()
        candidates = transfer_candidates(kernel.workload, donors, machine.hardware)
        made = time.perf_counter()
        X = encode(kernel.workload, candidates, machine.hardware)
        encoded = time.perf_counter()
        if len(X):
            ranker.predict(X)
        ranked = time.perf_counter()
        total += len(candidates)
        seconds["making"] += made - start
        seconds["encoding"] += encoded - made
        seconds["ranking"] += ranked - encoded
    print(f"{total} candidates of {len(model.kernels)} kernels from {len(donors)} donors")
    for step, spent in seconds.items():
        print(f"{step:9} {total / spent:10.0f} candidates/s")


if __name__ == "__main__":
    main()
