"""Where the time of ranking goes: reading, building the library, making candidates, encoding, predicting.

    python benchmarks/ranking_speed.py [MODEL]

Ranks the kernels of a zoo model (default resnet50) with the shipped ranker and the shipped outcomes, without
what comes from the model. Prints the seconds of each step, the least of three times. Nothing is measured on
the hardware, but run nothing beside it.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from recommender.candidates import transfer_candidates
from recommender.datasets.layers import SHIPPED, load_data
from recommender.features import encode
from recommender.models.artefact import SHIPPED as SHIPPED_RANKER
from recommender.models.artefact import load_ranker
from recommender.session import prepare_named, this_machine

TIMES = 3


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "resnet50"
    machine = this_machine()
    model = prepare_named(name, machine)
    ranker, _ = load_ranker(SHIPPED_RANKER)
    seconds: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def step(name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        seconds[name].append(time.perf_counter() - start)

    for _ in range(TIMES):
        with step("reading"):
            data = load_data(SHIPPED)
        with step("library"):
            donors = data.donors(machine.hardware, machine.pipeline, [name])
        with step("making"):
            made = [transfer_candidates(k.workload, donors, machine.hardware) for k in model.kernels]
        with step("encoding"):
            both = zip(model.kernels, made, strict=True)
            encoded = [encode(k.workload, candidates, machine.hardware) for k, candidates in both]
        with step("predicting"):
            for X in encoded:
                if len(X):
                    ranker.predict(X)
    print(f"{sum(map(len, made))} candidates of {len(made)} kernels from {len(donors)} donors")
    for label, times in seconds.items():
        print(f"{label:11} {min(times):5.2f} s")


if __name__ == "__main__":
    main()
