"""Constants moved by numpy are those that TVM would have folded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tvm_ffi
from hypothesis import given
from hypothesis import strategies as st
from tvm import relax
from tvm.ir import IRModule

from recommender.compiler.constants import MoveConstants

pytestmark = pytest.mark.tvm
VALUES = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def module_of(compute: Callable[[relax.BlockBuilder, relax.Var], relax.Expr]) -> IRModule:
    """A function of a 2x3 input, with a binding for whatever is emitted."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((2, 3), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            output = builder.emit_output(compute(builder, x))
        builder.emit_func_output(output)
    return builder.get()


def folded(module: IRModule) -> IRModule:
    return relax.transform.DeadCodeElimination()(relax.transform.FoldConstant()(module))


@given(st.permutations(range(3)), st.sampled_from([(24,), (6, 4), (1, 2, 12), (2, 3, 4)]))
def test_transposes_and_reshapes_are_folded_as_tvm_does(axes: list[int], shape: tuple[int, ...]) -> None:
    def compute(builder: relax.BlockBuilder, x: relax.Var) -> relax.Expr:
        turned = builder.emit(relax.op.permute_dims(relax.const(VALUES), axes))
        reshaped = builder.emit(relax.op.reshape(turned, shape))
        return relax.op.add(relax.op.sum(x), reshaped)

    module = module_of(compute)
    moved = MoveConstants()(module)

    assert "permute_dims" not in moved.script()
    assert "reshape" not in moved.script()
    assert tvm_ffi.structural_equal(folded(moved), folded(module))


def test_what_computes_is_left_to_tvm() -> None:
    module = module_of(
        lambda builder, x: relax.op.exp(builder.emit(relax.op.permute_dims(relax.const(VALUES))))
    )

    moved = MoveConstants()(module)

    assert "R.exp" in moved.script()
    assert "permute_dims" not in moved.script()


def test_what_is_no_constant_stays() -> None:
    module = module_of(lambda builder, x: relax.op.reshape(builder.emit(relax.op.permute_dims(x)), (6,)))

    assert tvm_ffi.structural_equal(MoveConstants()(module), module)
