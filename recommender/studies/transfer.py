"""Which model's schedules suit which model's kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

from recommender.candidates import transfer_candidates
from recommender.errors import DataError
from recommender.studies.table import Plot, Study, StudyInput
from recommender.vocabulary import Json


def study_transfer(given: StudyInput) -> Study:
    """Model to model: how much slower a model's kernels get if only one other model gives schedules.

    Raises:
        DataError: no model's schedules were measured on another's kernels.
    """
    hardware, pipeline, data = given.hardware, given.pipeline, given.data
    measured: dict[str, dict[Any, float]] = {}
    for m in data.measurements:
        if m.setting == (hardware.id, pipeline):
            measured.setdefault(m.workload, {})[m.schedule] = m.outcome.median_seconds
    donors = data.donors(hardware, pipeline)
    models = [fold.model for fold in given.folds]
    rows: list[dict[str, Json]] = []
    for fold in given.folds:
        keys = [fold.test.workloads[g] for g in np.unique(fold.test.groups)]
        for source in models:
            if source == fold.model:
                continue
            theirs = [d for d in donors if source in d.origins and fold.model not in d.origins]
            lost, weight, covered = 0.0, 0.0, 0
            for key in keys:
                seconds = measured[key]
                best = min(seconds.values())
                given_by = [
                    seconds[c.schedule]
                    for c in transfer_candidates(data.workloads[key], theirs)
                    if c.schedule in seconds
                ]
                if given_by and np.isfinite(min(given_by)):
                    covered += 1
                    lost += fold.calls[key] * min(given_by)
                    weight += fold.calls[key] * best
            rows.append(
                {
                    "to": fold.model,
                    "from": source,
                    "kernels": len(keys),
                    "covered": covered,
                    "slower %": 100 * (lost / weight - 1) if weight else None,
                }
            )
    covered_rows = [row for row in rows if row["covered"]]
    useful = [row for row in covered_rows if row["covered"] >= row["kernels"] / 2] or covered_rows
    if not useful:
        raise DataError(
            "no model's schedules were measured on another's kernels; run: recommender collect MODEL ..."
        )
    best_row = min(useful, key=lambda row: row["slower %"])
    finding = (
        f"The best single donor of what was measured is {best_row['from']} for {best_row['to']}: its "
        f"schedules leave {best_row['slower %']:.1f} % against the best known, on {best_row['covered']} of "
        f"{best_row['kernels']} kernels."
    )
    plot = Plot("heat", "from", "to", "donor model", "model", value="slower %")
    return Study("transfer", finding, rows, plot)
