"""Measuring the best again corrects luck, keeps where schedules came from, and says what the noise is."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from recommender.errors import NothingMeasuredError
from recommender.progress import Reporter
from recommender.remeasuring import Drift, best_measured, remeasure, said
from recommender.session import Machine, prepare_named
from recommender.vocabulary import Outcome, Status
from recommender.workspace import Workspace, open_workspace
from tests.conftest import small_convnet


@pytest.mark.tvm
def test_a_lucky_time_is_corrected(machine: Machine, library: Path, tmp_path: Path) -> None:
    onnx.save(small_convnet(channels=8, size=12), str(tmp_path / "donor.onnx"))
    model = prepare_named(str(tmp_path / "donor.onnx"), machine)
    key = next(k.workload.key for k in model.kernels if k.workload.reduction_extents)
    with open_workspace(machine, library, "remeasure") as workspace:
        fastest, *_, slowest = best_measured(workspace.kept(key), 99)
        lucky_seconds = fastest.outcome.median_seconds / 100
        workspace.store.add(replace(slowest, outcome=Outcome.of_times([lucky_seconds])))

        start = time.time()
        drifts = remeasure([model], 3, workspace, Reporter(0), since=start)

        again = {m.schedule: m for m in workspace.kept(key)}[slowest.schedule]
        assert again.outcome.median_seconds > 10 * lucky_seconds
        assert (again.source, again.policy) == (slowest.source, slowest.policy)
        assert again.measured_at > slowest.measured_at
        (drift,) = [d for d in drifts if d.workload == key]
        assert not drift.best_kept
        assert drift.before_seconds[0] == pytest.approx(lucky_seconds)

        # the best now are all measured anew: the lucky one fell behind, and the next was measured too
        best = best_measured(workspace.kept(key), 3)
        assert all(m.measured_at >= start - 0.1 for m in best)

        # a run that was interrupted goes on after what it did
        assert remeasure([model], 3, workspace, Reporter(0), since=start) == []


@pytest.mark.tvm
def test_if_no_kernel_can_be_measured_the_run_has_failed(
    machine: Machine, tmp_path: Path, hopeless_workspace: Workspace
) -> None:
    onnx.save(small_convnet(channels=8, size=12), str(tmp_path / "donor.onnx"))
    model = prepare_named(str(tmp_path / "donor.onnx"), machine)

    with pytest.raises(NothingMeasuredError, match=r"the worker died with SIGSEGV\)"):
        remeasure([model], 3, hopeless_workspace, Reporter(0), since=time.time())
    assert remeasure([model], 3, hopeless_workspace, Reporter(0), since=0) == []  # there was nothing to do


def test_the_sentence_has_the_noise() -> None:
    same_factor = Drift("a", (1.0, 2.0, 4.0), (2.0, 4.0, 8.0))  # a slower machine is no noise
    swapped = Drift("b", (1.0, 2.0), (2.0, 1.0))
    assert same_factor.spread == pytest.approx(0)
    assert swapped.spread == pytest.approx(1)
    assert same_factor.best_kept
    assert not swapped.best_kept
    assert "5 schedules of 2 kernels measured again, 0 failed" in said([same_factor, swapped])
    assert "factor of 1.41" in said([same_factor, swapped])
    assert "for 50 % of the kernels" in said([same_factor, swapped])
    assert said([]) == "nothing was measured again"


@pytest.mark.tvm
def test_failures_are_not_measured_again(machine: Machine, library: Path) -> None:
    with open_workspace(machine, library, "remeasure") as workspace:
        kept = list(workspace.store.measurements())
    failed = replace(kept[0], outcome=Outcome.failure(Status.CRASHED, "SIGSEGV"))

    again = best_measured([failed, *kept], len(kept) + 1)

    assert again
    assert failed not in again
