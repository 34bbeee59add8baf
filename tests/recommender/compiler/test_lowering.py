"""The pipeline: fused NHWC kernels, no transposes but at the edges, numbers unchanged."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from recommender.compiler import lowering, setup
from recommender.compiler.frontend import fold, import_model
from recommender.compiler.hardware import target_from_json
from recommender.compiler.legalisation import LEGALISE
from recommender.errors import ModelError
from recommender.session import Machine, PreparedModel, prepare_named, read_model
from tests.conftest import model_of, weight

pytestmark = pytest.mark.tvm


def prepared(model: onnx.ModelProto, folder: Path, machine: Machine) -> PreparedModel:
    onnx.save(model, str(folder / "m.onnx"))
    return prepare_named(str(folder / "m.onnx"), machine)


def convolution_then(*nodes: onnx.NodeProto, **initializers: np.ndarray) -> onnx.ModelProto:
    """Two convolutions with something between them."""
    first = helper.make_node("Conv", ["x", "w1", "b1"], ["a"], pads=[1, 1, 1, 1], kernel_shape=[3, 3])
    last = helper.make_node("Conv", ["b", "w2"], ["y"], kernel_shape=[1, 1])
    constants = [weight("w1", 8, 4, 3, 3), weight("b1", 8), weight("w2", 8, 8, 1, 1)]
    constants += [onnx.numpy_helper.from_array(v, n) for n, v in initializers.items()]
    return model_of([first, *nodes, last], {"x": [1, 4, 8, 8]}, "y", constants)


@pytest.mark.parametrize(
    "between",
    [
        [helper.make_node("Clip", ["a", "low", "high"], ["b"])],
        [helper.make_node("Relu", ["a"], ["b"])],
        [helper.make_node("HardSwish", ["a"], ["b"])],
        [helper.make_node("Sigmoid", ["a"], ["s"]), helper.make_node("Mul", ["a", "s"], ["b"])],
        [helper.make_node("HardSigmoid", ["a"], ["s"]), helper.make_node("Mul", ["a", "s"], ["b"])],
    ],
    ids=["relu6", "relu", "hard-swish", "silu", "hard-sigmoid-gate"],
)
def test_activations_stay_fused_with_their_convolution(
    between: list[onnx.NodeProto], tmp_path: Path, machine: Machine
) -> None:
    model = convolution_then(*between, low=np.float32(0), high=np.float32(6))

    kernels = prepared(model, tmp_path, machine).kernels

    convolutions = [k for k in kernels if any("conv2d" in op for op in k.workload.operators)]
    transposes = [k for k in kernels if set(k.workload.operators) == {"T_transpose"}]
    assert len(convolutions) == 2
    assert len(transposes) == 2  # the model's input and output
    assert len(kernels) == 4


@pytest.mark.parametrize("name", ["alexnet", "efficientnet_b0", "googlenet", "mobilenet_v2", "resnet18"])
def test_zoo_models_have_transposes_at_their_edges_only(name: str, machine: Machine) -> None:
    with setup.native_silence():
        lowered = lowering.lower(import_model(fold(read_model(name))), target_from_json(machine.target))

    called = re.findall(r"call_tir\((?:cls\.)?(\w+)", lowered["main"].script())
    assert sum("conv2d" in kernel for kernel in called) > 4
    assert sum("transpose" in kernel for kernel in called) <= 2


def test_an_operator_without_a_kernel_is_named_before_anything_is_measured(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(LEGALISE, "relax.nn.conv2d_transpose")  # as TVM is by itself
    up = helper.make_node("ConvTranspose", ["a", "u"], ["b"], kernel_shape=[2, 2], strides=[1, 1])
    model = convolution_then(up, u=np.ones((8, 8, 2, 2), np.float32))

    with pytest.raises(ModelError, match=r"no kernel for nn\.conv2d_transpose"):
        prepared(model, tmp_path, machine)


def test_an_operator_whose_result_has_no_fixed_shape_is_named(tmp_path: Path, machine: Machine) -> None:
    nodes = [
        helper.make_node("Greater", ["x", "zero"], ["is_positive"]),
        helper.make_node("Compress", ["x", "is_positive"], ["positive"]),
        helper.make_node("Relu", ["positive"], ["y"]),
    ]
    zero = numpy_helper.from_array(np.array(0, np.float32), "zero")

    with pytest.raises(ModelError, match="shape of what nonzero gives depends on values"):
        prepared(model_of(nodes, {"x": [64]}, "y", [zero]), tmp_path, machine)


def test_a_kernel_that_tvm_writes_out_is_left_as_it_is(tmp_path: Path, machine: Machine) -> None:
    """Scatters and sorts are one opaque block: there is nothing to schedule, and the rest goes on."""
    scatter = helper.make_node("ScatterElements", ["a", "i", "u"], ["b"], axis=1)
    index, update = np.zeros((1, 1, 8, 8), np.int64), np.ones((1, 1, 8, 8), np.float32)

    kernels = prepared(convolution_then(scatter, i=index, u=update), tmp_path, machine).kernels

    assert sum("conv2d" in k.name for k in kernels) == 2
    assert not any("scatter" in k.name for k in kernels)


def test_what_is_sliced_down_to_nothing_is_no_work(tmp_path: Path, machine: Machine) -> None:
    """Exporters leave such slices, and join what is left to others."""
    nodes = [
        helper.make_node("Slice", ["x", "zero", "zero", "axis"], ["none"]),
        helper.make_node("Relu", ["none"], ["still_none"]),
        helper.make_node("Concat", ["still_none", "x"], ["joined"], axis=1),
        helper.make_node("Sigmoid", ["joined"], ["y"]),
    ]
    given = {"zero": 0, "axis": 1}
    numbers = [numpy_helper.from_array(np.array([n], np.int64), name) for name, n in given.items()]

    kernels = prepared(model_of(nodes, {"x": [4, 16]}, "y", numbers), tmp_path, machine).kernels

    assert [k.workload.extents for k in kernels] == [(4, 16)]
    with pytest.raises(ModelError, match="no kernels that schedules could speed up"):
        prepared(model_of(nodes[:2], {"x": [4, 16]}, "still_none", numbers), tmp_path, machine)


def test_a_model_of_nothing_to_schedule_is_refused(tmp_path: Path, machine: Machine) -> None:
    same = model_of([helper.make_node("Identity", ["x"], ["y"])], {"x": [1, 4]}, "y", [])

    with pytest.raises(ModelError, match="no kernels that schedules could speed up"):
        prepared(same, tmp_path, machine)
