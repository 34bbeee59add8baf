"""What our passes over Relax ask of expressions, and how they are applied to a module."""

from __future__ import annotations

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm import relax
from tvm.ir import IRModule
from tvm.relax.expr_functor import PyExprMutator


def operators(*names: str) -> list[tvm.ir.Op]:
    """Relax operators by their names."""
    return [tvm.ir.Op.get(f"relax.{name}") for name in names]


COMMUTATIVE = operators("add", "multiply", "maximum", "minimum")
BROADCAST = [*COMMUTATIVE, *operators("subtract", "divide", "power")]
"""Operators between the elements of two tensors."""


def rewrite_functions(module: IRModule, rewriter: PyExprMutator) -> IRModule:
    """The module with every Relax function as a mutator, made for this module, leaves it."""
    for name, function in module.functions_items():
        if isinstance(function, relax.Function):
            rewriter.builder_.update_func(name, rewriter.visit_expr(function))
    return rewriter.builder_.get()


def definition(rewriter: PyExprMutator, expr: relax.Expr) -> relax.Expr | None:
    """What a variable was bound to in the function that is being rewritten; other expressions as they are."""
    return rewriter.lookup_binding(expr) if isinstance(expr, relax.Var) else expr


def constant_value(expr: relax.Expr | None) -> NDArray[np.generic] | None:
    """The numbers of a constant tensor; None of anything else."""
    value = expr.value if isinstance(expr, tvm.ir.GenericConst) else None
    return value.numpy() if isinstance(value, tvm.runtime.Tensor) else None


def shape_of(expr: relax.Expr) -> list[int] | None:
    """The shape of a tensor; None if it is not fixed, or no tensor."""
    values = getattr(getattr(expr.ty, "shape", None), "values", None)
    if values is None or not all(isinstance(n, tvm.tirx.IntImm) for n in values):
        return None
    return [int(n) for n in values]
