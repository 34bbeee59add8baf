"""Searches that start from the library, and what their schedules descend from."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.datasets.layers import load_data
from recommender.knowledge import gather_knowledge
from recommender.progress import Reporter
from recommender.run import Clock, Options, Run
from recommender.session import Machine, PreparedModel, prepare_named
from recommender.tuning import HEAVY_SHARE, heavy_kernels, tune
from recommender.vocabulary import Kernel, Workload
from recommender.workspace import open_workspace
from tests.conftest import two_convolutions

pytestmark = pytest.mark.tvm


@pytest.fixture
def model(machine: Machine, tmp_path: Path) -> PreparedModel:
    onnx.save(two_convolutions(), str(tmp_path / "target.onnx"))
    return prepare_named(str(tmp_path / "target.onnx"), machine)


def test_a_warm_search_starts_from_the_library_and_says_so(
    model: PreparedModel, machine: Machine, library: Path
) -> None:
    knowledge = gather_knowledge(Run(machine, Options(store=library), Reporter(0), Clock()))

    with open_workspace(machine, library, "warm-tune") as workspace:
        keys = [k.workload.key for k in model.kernels]
        spent = tune([model], 8, workspace, Reporter(0), knowledge)
        before = [workspace.kept(key) for key in keys]
        again = tune([model], 8, workspace, Reporter(0), knowledge)

        had_its_trials = [sum(m.source == "warm-tune" for m in rows) >= 8 for rows in before]
        new = [len(workspace.kept(key)) - len(rows) for key, rows in zip(keys, before, strict=True)]
        assert spent > 0
        # Only a kernel that is not tiled has fewer programs than trials.
        assert all(done for k, done in zip(model.kernels, had_its_trials, strict=True) if k.workload.flops)
        assert not any(n for n, done in zip(new, had_its_trials, strict=True) if done)
        assert again == sum(new)  # what the search missed of a space with fewer programs than trials
        rows = [m for key in keys for m in workspace.kept(key) if m.source == "warm-tune"]
        searched = [m for m in rows if m.policy == "search"]
        assert len(rows) == spent + again
        assert searched
        assert any(m.policy != "search" and m.donor for m in rows)  # the first of the ranking were tried
        assert workspace.store.searches() == [] or all(
            s.workload not in {k.workload.key for k in model.kernels} for s in workspace.store.searches()
        )  # a warm search is no reference

    # leaving out a model that gave the search its start leaves out what was found
    data = load_data(library)
    keys = {k.workload.key for k in model.kernels}
    with_all = [d for d in data.donors(machine.hardware, machine.pipeline) if d.workload.key in keys]
    origins = frozenset().union(*(d.origins for d in with_all))
    without = data.donors(machine.hardware, machine.pipeline, [m for m in origins if m != "target"])
    descended = {d.id for d in with_all if len(d.origins) > 1}
    assert descended
    assert not descended & {d.id for d in without}


def test_a_cold_search_knows_nothing_of_the_library(
    model: PreparedModel, machine: Machine, library: Path
) -> None:
    with open_workspace(machine, library, "tune") as workspace:
        tune([model], 4, workspace, Reporter(0))
        rows = [m for k in model.kernels for m in workspace.kept(k.workload.key)]
        assert {m.donor for m in rows} == {None}
        finished = {s.workload for s in workspace.store.searches()}
    assert {k.workload.key for k in model.kernels} <= finished


def test_heavy_kernels_get_more_trials_and_only_they(machine: Machine, tmp_path: Path) -> None:
    # Large enough that a convolution is heavy whatever the noise: a transpose has too few programs.
    onnx.save(two_convolutions(channels=64, size=32), str(tmp_path / "large.onnx"))
    model = prepare_named(str(tmp_path / "large.onnx"), machine)
    with open_workspace(machine, tmp_path / "outcomes.db", "tune") as workspace:
        tune([model], 2, workspace, Reporter(0))
        best = {
            k.workload.key: min(m.outcome.median_seconds for m in workspace.kept(k.workload.key))
            for k in model.kernels
        }
        heavy = {k.workload.key for k in heavy_kernels(model.kernels, best)}
        spent = tune([model], 2, workspace, Reporter(0), heavy_trials=6)
        trials = {s.workload: s.trials for s in workspace.store.searches()}

    assert 0 < len(heavy) < len(model.kernels)
    assert spent > 0
    assert {key for key, n in trials.items() if n == 6} == heavy
    assert {key for key, n in trials.items() if n == 2} == set(trials) - heavy


def test_only_kernels_of_the_given_names_are_searched(
    model: PreparedModel, machine: Machine, tmp_path: Path
) -> None:
    first = next(k for k in model.kernels if k.workload.reduction_extents)
    others = [k for k in model.kernels if k.name != first.name]
    with open_workspace(machine, tmp_path / "outcomes.db", "tune") as workspace:
        tune([model], 2, workspace, Reporter(0), names=[f"{first.name[:-1]}?"], heavy_trials=4)

        assert len(workspace.kept(first.workload.key)) == 4
        assert not any(workspace.kept(k.workload.key) for k in others)


@given(st.lists(st.tuples(st.integers(1, 9), st.floats(1e-6, 1.0)), min_size=1, max_size=8))
def test_the_fewest_kernels_that_make_up_the_share_are_heavy(
    calls_and_seconds: list[tuple[int, float]],
) -> None:
    kernels = [
        Kernel(str(i), Workload(str(i), ("matmul",), (4,), (4,), (), (), (), 32.0), calls)
        for i, (calls, _) in enumerate(calls_and_seconds)
    ]
    seconds = {str(i): s for i, (_, s) in enumerate(calls_and_seconds)}

    heavy = heavy_kernels(kernels, seconds)

    times = [k.calls * seconds[k.name] for k in heavy]
    light = [k.calls * seconds[k.name] for k in kernels if k not in heavy]
    total = sum(times) + sum(light)
    assert sum(times) >= HEAVY_SHARE * total * (1 - 1e-9)
    assert sum(times[:-1]) < HEAVY_SHARE * total * (1 + 1e-9)
    assert times == sorted(times, reverse=True)
    assert min(times) >= max(light, default=0.0)


def test_kernels_that_no_schedule_ran_on_are_not_heavy(model: PreparedModel) -> None:
    assert heavy_kernels(model.kernels, {}) == []
