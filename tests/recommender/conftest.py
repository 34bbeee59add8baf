"""A small model prepared for this machine, and what a run knows that has a small library."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from recommender.datasets.store import Store
from recommender.harness.client import WorkerCrashed
from recommender.harness.measurer import Measurer, Task
from recommender.knowledge import Knowledge, gather_knowledge
from recommender.progress import Reporter
from recommender.run import Clock, Options, Run
from recommender.session import Machine, PreparedModel, prepare_named
from recommender.workspace import Workspace


@pytest.fixture
def model(convnet_path: Path, machine: Machine) -> PreparedModel:
    return prepare_named(str(convnet_path), machine)


@pytest.fixture(scope="session")
def knowledge(machine: Machine, tuned_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Knowledge:
    """Gathered once: reading the shipped data takes a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECOMMENDER_DATA", str(tmp_path_factory.mktemp("nobody")))
        return gather_knowledge(Run(machine, Options(store=tuned_store), Reporter(0), Clock()))


class _Refusing(Measurer):
    def load(self, task: Task) -> None:
        raise WorkerCrashed("the worker died with SIGSEGV\nof something")


@pytest.fixture
def hopeless_workspace(machine: Machine, library: Path) -> Iterator[Workspace]:
    """The small library, and a worker that takes no kernel at all."""
    with Store(library) as store:
        yield Workspace(machine, store, _Refusing(machine.target, machine.threads), "collect")
