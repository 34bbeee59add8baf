"""From a name to kernels: what is no model, or too much for TVM, is said in one line."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from recommender.errors import ModelError
from recommender.session import Machine, find_model, prepare_named
from tests.conftest import small_convnet


def test_a_folder_is_no_file_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is a folder; give an \.onnx file"):
        find_model(str(tmp_path))
    with pytest.raises(ModelError, match=r"none\.onnx does not exist; give an \.onnx file"):
        find_model(str(tmp_path / "none.onnx"))


@pytest.mark.tvm
@pytest.mark.parametrize(("size", "batch"), [(100_000, 1), (8, 3_000_000_000)])
def test_more_than_tvm_counts_in_is_said_in_one_line(
    size: int, batch: int, machine: Machine, tmp_path: Path
) -> None:
    path = tmp_path / "large.onnx"
    onnx.save(small_convnet(size=size, batch=batch), str(path))

    with pytest.raises(ModelError, match=r"\ATVM cannot schedule large \(.+\); .*smaller ones\Z"):
        prepare_named(str(path), machine)
