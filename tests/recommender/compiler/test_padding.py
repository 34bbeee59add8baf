"""Products of rows that no tile divides have a few rows more, and everything computes the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

from recommender.compiler.padding import padded_rows
from recommender.session import Machine
from tests.conftest import model_of, weight
from tests.recommender.conftest import computed, node

pytestmark = pytest.mark.tvm

ROWS, PADDED = 37, 40


def half_a_transformer(*end: onnx.NodeProto, rows: int = ROWS) -> onnx.ModelProto:
    """Layer norm, two products with a GELU between, the input again, and what is done with "r"."""
    nodes = [
        node("Add", "x position", "e"),
        node("LayerNormalization", "e gamma beta", "n", axis=-1),
        node("MatMul", "n w1", "p1"),
        node("Add", "b1 p1", "h"),
        node("Div", "h root", "d"),
        node("Erf", "d", "erf"),
        node("Mul", "h erf", "m"),
        node("MatMul", "m w2", "p2"),
        node("Add", "p2 e", "r"),
    ]
    arrays = {
        "gamma": np.full(16, 1.5, np.float32),
        "beta": np.full(16, 0.5, np.float32),
        "root": np.array(1.5, np.float32),
        "zero": np.array(0, np.int64),
    }
    constants = [numpy_helper.from_array(v, n) for n, v in arrays.items()]
    weights = [weight("position", 1, rows, 16), weight("w1", 16, 32), weight("b1", 32), weight("w2", 32, 16)]
    return model_of([*nodes, *end], {"x": [1, rows, 16]}, "y", [*weights, *constants])


@given(st.integers(1, 5000))
def test_a_tile_divides_padded_rows_or_they_are_few(rows: int) -> None:
    padded = padded_rows(rows)

    assert rows <= padded < rows + 8
    assert padded <= 16 or any(padded % tile == 0 for tile in range(4, 17))
    assert padded_rows(padded) == padded


@pytest.mark.parametrize(
    "end",
    [
        [node("Relu", "r", "y")],
        [node("Gather", "r zero", "y", axis=1)],
        [node("Softmax", "r", "y", axis=1)],
        [node("Transpose", "r", "t", perm=[0, 2, 1]), node("MatMul", "r t", "y")],
    ],
    ids=["as-it-is", "one-row", "over-rows", "products-of-two"],
)
def test_rows_more_change_nothing(end: list[onnx.NodeProto], tmp_path: Path, machine: Machine) -> None:
    x = np.random.default_rng(0).standard_normal((1, ROWS, 16), np.float32)

    found, actual, expected = computed(half_a_transformer(*end), x, tmp_path, machine)

    products = [k.workload for k in found.kernels if "matmul" in k.workload.operators]
    assert {product.spatial_extents[-2] for product in products} == {PADDED}
    assert {product.spatial_extents[-1] for product in products} <= {16, 32, PADDED}
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_rows_are_padded_once_and_cut_once(tmp_path: Path, machine: Machine) -> None:
    x = np.random.default_rng(0).standard_normal((1, ROWS, 16), np.float32)

    found, _, _ = computed(half_a_transformer(node("Relu", "r", "y")), x, tmp_path, machine)

    done = [operator for k in found.kernels for operator in k.workload.operators]
    assert done.count("PadInput") == 1
    assert done.count("T_strided_slice_with_axes") == 1
    assert len(found.kernels) == 4  # the sum with its padding, layer norm and two products: no copy by itself


def test_rows_that_a_tile_divides_stay(tmp_path: Path, machine: Machine) -> None:
    x = np.random.default_rng(0).standard_normal((1, 36, 16), np.float32)

    model = half_a_transformer(node("Relu", "r", "y"), rows=36)
    found, actual, expected = computed(model, x, tmp_path, machine)

    products = [k for k in found.kernels if "matmul" in k.workload.operators]
    assert [k.workload.spatial_extents[-2] for k in products] == [36, 36]
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("left", "right"), [((ROWS, 16), (16,)), ((2, ROWS, 8), (2, 8, 41)), ((ROWS, 8), (8, 41))]
)
def test_products_of_two_activations(
    left: tuple[int, ...], right: tuple[int, ...], tmp_path: Path, machine: Machine
) -> None:
    """The second is made of the first, so that it is no constant."""
    repeats = -(-int(np.prod(right)) // int(np.prod(left)))
    nodes = [
        node("Reshape", "x flat", "f"),
        node("Concat", " ".join(["f"] * repeats), "more", axis=0),
        node("Slice", "more zero size zero", "part"),
        node("Reshape", "part shape", "second"),
        node("MatMul", "x second", "y"),
    ]
    given = {"flat": [-1], "zero": [0], "size": [np.prod(right)], "shape": right}
    constants = [numpy_helper.from_array(np.array(v, np.int64), n) for n, v in given.items()]
    x = np.random.default_rng(0).standard_normal(left, np.float32)

    _, actual, expected = computed(model_of(nodes, {"x": list(left)}, "y", constants), x, tmp_path, machine)

    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)
