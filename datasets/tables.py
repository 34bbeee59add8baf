"""Stored outcomes as tables, for studies: one row an outcome, columns as docs/data.md describes them."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any, Literal

from recommender.datasets.layers import SHIPPED, Data, load_data
from recommender.errors import DataError, SetupError, UsageError

Kind = Literal["pandas", "polars", "arrow"]


def load_outcomes(*paths: Path, kind: Kind = "pandas") -> Any:
    """All outcomes of stores (the shipped one by default) as a pandas, polars or Arrow table.

    Columns: workload, kernel_class, models, hardware, pipeline, schedule, decisions (JSON), policy, donor,
    source, status, reason, median_seconds (infinite if it failed), spread (half the interquartile
    range over the median), relative_seconds (over the best of the workload on that hardware), load, seed,
    measured_at.

    Raises:
        DataError: a store cannot be read, or there are no outcomes.
        SetupError: pyarrow or the kind of table is not installed.
        UsageError: no such kind of table.
    """
    if kind not in ("pandas", "polars", "arrow"):
        raise UsageError(f"a table is of pandas, polars or arrow, but got {kind!r}")
    try:
        import pyarrow

        table = pyarrow.table(_columns(load_data(*paths or (SHIPPED,))))
        if kind == "arrow":
            return table
        if kind == "pandas":
            return table.to_pandas()
        import polars

        return polars.from_arrow(table)
    except ImportError as exc:
        raise SetupError(f"tables need {exc.name}; run: pip install '.[study]' (in the repository)") from exc


def write_parquet(path: Path, *stores: Path) -> None:
    """Write `load_outcomes` of stores as a Parquet file.

    Raises:
        DataError, SetupError: as `load_outcomes`.
    """
    table = load_outcomes(*stores, kind="arrow")
    import pyarrow.parquet

    pyarrow.parquet.write_table(table, path, compression="zstd")


def _columns(data: Data) -> dict[str, list[Any]]:
    if not data.measurements:
        raise DataError("there are no outcomes; run: recommender collect MODEL ...")
    best: dict[tuple[str, str, str], float] = {}
    for m in data.measurements:
        place = (m.workload, m.hardware, m.pipeline)
        best[place] = min(best.get(place, float("inf")), m.outcome.median_seconds)
    columns: dict[str, list[Any]] = defaultdict(list)
    for m in data.measurements:
        seconds, least = m.outcome.median_seconds, best[m.workload, m.hardware, m.pipeline]
        workload = data.workloads.get(m.workload)
        row = {
            "workload": m.workload,
            "kernel_class": workload.kernel_class if workload else "",
            "models": ",".join(sorted(data.lineage.origins.get(m.workload, ()))),
            "hardware": m.hardware,
            "pipeline": m.pipeline,
            "schedule": m.schedule.id,
            "decisions": json.dumps(m.schedule.decisions, separators=(",", ":")),
            "policy": m.policy,
            "donor": m.donor,
            "source": m.source,
            "status": m.outcome.status.value,
            "reason": m.outcome.reason,
            "median_seconds": seconds,
            "spread": m.outcome.spread,
            "relative_seconds": seconds / least if m.outcome.ok else float("inf"),
            "load": m.outcome.load,
            "seed": m.seed,
            "measured_at": m.measured_at,
        }
        for name, value in row.items():
            columns[name].append(value)
    return columns
