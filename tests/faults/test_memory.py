"""Models that ask for more memory than there is: one line, and nothing is killed."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.conftest import model_of

pytestmark = [pytest.mark.tvm, pytest.mark.faults]
LIMIT_BYTES = 4 << 30


def huge_constant() -> onnx.ModelProto:
    """Folding it makes 32 GiB of zeros."""
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    shape = numpy_helper.from_array(np.array([1 << 33], np.int64), "shape")
    return model_of(nodes, {"x": [2, 3]}, "y", [shape])


def huge_input() -> onnx.ModelProto:
    """Its input alone is 32 GiB."""
    return model_of([helper.make_node("Relu", ["x"], ["y"])], {"x": [1 << 33]}, "y", [])


@pytest.mark.parametrize("model", [huge_constant, huge_input], ids=lambda make: make.__name__)
def test_too_large_a_model_is_refused_in_one_line(model: object, library: Path, tmp_path: Path) -> None:
    onnx.save(model(), str(tmp_path / "huge.onnx"))  # type: ignore[operator]

    call = "from recommender.cli import recommend_main; recommend_main()"
    done = subprocess.run(
        [sys.executable, "-c", call, "huge.onnx", "--store", str(library), "--top-k", "1", "-q"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (LIMIT_BYTES, LIMIT_BYTES)),
        timeout=200,
        check=False,
    )

    assert done.returncode in (3, 4), done.stderr[-2000:]  # no such model, or no room to measure it
    (line,) = [text for text in done.stderr.splitlines() if text.startswith("error: ")]
    assert "Traceback" not in done.stderr
    assert line
    assert not (tmp_path / "huge.rec").exists()
