"""Training on own outcomes: what counts, what replaces the ranker in use, and what is said if nothing can."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from recommender.cli import app
from recommender.datasets.layers import Data, load_data
from recommender.errors import DataError
from recommender.models import registry
from recommender.models.training import OTHER_MACHINE_WEIGHT, TrainingSet, fit_ranker, training_set
from recommender.progress import Reporter
from recommender.retraining import retrain, select_outcomes
from recommender.session import Machine


def recommender(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [*map(str, arguments)])


def test_train_keeps_judges_and_uses(library: Path) -> None:
    trained = recommender("train", "--only-mine", "--store", library, "--force", "-q")
    assert trained.exit_code == 0, trained.stderr
    assert "held-out" in trained.stdout
    (name,) = registry.ranker_names()[1:]
    assert registry.active_name() == name

    listed = recommender("models", "list").stdout
    assert f"* {name}" in listed
    assert '"regret_at_1"' in recommender("models", "show", name).stdout
    compared = recommender("models", "compare", "shipped", name, "--store", library)
    assert "regret@1 on" in compared.stdout, compared.stderr
    assert recommender("models", "use", "shipped").exit_code == 0
    assert registry.active_name() == "shipped"


def test_a_worse_ranker_is_found_out(
    shipped_of_two_models: Data, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new one learns from outcomes turned upside down, and must lose against the shipped one."""
    data = shipped_of_two_models
    there = replace(machine, hardware=data.most_measured(), pipeline=data.most_used_pipeline())
    own = {m.workload for m in data.measurements}

    def upside_down(*arguments: object) -> TrainingSet:
        rows = training_set(*arguments)  # type: ignore[arg-type]
        return replace(rows, y=np.nanmax(rows.y) - rows.y)

    monkeypatch.setattr("recommender.retraining.training_set", upside_down)
    result = retrain(data, own, there, exclude_models=[], seed=0, reporter=Reporter(0))

    assert result.verdict.workloads > 5
    assert not result.verdict.is_no_worse
    assert result.card.metrics["regret_at_1"] > result.card.metrics["regret_at_1_of_the_one_before"]


def test_outcomes_are_selected_by_hardware_and_time(library: Path) -> None:
    data = load_data(library)
    times = sorted(m.measured_at for m in data.measurements)
    middle = times[len(times) // 2]

    recent = select_outcomes(data, since=middle)
    assert 0 < len(recent.measurements) < len(data.measurements)
    assert all(m.measured_at >= middle for m in recent.measurements)
    with pytest.raises(DataError, match="hardware with outcomes: "):
        select_outcomes(data, hardware="another")


def test_outcomes_of_other_machines_count_less(library: Path, machine: Machine) -> None:
    """What a far machine says in contradiction must not change the order that the near one teaches."""
    data = load_data(library)
    rows = training_set(data, [machine.hardware], machine.pipeline)
    n = len(rows.workloads)
    contradicting = replace(
        rows,
        X=np.vstack([rows.X, rows.X]),
        y=np.concatenate([rows.y, np.nanmax(rows.y) - rows.y]),
        groups=np.concatenate([rows.groups, rows.groups + n]),
        seconds=np.concatenate([rows.seconds, rows.seconds]),
        workloads=rows.workloads * 2,
        is_transfer=np.concatenate([rows.is_transfer, rows.is_transfer]),
        machines=rows.machines + ("far",) * n,
    )
    near = fit_ranker(contradicting, machine.hardware.id).predict(rows.X)
    far = fit_ranker(contradicting, "far").predict(rows.X)

    assert OTHER_MACHINE_WEIGHT < 1
    ok = np.isfinite(rows.y)
    assert np.corrcoef(near[ok], rows.y[ok])[0, 1] > 0.1
    assert np.corrcoef(far[ok], rows.y[ok])[0, 1] < -0.1
