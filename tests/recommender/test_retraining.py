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
from recommender.models.gate import compare_rankers, held_out_workloads
from recommender.models.training import OTHER_MACHINE_WEIGHT, TrainingSet, fit_ranker, training_set
from recommender.progress import Reporter
from recommender.retraining import keep, place_of, retrain, select_outcomes
from recommender.session import Machine


def turned_upside_down(y: np.ndarray) -> np.ndarray:
    """What was nearly as fast as the best becomes slow, and the other way round."""
    return np.asarray(-np.log2(1.001 - np.exp2(-y)))


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


@pytest.fixture
def there(shipped_of_two_models: Data, machine: Machine) -> Machine:
    """The machine that the shipped outcomes are of."""
    hardware, pipeline = shipped_of_two_models.most_measured()
    return replace(machine, hardware=hardware, pipeline=pipeline)


def test_a_worse_ranker_is_found_out(
    shipped_of_two_models: Data, there: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new one learns from newer outcomes that are upside down, and must lose against the shipped one."""
    data = shipped_of_two_models
    own = {m.workload for m in data.measurements}

    def upside_down(*arguments: object) -> TrainingSet:
        rows = training_set(*arguments)  # type: ignore[arg-type]
        newer = rows.groups % 3 > 0
        return replace(
            rows,
            y=np.where(newer, turned_upside_down(rows.y), rows.y),
            measured_at=np.where(newer, np.inf, rows.measured_at),
        )

    monkeypatch.setattr("recommender.retraining.training_set", upside_down)
    result = retrain(data, own, there, exclude_models=[], seed=0, reporter=Reporter(0))

    assert result.verdict.workloads > 5
    assert not result.verdict.is_no_worse
    assert result.card.metrics["regret_at_1"] > result.card.metrics["regret_at_1_of_the_one_before"]


def test_what_the_ranker_in_use_remembers_does_not_count(shipped_of_two_models: Data, there: Machine) -> None:
    """Trained again on the same outcomes, a ranker is as good as itself on kernels held out from both."""
    data = shipped_of_two_models
    own = {m.workload for m in data.measurements}
    first = retrain(data, own, there, exclude_models=[], seed=0, reporter=Reporter(0))
    keep(first, force=True)

    again = retrain(data, own, there, exclude_models=[], seed=0, reporter=Reporter(0))

    assert again.verdict.workloads > 5
    assert again.verdict.old_regret == again.verdict.new_regret
    rows = training_set(data, data.relatives(there.hardware), there.pipeline)
    held_out = held_out_workloads(rows, own, 0)
    remembered = compare_rankers(first.ranker, first.ranker, rows, held_out).new_regret
    assert remembered is not None
    assert remembered < again.verdict.new_regret


def test_what_it_remembers_does_not_count_either_where_only_newer_outcomes_are_learned_from(
    shipped_of_two_models: Data, there: Machine
) -> None:
    """The ranker in use learned held-out kernels from outcomes that the new one does not look at."""
    data = shipped_of_two_models
    own = {m.workload for m in data.measurements}
    keep(retrain(data, own, there, exclude_models=[], seed=0, reporter=Reporter(0)), force=True)
    later = max(m.measured_at for m in data.measurements) + 1
    newer = replace(data, measurements=tuple(replace(m, measured_at=later) for m in data.measurements[::2]))
    everything = replace(data, measurements=data.measurements + newer.measurements)

    def verdict(known: Data | None) -> float:
        result = retrain(
            newer, own, there, everything=known, exclude_models=[], seed=0, reporter=Reporter(0)
        ).verdict
        assert result.old_regret is not None
        return result.old_regret

    assert verdict(everything) > verdict(None)  # which is what it remembers


def test_outcomes_are_selected_by_hardware_and_time(library: Path) -> None:
    data = load_data(library)
    times = sorted(m.measured_at for m in data.measurements)
    middle = times[len(times) // 2]

    recent = select_outcomes(data, since=middle)
    assert 0 < len(recent.measurements) < len(data.measurements)
    assert all(m.measured_at >= middle for m in recent.measurements)
    with pytest.raises(DataError, match="hardware with outcomes: "):
        select_outcomes(data, hardware="another")


def test_the_same_schedule_elsewhere_is_not_ones_own(library: Path) -> None:
    mine = load_data(library)
    elsewhere = tuple(replace(m, hardware="elsewhere") for m in mine.measurements)
    both = replace(mine, measurements=mine.measurements + elsewhere)

    selected = select_outcomes(both, only={place_of(m) for m in mine.measurements})

    assert selected.measurements == mine.measurements


def test_outcomes_of_other_machines_count_less(library: Path, machine: Machine) -> None:
    """What a far machine says in contradiction must not change the order that the near one teaches."""
    data = load_data(library)
    rows = training_set(data, [machine.hardware], machine.pipeline)
    n = len(rows.workloads)
    contradicting = replace(
        rows,
        X=np.vstack([rows.X, rows.X]),
        y=np.concatenate([rows.y, turned_upside_down(rows.y)]),
        groups=np.concatenate([rows.groups, rows.groups + n]),
        seconds=np.concatenate([rows.seconds, rows.seconds]),
        workloads=rows.workloads * 2,
        is_transfer=np.concatenate([rows.is_transfer, rows.is_transfer]),
        measured_at=np.concatenate([rows.measured_at, rows.measured_at]),
        machines=rows.machines + ("far",) * n,
    )
    near = fit_ranker(contradicting, machine.hardware.id).predict(rows.X)
    far = fit_ranker(contradicting, "far").predict(rows.X)

    assert OTHER_MACHINE_WEIGHT < 1
    ok = np.isfinite(rows.y)
    assert np.corrcoef(near[ok], rows.y[ok])[0, 1] > 0.1
    assert np.corrcoef(far[ok], rows.y[ok])[0, 1] < -0.1
