"""What the library is worth to a search: warm against cold, with the same number of trials.

    python benchmarks/warm_start.py resnet18 --trials 32 -o docs/results/warm_start.json

Searches every kernel of a model twice, without what only the model itself gave: from nothing, and
from the first of the ranking (`recommender tune`). Prints the sum over kernels of calls times the best so
far after 4, 8, 16 ... trials of each. Takes a minute for every two kernels; run nothing beside it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from itertools import accumulate
from pathlib import Path

from recommender.datasets.store import Store
from recommender.knowledge import gather_knowledge
from recommender.progress import Reporter
from recommender.run import Clock, Options, Run
from recommender.session import PreparedModel, prepare_named, this_machine
from recommender.tuning import tune
from recommender.workspace import open_workspace


def best_so_far(store: Path, model: PreparedModel, trials: int) -> list[float]:
    """Sum over kernels of calls times the best of the first 1, 2, ... trials, in seconds."""
    seconds: dict[str, list[float]] = defaultdict(list)
    with Store(store) as opened:
        for m in sorted(opened.measurements(), key=lambda m: m.measured_at):
            seconds[m.workload].append(m.outcome.median_seconds)
    total = [0.0] * trials
    for kernel in model.kernels:
        best = list(accumulate(seconds[kernel.workload.key], min))
        best += [best[-1]] * (trials - len(best))  # a small space is exhausted early
        total = [t + kernel.calls * b for t, b in zip(total, best, strict=False)]
    return total


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("-o", type=Path)
    options = parser.parse_args()
    machine, reporter = this_machine(), Reporter(1)
    model = prepare_named(options.model, machine)
    curves = {}
    with tempfile.TemporaryDirectory() as folder:
        given = Options(exclude_models=(options.model,), store=Path(folder) / "none.db")
        knowledge = gather_knowledge(Run(machine, given, reporter, Clock()))
        for source, known in (("tune", None), ("warm-tune", knowledge)):
            store = Path(folder) / f"{source}.db"
            with open_workspace(machine, store, source) as workspace:
                tune([model], options.trials, workspace, reporter, known)
            curves[source] = best_so_far(store, model, options.trials)
    cold, warm = curves["tune"], curves["warm-tune"]
    reached = next((n + 1 for n, s in enumerate(warm) if s <= cold[-1]), None)
    for n in [2**i for i in range(2, 12) if 2**i <= options.trials]:
        print(f"{n:4} trials: cold {1e3 * cold[n - 1]:8.3f} ms, warm {1e3 * warm[n - 1]:8.3f} ms")
    print(f"warm reaches what cold has after {options.trials} trials after {reached}")
    if options.o:
        page = {"model": options.model, "hardware": machine.hardware.id, "trials": options.trials}
        page |= {"cold_seconds": cold, "warm_seconds": warm, "warm_reaches_cold_after": reached}
        options.o.write_text(json.dumps(page) + "\n")


if __name__ == "__main__":
    main()
