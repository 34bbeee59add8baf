"""A workload's key depends on what is computed, not on what the model calls things."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import helper

from recommender.session import Machine, prepare_named
from recommender.vocabulary import Workload
from tests.conftest import model_of, weight

pytestmark = pytest.mark.tvm


def convolution(
    prefix: str, folder: Path, machine: Machine, *, channels: int = 8, stride: int = 1
) -> Workload:
    node = helper.make_node(
        "Conv", [f"{prefix}x", f"{prefix}w"], ["y"], kernel_shape=[3, 3], strides=[stride, stride]
    )
    relu = helper.make_node("Relu", ["y"], [f"{prefix}z"])
    weights = weight(f"{prefix}w", channels, 4, 3, 3)
    model = model_of([node, relu], {f"{prefix}x": [1, 4, 12, 12]}, f"{prefix}z", [weights])
    onnx.save(model, str(folder / f"{prefix}.onnx"))
    kernels = prepare_named(str(folder / f"{prefix}.onnx"), machine).kernels
    return next(k.workload for k in kernels if k.workload.reduction_extents)


def test_names_do_not_matter(tmp_path: Path, machine: Machine) -> None:
    assert convolution("a", tmp_path, machine) == convolution("other_", tmp_path, machine)


def test_shapes_and_strides_do(tmp_path: Path, machine: Machine) -> None:
    keys = {
        convolution("a", tmp_path, machine).key,
        convolution("b", tmp_path, machine, channels=16).key,
        convolution("c", tmp_path, machine, stride=2).key,
    }

    assert len(keys) == 3


def test_the_anchor_is_the_convolution(tmp_path: Path, machine: Machine) -> None:
    workload = convolution("a", tmp_path, machine, stride=2)

    assert workload.spatial_extents == (1, 5, 5, 8)
    assert workload.reduction_extents == (3, 3, 4)
    data = workload.accesses[0]
    assert data.coefficients[1] == (0, 2, 0, 0, 1, 0, 0)  # row index = 2 y + ry
    assert sum(a.is_write for a in workload.accesses) == 1
    assert workload.flops == pytest.approx(2 * 5 * 5 * 8 * 3 * 3 * 4, rel=0.05)


def test_a_workload_survives_json(tmp_path: Path, machine: Machine) -> None:
    workload = convolution("a", tmp_path, machine)

    restored = Workload.from_json(workload.to_json())

    assert restored == workload
    assert restored.sketches == workload.sketches
