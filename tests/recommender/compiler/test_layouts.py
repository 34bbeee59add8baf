"""Convolutions stay in NHWC whatever the model does to images between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from tvm import relax
from tvm.ir import IRModule

from recommender.compiler.layouts import CancelTransposes
from recommender.session import Machine, PreparedModel
from tests.conftest import model_of, weight
from tests.recommender.conftest import computed, node

pytestmark = pytest.mark.tvm

X = np.random.default_rng(0).standard_normal((1, 4, 8, 8), np.float32)
PER_CHANNEL = np.arange(1, 9, dtype=np.float32).reshape(8, 1, 1)


def between_convolutions(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    """A model that takes "a", the output of a convolution, to "b", the input of another."""
    first = helper.make_node("Conv", ["x", "w1"], ["a"], pads=[1, 1, 1, 1], kernel_shape=[3, 3])
    last = helper.make_node("Conv", ["b", "w2"], ["y"], pads=[1, 1, 1, 1], kernel_shape=[3, 3])
    arrays = {
        "channels": PER_CHANNEL,
        "eight": PER_CHANNEL.reshape(8),
        "one": np.array([0.5], np.float32),
        "matrix": PER_CHANNEL.reshape(8, 1) @ PER_CHANNEL.reshape(1, 8) / 64,
    }
    constants = [numpy_helper.from_array(v, n) for n, v in arrays.items()]
    weights = [weight("w1", 8, 4, 3, 3), weight("w2", 8, 8, 3, 3)]
    return model_of([first, *nodes, last], {"x": [1, 4, 8, 8]}, "y", weights + constants)


def kernels(model: PreparedModel) -> list[str]:
    """What each call computes, without the edges of the model, where the layout has to change."""
    called = ["+".join(k.workload.operators) for k in model.kernels for _ in range(k.calls)]
    return sorted(kernel for kernel in called if kernel != "T_transpose")


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Mul", "channels a", "s"), node("Add", "s channels", "b")],
        [node("Relu", "a", "r"), node("Mul", "one r", "s"), node("Sub", "s one", "b")],
        [node("Relu", "a", "r"), node("Sum", "r r a", "b")],
        [node("Relu", "a", "r"), node("Max", "channels r", "m"), node("Min", "r m", "b")],
        [node("Relu", "a", "r"), node("BatchNormalization", "r eight eight eight eight", "b")],
    ],
    ids=["by-channel", "by-a-number", "sum", "extremes", "normalised"],
)
def test_what_scales_and_adds_to_images_is_fused(
    nodes: list[onnx.NodeProto], tmp_path: Path, machine: Machine
) -> None:
    found, actual, expected = computed(between_convolutions(*nodes), X, tmp_path, machine)

    first, second = kernels(found)
    assert "conv2d_nhwc" in first and "conv2d_nhwc" in second
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("scaled", ["channels t2", "t2 channels"])
@pytest.mark.parametrize("added", ["s a", "a s"])
def test_a_mix_of_channels_between_transposes_is_a_convolution(
    scaled: str, added: str, tmp_path: Path, machine: Machine
) -> None:
    """As in ConvNeXt: channels last, a product, back, a scale for each channel, and the image again."""
    model = between_convolutions(
        node("Transpose", "a", "t1", perm=[0, 2, 3, 1]),
        node("MatMul", "t1 matrix", "p"),
        node("Transpose", "p", "t2", perm=[0, 3, 1, 2]),
        node("Mul", scaled, "s"),
        node("Add", added, "b"),
    )

    found, actual, expected = computed(model, X, tmp_path, machine)

    assert len(kernels(found)) == 3
    assert sum("conv2d_nhwc" in kernel for kernel in kernels(found)) == 3
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("size", [(2, 2), (1, 3)], ids=["square", "row"])
def test_an_upsampling_by_patches_is_a_convolution(
    size: tuple[int, int], tmp_path: Path, machine: Machine
) -> None:
    """As decoders of segmentation models have it: strides as large as the kernel."""
    up = node("ConvTranspose", "a filters", "b", kernel_shape=size, strides=size)
    model = between_convolutions(up)
    filters = np.random.default_rng(0).random((8, 8, *size), np.float32)
    model.graph.initializer.append(numpy_helper.from_array(filters, "filters"))

    found, actual, expected = computed(model, X, tmp_path, machine)

    assert actual.shape == expected.shape == (1, 8, 8 * size[0], 8 * size[1])
    assert sum("conv2d_nhwc" in kernel for kernel in kernels(found)) == 3
    assert not any("conv2d_transpose" in k.name for k in found.kernels)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_a_shuffle_of_channels_moves_no_planes(tmp_path: Path, machine: Machine) -> None:
    """As in ShuffleNet: channels in groups, transposed, and in a row again."""
    model = between_convolutions(
        node("Reshape", "a apart", "r1"),
        node("Transpose", "r1", "t", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "t together", "b"),
    )
    for name, shape in (("apart", (1, 2, 4, 8, 8)), ("together", (1, 8, 8, 8))):
        model.graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), name))

    found, actual, expected = computed(model, X, tmp_path, machine)

    (shuffle,) = (kernel for kernel in kernels(found) if "conv2d" not in kernel)
    assert shuffle.count("T_transpose") == 1
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("shape", "axes", "new"),
    [
        ((1, 6, 5, 8), [0, 3, 1, 2], (1, 2, 4, 6, 5)),
        ((2, 3, 4, 8), [0, 3, 1, 2], (2, 8, 12)),
        ((1, 4, 6, 5), [0, 2, 1, 3], (1, 6, 20)),
        ((1, 1, 1, 8), [0, 3, 1, 2], (1, 8)),
        ((3, 4, 2, 5), [0, 1, 3, 2], (3, 4, 10)),
        ((3, 4, 2, 5), [2, 3, 0, 1], (10, 3, 2, 2)),
        ((2, 3, 4), [2, 0, 1], (1, 24, 1)),
    ],
)
def test_a_reshape_after_a_transpose_gives_the_same(
    shape: tuple[int, ...], axes: list[int], new: tuple[int, ...]
) -> None:
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)

    module = rewritten(shape, lambda x: relax.op.permute_dims(x, axes), lambda x: relax.op.reshape(x, new))

    np.testing.assert_array_equal(run(module, values), values.transpose(axes).reshape(new))


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 4, 8, 8), (1, 1, 1, 1, 1)])
def test_a_constant_of_higher_rank_gives_the_result_its_rank(
    shape: tuple[int, ...], tmp_path: Path, machine: Machine
) -> None:
    given = numpy_helper.from_array(np.full(shape, 1.5, np.float32), "c")
    model = model_of([node("Add", "x c", "s"), node("Relu", "s", "y")], {"x": [8]}, "y", [given])

    _, actual, expected = computed(model, X[0, 0, 0], tmp_path, machine)

    np.testing.assert_array_equal(actual, expected)


def test_a_constant_that_is_subtracted_from_stays_on_its_side(tmp_path: Path, machine: Machine) -> None:
    model = between_convolutions(node("Sub", "channels a", "s"), node("Div", "s one", "b"))

    _, actual, expected = computed(model, X, tmp_path, machine)

    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@settings(deadline=None, max_examples=40)
@given(st.permutations(range(4)), st.permutations(range(4)))
def test_two_transposes_are_one_or_none(first: list[int], second: list[int]) -> None:
    values = np.arange(120, dtype=np.float32).reshape(2, 3, 4, 5)

    module = rewritten(
        values.shape,
        lambda x: relax.op.permute_dims(x, first),
        lambda x: relax.op.permute_dims(x, second),
    )

    both = [first[axis] for axis in second]
    assert module.script().count("permute_dims") == (both != sorted(both))
    np.testing.assert_array_equal(run(module, values), values.transpose(first).transpose(second))


def rewritten(shape: Sequence[int], *steps: Callable[[relax.Expr], relax.Expr]) -> IRModule:
    """A function of one step after the other, after the pass."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(shape, "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            value = x
            for step in steps[:-1]:
                value = builder.emit(step(value))
            output = builder.emit_output(steps[-1](value))
        builder.emit_func_output(output)
    return relax.transform.DeadCodeElimination()(CancelTransposes()(builder.get()))


def run(module: IRModule, values: NDArray[np.float32]) -> NDArray[np.float32]:
    vm = relax.VirtualMachine(tvm.compile(module, "llvm"), tvm.cpu())
    return vm["main"](tvm.runtime.tensor(values)).numpy()
