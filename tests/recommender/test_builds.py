"""What keeps a build from being compiled is said in one line."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from recommender.builds import compare_builds, compile_builds
from recommender.errors import SetupError, VerificationError
from recommender.progress import Reporter
from recommender.run import Clock, Options, Run
from recommender.session import Machine, PreparedModel, prepare_named
from recommender.vocabulary import Schedule, Sketch
from tests.conftest import two_convolutions

pytestmark = pytest.mark.tvm


@pytest.mark.parametrize("compiler", ["false", "no-such-compiler"])
def test_a_compiler_that_does_not_link(
    compiler: str, model: PreparedModel, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", compiler)

    with pytest.raises(SetupError, match="cannot be linked") as failed:
        compile_builds(tmp_path, model, {"chosen": {}}, Run(machine, Options(), Reporter(0), Clock()))

    message = str(failed.value)
    assert compiler in message
    assert "set CXX" in message
    assert "\n" not in message
    assert len(message) < 400


def test_a_schedule_that_cannot_be_replayed(model: PreparedModel, machine: Machine, tmp_path: Path) -> None:
    wanted = {"chosen": {model.kernels[0].workload.key: Schedule(Sketch(()), ())}}

    with pytest.raises(VerificationError, match="no sketch of this structure") as failed:
        compile_builds(tmp_path, model, wanted, Run(machine, Options(), Reporter(0), Clock()))

    assert "\n" not in str(failed.value)


def test_outputs_of_another_shape_are_told_from_wrong_numbers(
    model: PreparedModel, machine: Machine, tmp_path: Path
) -> None:
    onnx.save(two_convolutions(channels=8), str(tmp_path / "narrow.onnx"))
    narrow = prepare_named(str(tmp_path / "narrow.onnx"), machine)
    run = Run(machine, Options(), Reporter(0), Clock())
    builds = {
        **compile_builds(tmp_path, model, {"right": {}}, run),
        **compile_builds(tmp_path, narrow, {"narrow": {}}, run),
    }

    compared = compare_builds(builds, model, run, budget_seconds=0.0, time_reference=False)

    assert compared["right"].is_right
    assert not compared["narrow"].is_right
    assert compared["narrow"].reason == "its outputs are 1x16x8x8, not 1x10"
