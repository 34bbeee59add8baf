"""Outcomes as tables: the same rows whatever the library, and clear words where there is nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
import polars
import pytest

from recommender import load_features, load_outcomes
from recommender.datasets.store import Store
from recommender.datasets.tables import write_parquet
from recommender.errors import DataError, UsageError
from recommender.features import FEATURE_NAMES


def test_pandas_polars_and_parquet_hold_the_same_rows(library: Path, tmp_path: Path) -> None:
    table = load_outcomes(library)
    with Store(library) as store:
        measurements = list(store.measurements())

    assert len(table) == len(measurements) > 20
    assert table["median_seconds"].tolist() == [m.outcome.median_seconds for m in measurements]
    assert (table["relative_seconds"] >= 1).all()
    assert table.groupby("workload")["relative_seconds"].min().eq(1).all()

    assert load_outcomes(library, kind="polars").equals(polars.from_pandas(table))
    write_parquet(tmp_path / "outcomes.parquet", library)
    pandas.testing.assert_frame_equal(pandas.read_parquet(tmp_path / "outcomes.parquet"), table)


def test_features_line_up_with_their_groups(library: Path) -> None:
    features = load_features(library)

    assert features.names == FEATURE_NAMES
    assert features.X.shape == (len(features.y), len(features.names))
    assert set(features.groups) == set(range(len(features.workloads)))
    for group in range(len(features.workloads)):
        assert np.nanmin(features.y[features.groups == group]) == 0  # the best of a workload


def test_no_outcomes_and_no_such_table_are_said(tmp_path: Path) -> None:
    Store(tmp_path / "empty.db").close()
    with pytest.raises(DataError, match="no outcomes; run"):
        load_outcomes(tmp_path / "empty.db")
    with pytest.raises(UsageError, match="pandas, polars or arrow"):
        load_outcomes(tmp_path / "empty.db", kind="excel")  # type: ignore[arg-type]
