"""Constants that are only moved are moved by numpy.

TVM folds by compiling a kernel for every transposed weight and running it once: eight seconds of a model
with eighty convolutions, for copies that take milliseconds.
"""

from __future__ import annotations

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm import relax
from tvm.ir import IRModule
from tvm.relax.expr_functor import PyExprMutator, mutator

from recommender.compiler.expressions import (
    constant_value,
    definition,
    operators,
    rewrite_functions,
    shape_of,
)


@tvm.transform.module_pass(opt_level=0, name="MoveConstants")
class MoveConstants:
    """Fold transposes and reshapes of constants. What is left is for TVM's own `FoldConstant`."""

    def transform_module(self, module: IRModule, context: tvm.transform.PassContext) -> IRModule:
        """Fold in every Relax function."""
        return rewrite_functions(module, _Mover(module))


@mutator
class _Mover(PyExprMutator):  # type: ignore[misc]
    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = self.visit_expr_post_order(call)
        values = constant_value(definition(self, call.args[0])) if call.args else None
        moved = None if values is None else _moved(call, values)
        return call if moved is None else relax.const(np.ascontiguousarray(moved))


def _moved(call: relax.Call, values: NDArray[np.generic]) -> NDArray[np.generic] | None:
    """What the call gives, if it only moves its first argument."""
    if call.op == _PERMUTE:
        axes = call.attrs.axes
        return np.transpose(values, None if axes is None else [int(axis) for axis in axes])
    shape = shape_of(call) if call.op == _RESHAPE else None
    return None if shape is None else values.reshape(shape)


_PERMUTE, _RESHAPE = operators("permute_dims", "reshape")
