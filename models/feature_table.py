"""Stored outcomes as rankers see them, for studies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recommender.datasets.layers import SHIPPED, load_data
from recommender.features import FEATURE_NAMES
from recommender.models.contract import Groups, Matrix, Vector
from recommender.models.training import training_set


@dataclass(frozen=True)
class Features:
    """What rankers learn from: X [rows, names] float32, y log2 of relative seconds (NaN if failed).

    `groups` numbers the workloads whose keys are in `workloads`.
    """

    X: Matrix
    y: Vector
    groups: Groups
    names: tuple[str, ...]
    workloads: tuple[str, ...]


def load_features(*paths: Path) -> Features:
    """Encode the outcomes of stores (the shipped one by default) on the hardware with most of them.

    Raises:
        DataError: a store cannot be read, or there are no outcomes.
    """
    data = load_data(*paths or (SHIPPED,))
    hardware, pipeline = data.most_measured()
    rows = training_set(data, [hardware], pipeline)
    return Features(rows.X, rows.y, rows.groups, FEATURE_NAMES, rows.workloads)
