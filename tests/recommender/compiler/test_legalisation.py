"""Operators computed in our own way: without libm, and as close to ONNX Runtime as TVM's own."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from recommender.session import Machine
from tests.conftest import model_of
from tests.recommender.conftest import computed

pytestmark = pytest.mark.tvm

NUMBERS = np.concatenate([np.linspace(-12, 12, 20_001), [-80, -0.0, 1e-8, 80]]).astype(np.float32)
MASKED = np.random.default_rng(0).standard_normal((2, 5, 7), np.float32) * 30
MASKED[0, :, 3], MASKED[1, 2, :4], MASKED[1, 4, 5] = -np.inf, np.finfo(np.float32).min, 80
MASKED[0, 1, 3] = 0
IN_LIBM = re.compile(r"T\.(exp|erf|tanh|sigmoid|pow)\(")


@pytest.mark.parametrize(
    "node",
    [
        *(helper.make_node(name, ["x"], ["y"]) for name in ("Erf", "Tanh", "Exp", "Sigmoid", "Gelu")),
        helper.make_node("Gelu", ["x"], ["y"], approximate="tanh"),
        helper.make_node("Pow", ["x", "two"], ["y"]),
        helper.make_node("Pow", ["x", "three"], ["y"]),
    ],
    ids=["erf", "tanh", "exp", "sigmoid", "gelu", "gelu-tanh", "square", "cube"],
)
def test_fast_math_calls_no_libm_and_is_close(node: onnx.NodeProto, tmp_path: Path, machine: Machine) -> None:
    x, constants = NUMBERS, [("two", 2.0), ("three", 3.0)]
    exponents = [numpy_helper.from_array(np.float32(v), n) for n, v in constants if n in node.input]
    model = model_of([node], {"x": [len(x)]}, "y", exponents, opset=20)

    found, actual, expected = computed(model, x, tmp_path, machine)

    assert not IN_LIBM.search(found.lowered.script())  # a call for each element
    np.testing.assert_allclose(actual, expected, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize(("exponent", "is_in_libm"), [(0.5, False), (0.75, False), (-1.0, True), (2.5, True)])
def test_powers_that_are_no_roots_are_left_to_tvm(
    exponent: float, is_in_libm: bool, tmp_path: Path, machine: Machine
) -> None:
    x = np.linspace(0.1, 9, 50, dtype=np.float32)
    power = [numpy_helper.from_array(np.float32(exponent), "e")]
    model = model_of([helper.make_node("Pow", ["x", "e"], ["y"])], {"x": [len(x)]}, "y", power)

    found, actual, expected = computed(model, x, tmp_path, machine)

    assert bool(IN_LIBM.search(found.lowered.script())) == is_in_libm
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_a_square_of_higher_rank_keeps_its_shape(tmp_path: Path, machine: Machine) -> None:
    x, exponent = np.linspace(-3, 3, 50, dtype=np.float32), np.full((1, 1), 2, np.float32)
    power = [numpy_helper.from_array(exponent, "e")]
    model = model_of([helper.make_node("Pow", ["x", "e"], ["y"])], {"x": [len(x)]}, "y", power)

    _, actual, expected = computed(model, x, tmp_path, machine)

    assert actual.shape == expected.shape == (1, 50)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize("axis", [-1, 1])
@pytest.mark.parametrize("operator", ["Softmax", "LogSoftmax"])
def test_softmax_calls_no_libm_and_is_close_also_where_it_is_masked(
    operator: str, axis: int, tmp_path: Path, machine: Machine
) -> None:
    model = model_of([helper.make_node(operator, ["x"], ["y"], axis=axis)], {"x": [2, 5, 7]}, "y", [])

    found, actual, expected = computed(model, MASKED, tmp_path, machine)

    assert not np.isnan(expected).any()
    assert not IN_LIBM.search(found.lowered.script())
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-7)
