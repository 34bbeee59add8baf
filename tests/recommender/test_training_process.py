"""A ranker that is trained beside a run is the one that the run itself would train."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from recommender.datasets.layers import load_data
from recommender.errors import DataError
from recommender.models.training import train_ranker, training_set
from recommender.progress import Reporter
from recommender.run import Clock, Options, Run
from recommender.session import Machine
from recommender.training_process import ranker_beside

SEEN = "resnet18"
"""A model that the shipped ranker learned from."""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[subprocess.Popen[str]]:
    """The processes that were started; shipped data there are none."""
    monkeypatch.setattr("recommender.knowledge.SHIPPED", tmp_path / "no-such-store.db")
    processes: list[subprocess.Popen[str]] = []

    class Noted(subprocess.Popen[str]):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)  # type: ignore[call-overload]
            processes.append(self)

    monkeypatch.setattr("recommender.training_process.subprocess.Popen", Noted)
    return processes


def run_without(model: str, machine: Machine, store: Path) -> Run:
    return Run(machine, Options(store=store, exclude_models=(model,)), Reporter(1), Clock())


def test_it_is_the_ranker_that_this_process_would_train_and_is_cached(
    machine: Machine,
    library: Path,
    started: list[subprocess.Popen[str]],
    capfd: pytest.CaptureFixture[str],
) -> None:
    said: list[str] = []
    for _ in range(2):
        with ranker_beside(run_without(SEEN, machine, library)) as ranker:
            beside = ranker()
        said.append(capfd.readouterr().err)

    data = load_data(library)
    here, _ = train_ranker(data, machine.hardware, machine.pipeline)
    rows = training_set(data, [machine.hardware], machine.pipeline)
    assert np.array_equal(beside.predict(rows.X), here.predict(rows.X))
    assert "training a ranker" in said[0]
    assert said[1] == ""
    assert [process.returncode for process in started] == [0, 0]


def test_nothing_to_train_on_is_said_as_it_would_be_here(
    machine: Machine, tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    with (
        pytest.raises(DataError, match=r"nothing was measured on .*recommender tune --cold MODEL$"),
        ranker_beside(run_without(SEEN, machine, tmp_path / "empty.db")) as ranker,
    ):
        ranker()
    assert len(started) == 1


def test_it_ends_with_a_run_that_fails(
    machine: Machine, library: Path, started: list[subprocess.Popen[str]]
) -> None:
    with pytest.raises(KeyError), ranker_beside(run_without(SEEN, machine, library)):
        raise KeyError

    assert [process.returncode for process in started] == [-9]


def test_a_ranker_that_never_saw_the_model_needs_no_process(
    machine: Machine, library: Path, started: list[subprocess.Popen[str]]
) -> None:
    with ranker_beside(run_without("a model that nobody knows", machine, library)) as ranker:
        assert ranker().booster_.num_boosted_rounds() > 0
    assert started == []
