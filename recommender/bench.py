"""What `tune` and `collect` work with: prepared models, an open store and a measurer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from recommender.datasets.layers import user_store_path
from recommender.datasets.store import Store
from recommender.harness.measurer import Measurer
from recommender.session import Machine, PreparedModel, prepare_named, this_machine
from recommender.tuning import register


@dataclass(frozen=True)
class Bench:
    """A machine, models registered in a store, and a measurer for them."""

    machine: Machine
    models: tuple[PreparedModel, ...]
    store: Store
    measurer: Measurer


@contextmanager
def open_bench(names: Sequence[str], target: str, threads: int | None, store: Path | None) -> Iterator[Bench]:
    """Prepare models, register their kernels and start a worker.

    Raises:
        RecommenderError: a model, the target or the store cannot be used.
    """
    machine = this_machine(target, threads)
    models = tuple(prepare_named(name, machine) for name in names)
    with (
        Store(store or user_store_path()) as opened,
        Measurer(machine.target, machine.threads) as measurer,
    ):
        for model in models:
            register(opened, model, machine)
        yield Bench(machine, models, opened, measurer)
