"""Searches that start from the library, and what their schedules descend from."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from recommender.datasets.layers import load_data
from recommender.progress import Reporter
from recommender.ranking import gather_knowledge
from recommender.run import Clock, Options, Run
from recommender.session import Machine, prepare_named
from recommender.tuning import tune
from recommender.workspace import open_workspace
from tests.conftest import small_convnet

pytestmark = pytest.mark.tvm


def test_a_warm_search_starts_from_the_library_and_says_so(
    machine: Machine, library: Path, tmp_path: Path
) -> None:
    onnx.save(small_convnet(), str(tmp_path / "target.onnx"))
    model = prepare_named(str(tmp_path / "target.onnx"), machine)
    knowledge = gather_knowledge(Run(machine, Options(store=library), Reporter(0), Clock()))

    with open_workspace(machine, library, "warm-tune") as workspace:
        spent = tune([model], 8, workspace, Reporter(0), knowledge)
        again = tune([model], 8, workspace, Reporter(0), knowledge)

        assert spent > 0
        assert again == 0  # every kernel has had its trials
        rows = [m for k in model.kernels for m in workspace.kept(k.workload.key) if m.source == "warm-tune"]
        searched = [m for m in rows if m.policy == "search"]
        assert len(rows) == spent
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


def test_a_cold_search_knows_nothing_of_the_library(machine: Machine, library: Path, tmp_path: Path) -> None:
    onnx.save(small_convnet(), str(tmp_path / "target.onnx"))
    model = prepare_named(str(tmp_path / "target.onnx"), machine)

    with open_workspace(machine, library, "tune") as workspace:
        tune([model], 4, workspace, Reporter(0))
        rows = [m for k in model.kernels for m in workspace.kept(k.workload.key)]
        assert {m.donor for m in rows} == {None}
        finished = {s.workload for s in workspace.store.searches()}
    assert {k.workload.key for k in model.kernels} <= finished
