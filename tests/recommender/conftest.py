"""A small model prepared for this machine, and what a run knows that has a small library."""

from __future__ import annotations

from pathlib import Path

import pytest

from recommender.progress import Reporter
from recommender.ranking import Knowledge, gather_knowledge
from recommender.run import Clock, Options, Run
from recommender.session import Machine, PreparedModel, prepare_named


@pytest.fixture
def model(convnet_path: Path, machine: Machine) -> PreparedModel:
    return prepare_named(str(convnet_path), machine)


@pytest.fixture
def knowledge(machine: Machine, library: Path) -> Knowledge:
    return gather_knowledge(Run(machine, Options(store=library), Reporter(0), Clock()))
