"""Counts for the data cards of what ships: measurements by source and status, kernels, library, noise.

    python benchmarks/data_card.py

Reads the shipped store and the shipped ranker's page; measures nothing.
"""

from __future__ import annotations

from collections import Counter
from statistics import median

from recommender.datasets.layers import SHIPPED, load_data
from recommender.models.artefact import SHIPPED as SHIPPED_RANKER
from recommender.models.artefact import load_ranker


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
    spreads = [m.outcome.spread for m in data.measurements if len(m.outcome.seconds) > 1]
    loads = [m.outcome.load for m in data.measurements]
    unsure = sum(m.outcome.is_unsure for m in data.measurements)
    print(f"median spread {100 * median(spreads):.1f} %, median load {median(loads):.2f}, {unsure} unsure")
    _, card = load_ranker(SHIPPED_RANKER)
    print(f"ranker: {card.rows} rows of {card.workloads} kernels, {card.objective}, {card.trained_at}")


if __name__ == "__main__":
    main()
