"""A calibration sees all kernel classes, good and bad candidates, keeps to its budget and resumes."""

from __future__ import annotations

from pathlib import Path

import pytest

from recommender.calibrating import PER_KERNEL, calibrate, design, spread
from recommender.errors import NothingMeasuredError
from recommender.knowledge import Knowledge
from recommender.progress import Reporter
from recommender.ranking import rank_kernel
from recommender.session import Machine, PreparedModel
from recommender.workspace import Workspace, open_workspace

pytestmark = pytest.mark.tvm


def test_every_class_comes_before_any_comes_twice(model: PreparedModel) -> None:
    order = [kernel.workload.kernel_class for _, kernel in design([model, model])]
    classes = set(order)
    assert set(order[: len(classes)]) == classes
    assert len(order) == len(model.kernels)


def test_the_spread_reaches_from_the_first_to_the_last(
    model: PreparedModel, knowledge: Knowledge, machine: Machine
) -> None:
    for kernel in model.kernels:
        ranked = rank_kernel(kernel, knowledge, machine)
        chosen = spread(ranked)
        assert len(chosen) <= PER_KERNEL
        assert len({c.schedule for c in chosen}) == len(chosen)
        assert {ranked.fallback.schedule, ranked.candidates[0].schedule, ranked.candidates[-1].schedule} <= {
            c.schedule for c in chosen
        }


def test_it_measures_once_and_keeps_to_the_budget(
    model: PreparedModel, knowledge: Knowledge, machine: Machine, tmp_path: Path
) -> None:
    with open_workspace(machine, tmp_path / "own.db", "calibrate") as workspace:
        assert calibrate([model], knowledge, workspace, -1.0, Reporter(0)) == 0
        first = calibrate([model], knowledge, workspace, 300.0, Reporter(0))
        assert first >= len(model.kernels)
        assert calibrate([model], knowledge, workspace, 300.0, Reporter(0)) == 0
        assert sum(1 for _ in workspace.store.measurements()) == first


def test_if_no_kernel_can_be_measured_the_run_has_failed(
    model: PreparedModel, knowledge: Knowledge, hopeless_workspace: Workspace
) -> None:
    with pytest.raises(NothingMeasuredError, match=r"the worker died with SIGSEGV\)"):
        calibrate([model], knowledge, hopeless_workspace, 300.0, Reporter(0))
