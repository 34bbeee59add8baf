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


@tvm.transform.module_pass(opt_level=0, name="MoveConstants")
class MoveConstants:
    """Fold transposes and reshapes of constants. What is left is for TVM's own `FoldConstant`."""

    def transform_module(self, module: IRModule, context: tvm.transform.PassContext) -> IRModule:
        """Fold in every Relax function."""
        return rewrite_functions(module, _Mover(module))


def rewrite_functions(module: IRModule, rewriter: PyExprMutator) -> IRModule:
    """The module with every Relax function as a mutator, made for this module, leaves it."""
    for name, function in module.functions_items():
        if isinstance(function, relax.Function):
            rewriter.builder_.update_func(name, rewriter.visit_expr(function))
    return rewriter.builder_.get()


@mutator
class _Mover(PyExprMutator):  # type: ignore[misc]
    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = self.visit_expr_post_order(call)
        values = self._constant(call.args[0]) if call.args else None
        moved = None if values is None else _moved(call, values)
        return call if moved is None else relax.const(np.ascontiguousarray(moved))

    def _constant(self, expr: relax.Expr) -> NDArray[np.generic] | None:
        if isinstance(expr, relax.Var):
            expr = self.lookup_binding(expr)
        return constant_value(expr)


def constant_value(expr: relax.Expr) -> NDArray[np.generic] | None:
    """The numbers of a constant tensor; None of anything else."""
    value = expr.value if isinstance(expr, tvm.ir.GenericConst) else None
    return value.numpy() if isinstance(value, tvm.runtime.Tensor) else None


def shape_of(expr: relax.Expr) -> list[int] | None:
    """The shape of a tensor; None if it is not fixed, or no tensor."""
    values = getattr(getattr(expr.ty, "shape", None), "values", None)
    if values is None or not all(isinstance(n, tvm.tirx.IntImm) for n in values):
        return None
    return [int(n) for n in values]


def _moved(call: relax.Call, values: NDArray[np.generic]) -> NDArray[np.generic] | None:
    """What the call gives, if it only moves its first argument."""
    if call.op == _PERMUTE:
        axes = call.attrs.axes
        return np.transpose(values, None if axes is None else [int(axis) for axis in axes])
    shape = shape_of(call) if call.op == _RESHAPE else None
    return None if shape is None else values.reshape(shape)


_PERMUTE = tvm.ir.Op.get("relax.permute_dims")
_RESHAPE = tvm.ir.Op.get("relax.reshape")
