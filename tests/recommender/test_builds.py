"""What keeps a build from being compiled is said in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from recommender.builds import compile_builds
from recommender.errors import SetupError, VerificationError
from recommender.progress import Reporter
from recommender.run import Clock, Options, Run
from recommender.session import Machine, PreparedModel
from recommender.vocabulary import Schedule, Sketch

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
