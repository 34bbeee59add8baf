"""Counts for the data cards of what ships: measurements by source and status, kernels, library, noise.

    python benchmarks/data_card.py

Reads the shipped store and the shipped ranker's page; measures nothing.
"""

from __future__ import annotations

from collections import Counter
from math import inf
from statistics import median

from recommender.datasets.layers import SHIPPED, Data, load_data
from recommender.datasets.records import Setting
from recommender.models.artefact import SHIPPED as SHIPPED_RANKER
from recommender.models.artefact import load_ranker
from recommender.tuning import heavy_kernels
from recommender.vocabulary import Kernel

HEAVY_TRIALS = 256


def searched(data: Data, setting: Setting, model: str) -> str:
    """How many kernels of a model were searched on a machine, and how many of the heavy ones long enough."""
    uses = [use for use in data.kernels if use.model == model and use.calls]
    kernels = [Kernel(use.name, data.workloads[use.workload], use.calls) for use in uses]
    trials = {s.workload: s.trials for s in data.searches if s.setting == setting}
    best: dict[str, float] = {}
    for m in data.measurements:
        if m.setting == setting:
            best[m.workload] = min(best.get(m.workload, inf), m.outcome.median_seconds)
    heavy = heavy_kernels(kernels, best)
    done = sum(k.workload.key in trials for k in kernels)
    enough = sum(trials.get(k.workload.key, 0) >= HEAVY_TRIALS for k in heavy)
    return f"{model} {done} of {len(kernels)} ({enough} of {len(heavy)})"


def main() -> None:
    data = load_data(SHIPPED)
    print(f"{SHIPPED.stat().st_size / 1e6:.1f} MB, hardware {', '.join(data.hardware)}")
    measured = {m.workload for m in data.measurements}
    models = Counter(use.model for use in data.kernels if use.calls and use.workload in measured)
    print(f"{len(measured)} kernels:", ", ".join(f"{m} {n}" for m, n in sorted(models.items())))
    print("measurements:", dict(Counter((m.source, m.outcome.status.value) for m in data.measurements)))
    print("policies:", dict(Counter(m.policy for m in data.measurements)))
    for id_, hardware in data.hardware.items():
        donors = data.donors(hardware, data.measurements[0].pipeline)
        print(
            f"library for {id_}: {len(donors)} schedules of {len({d.workload.key for d in donors})} kernels"
        )
        setting = (id_, data.measurements[0].pipeline)
        counts = ", ".join(searched(data, setting, model) for model in sorted(models))
        print(f"searched there (heavy ones with {HEAVY_TRIALS} trials): {counts}")
    spreads = [m.outcome.spread for m in data.measurements if len(m.outcome.seconds) > 1]
    loads = [m.outcome.load for m in data.measurements]
    unsure = sum(m.outcome.is_unsure for m in data.measurements)
    print(f"median spread {100 * median(spreads):.1f} %, median load {median(loads):.2f}, {unsure} unsure")
    _, card = load_ranker(SHIPPED_RANKER)
    print(f"ranker: {card.rows} rows of {card.workloads} kernels, {card.objective}, {card.trained_at}")


if __name__ == "__main__":
    main()
