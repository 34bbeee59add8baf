"""Convolutions computed in our own way compute what ONNX Runtime computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper, numpy_helper

from recommender.session import Machine
from tests.conftest import model_of, weight
from tests.recommender.conftest import computed

pytestmark = pytest.mark.tvm


@pytest.mark.parametrize(
    "attributes",
    [
        {"strides": [2, 2], "pads": [1, 1, 0, 0]},
        {"strides": [2, 2], "output_padding": [1, 1], "group": 2},
        {"dilations": [2, 2]},
    ],
    ids=["padded", "groups", "dilated"],
)
def test_transposed_convolutions_compute_what_onnx_runtime_computes(
    attributes: dict[str, Any], tmp_path: Path, machine: Machine
) -> None:
    """Decoders of segmentation models: TVM has them in NCHW only, among neighbours that are NHWC here."""
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], kernel_shape=[1, 1]),
        helper.make_node("ConvTranspose", ["a", "up"], ["b"], kernel_shape=[2, 2], **attributes),
        helper.make_node("Conv", ["b", "w2"], ["y"], kernel_shape=[1, 1]),
    ]
    rng = np.random.default_rng(0)
    filters = rng.random((8, 8 // attributes.get("group", 1), 2, 2), np.float32)
    constants = [weight("w1", 8, 4, 1, 1), numpy_helper.from_array(filters, "up"), weight("w2", 8, 8, 1, 1)]
    model, x = model_of(nodes, {"x": [1, 4, 8, 8]}, "y", constants), rng.random((1, 4, 8, 8), np.float32)

    found, actual, expected = computed(model, x, tmp_path, machine)

    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)
    assert any("conv2d_transpose" in k.name for k in found.kernels)


@pytest.mark.parametrize(
    "attributes",
    [
        {"group": 4, "kernel_shape": [1, 1]},
        {"group": 2, "kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]},
        {"group": 2, "kernel_shape": [3, 1], "pads": [2, 0, 1, 0], "dilations": [2, 1], "strides": [1, 2]},
    ],
    ids=["mixing", "strided", "dilated"],
)
def test_convolutions_in_groups_have_a_loop_of_their_own_for_the_group(
    attributes: dict[str, Any], tmp_path: Path, machine: Machine
) -> None:
    """As ShuffleNet, ResNeXt and RegNet have them."""
    groups = attributes["group"]
    nodes = [
        helper.make_node("Conv", ["x", "w", "bias"], ["a"], **attributes),
        helper.make_node("Relu", ["a"], ["y"]),
    ]
    constants = [weight("w", 8 * groups, 6, *attributes["kernel_shape"]), weight("bias", 8 * groups)]
    model = model_of(nodes, {"x": [1, 6 * groups, 10, 12]}, "y", constants)
    x = np.random.default_rng(0).standard_normal((1, 6 * groups, 10, 12), np.float32)

    found, actual, expected = computed(model, x, tmp_path, machine)

    (convolution,) = (k.workload for k in found.kernels if "group_conv2d_by_group" in k.workload.operators)
    assert convolution.spatial_extents == (groups, *expected.shape[2:], 8)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_depthwise_convolutions_are_those_of_tvm(tmp_path: Path, machine: Machine) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], group=8, kernel_shape=[3, 3])
    model = model_of([node], {"x": [1, 8, 10, 12]}, "y", [weight("w", 8, 1, 3, 3)])
    x = np.random.default_rng(0).standard_normal((1, 8, 10, 12), np.float32)

    found, actual, expected = computed(model, x, tmp_path, machine)

    assert any("group_conv2d_nhwc" in k.workload.operators for k in found.kernels)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)
