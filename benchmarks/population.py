"""What searching with a population of 128 instead of TVM's 512 costs in quality and saves in time.

    python benchmarks/population.py [MODEL] [--kernels 4] [--trials 64]

Searches the kernels with the most work of a zoo model (default resnet18) from nothing, with either population
and everything else alike, and times the two winners of each kernel side by side. Takes some two minutes a
kernel; run nothing beside it.
"""

from __future__ import annotations

import argparse
import math
import time
from statistics import geometric_mean, median
from typing import Any, cast

from recommender.compiler import setup
from recommender.session import prepare_named, this_machine
from recommender.vocabulary import Outcome, Schedule

TVMS_POPULATION = 512


class Heard:
    """The worker's end of a pipe, in one process: remembers the fastest schedule that was reported."""

    def __init__(self) -> None:
        self.seconds, self.schedule = math.inf, cast(Schedule, None)

    def send(self, message: tuple[str, tuple[Any, ...]]) -> None:
        """Take a report; see `Services.search`."""
        kind, *rest = message[1]
        if kind == "measured":
            schedule, outcome = cast(tuple[Schedule, Outcome], tuple(rest))
            if outcome.median_seconds < self.seconds:
                self.seconds, self.schedule = outcome.median_seconds, schedule


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", nargs="?", default="resnet18")
    parser.add_argument("--kernels", type=int, default=4)
    parser.add_argument("--trials", type=int, default=64)
    options = parser.parse_args()
    machine = this_machine()
    setup.prepare(machine.threads)
    from recommender.harness import search
    from recommender.harness.services import Services
    from recommender.harness.timing import IN_TURNS, TimingRule

    model = prepare_named(options.model, machine)
    ours, ratios, spent = search.POPULATION, [], {search.POPULATION: 0.0, TVMS_POPULATION: 0.0}
    by_work = sorted(model.kernels, key=lambda k: -k.calls * k.workload.flops)[: options.kernels]
    for number, kernel in enumerate(by_work):
        key, found = kernel.workload.key, {}
        for population in (ours, TVMS_POPULATION) if number % 2 else (TVMS_POPULATION, ours):
            heard = Heard()
            services = Services(cast(Any, heard))
            services.open(machine.target)
            services.load(key, model.spaces[key].to_json())
            search.POPULATION = population
            start = time.monotonic()
            services.search(key, options.trials, 0, TimingRule(), [], machine.threads)
            spent[population] += time.monotonic() - start
            found[population] = heard.schedule
        built = services.build_all(key, [found[ours], found[TVMS_POPULATION]], machine.threads)
        seconds, _ = services.time([token for token in built if isinstance(token, int)], IN_TURNS)
        ratios.append(median(seconds[0]) / median(seconds[1]))
        print(
            f"{kernel.name}: best with {ours} over best with {TVMS_POPULATION}: {ratios[-1]:.3f}", flush=True
        )
    print(f"geometric mean {geometric_mean(ratios):.3f} on {len(ratios)} kernels of {options.trials} trials")
    print(", ".join(f"{s:.0f} s with {population}" for population, s in spent.items()))


if __name__ == "__main__":
    main()
