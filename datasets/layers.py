"""Where data lives: what ships with the package is read-only, what the user measures lies over it."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from recommender.datasets.library import build_library
from recommender.datasets.records import KernelUse, Measurement
from recommender.datasets.store import Store
from recommender.vocabulary import Donor, Workload

SHIPPED = Path(__file__).parent / "shipped" / "outcomes.db"


def data_folder() -> Path:
    """The user's own folder: RECOMMENDER_DATA, or where the system keeps an application's data."""
    given = os.environ.get("RECOMMENDER_DATA")
    return Path(given) if given else platformdirs.user_data_path("tvm-schedule-recommender")


def user_store_path() -> Path:
    """The store that the user's own measurements are appended to."""
    return data_folder() / "outcomes.db"


@dataclass(frozen=True)
class Data:
    """Everything that is known: shipped and own measurements, their kernels and workloads."""

    measurements: tuple[Measurement, ...]
    kernels: tuple[KernelUse, ...]
    workloads: dict[str, Workload]

    def donors(self, hardware: str, pipeline: str, exclude_models: Collection[str] = ()) -> list[Donor]:
        """The library for one hardware and pipeline; see `build_library`."""
        return build_library(
            self.measurements,
            self.kernels,
            self.workloads,
            hardware=hardware,
            pipeline=pipeline,
            exclude_models=exclude_models,
        )


def load_data(*paths: Path) -> Data:
    """Read stores, later ones over earlier ones.

    Raises:
        DataError: one of them exists but cannot be read.
    """
    measurements: list[Measurement] = []
    kernels: list[KernelUse] = []
    workloads: dict[str, Workload] = {}
    for path in paths:
        if path.exists():
            with Store(path, read_only=path == SHIPPED) as store:
                measurements += store.measurements()
                kernels += store.kernels()
                workloads |= store.workloads()
    return Data(tuple(measurements), tuple(kernels), workloads)
