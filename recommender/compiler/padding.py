"""Products with a number of rows that no tile divides are computed with a few rows more.

TVM tiles by divisors. The 197 tokens of a vision transformer are prime: a tile of its rows has one or all of
them. Rows of a product with a weight matrix do not depend on each other, so it does not matter what the rows
more hold. They are cut off as late as possible: what is computed element by element, or row by row, of rows
more is left with them, and the next product finds them there.
"""

from __future__ import annotations

import tvm
from tvm import relax
from tvm.ir import IRModule
from tvm.relax.expr_functor import PyExprMutator, mutator

from recommender.compiler.expressions import (
    BROADCAST,
    constant_value,
    definition,
    operators,
    rewrite_functions,
    shape_of,
)

_MULTIPLE = 8
_LARGEST_TILE = 16
_SMALLEST_TILE = 4
_MATMUL, _SLICE, _LAYER_NORM = operators("matmul", "strided_slice", "nn.layer_norm")
_BY_ELEMENT = operators(
    *("erf", "exp", "tanh", "sigmoid", "negative", "sqrt", "nn.relu", "nn.gelu", "nn.gelu_tanh", "nn.silu")
)


def padded_rows(rows: int) -> int:
    """How many rows a product is computed with.

    As many as it has, if they are few or a tile of 4 to 16 divides them; else the next multiple of eight.
    """
    if rows <= _LARGEST_TILE or any(rows % n == 0 for n in range(_SMALLEST_TILE, _LARGEST_TILE + 1)):
        return rows
    return -(-rows // _MULTIPLE) * _MULTIPLE


@tvm.transform.module_pass(opt_level=0, name="PadRows")
class PadRows:
    """Pad the rows of products where no tile divides them, and columns that are not those of weights."""

    def transform_module(self, module: IRModule, context: tvm.transform.PassContext) -> IRModule:
        """Rewrite every Relax function."""
        return rewrite_functions(module, _Padding(module))


@mutator
class _Padding(PyExprMutator):  # type: ignore[misc]
    def __init__(self, module: IRModule) -> None:
        super().__init__(module)
        self._with_more: dict[relax.Expr, relax.Expr] = {}

    def visit_call_(self, call: relax.Call) -> relax.Expr:
        shape, call = shape_of(call), self.visit_expr_post_order(call)
        if shape is None or len(shape) < 2 or padded_rows(shape[-2]) == shape[-2]:
            return call
        if _is_of_activations(call) and padded_rows(shape[-1]) != shape[-1]:
            return self._with_more_of_both(call, shape)
        operands = self._of_rows(call, shape)
        begins = call.op in (_MATMUL, _LAYER_NORM) and operands
        if begins or any(self._before_the_cut(operand) is not None for operand in operands):
            return self._with_more_rows(call, shape, operands)
        return call

    def _of_rows(self, call: relax.Call, shape: list[int]) -> list[relax.Expr]:
        """Operands with the rows of the result; none of an operator whose rows depend on each other."""
        if call.op in _BY_ELEMENT:
            return [call.args[0]]
        if call.op == _LAYER_NORM:
            return [call.args[0]] if _is_along_rows(call, len(shape)) else []
        if call.op == _MATMUL:
            matrix = constant_value(call.args[1])
            return [call.args[0]] if matrix is not None and matrix.ndim == 2 else []
        if call.op not in BROADCAST:
            return []
        shapes = [shape_of(operand) for operand in call.args]
        if any(s is None or (s != shape and len(s) > 1 and s[-2] != 1) for s in shapes):
            return []
        return [operand for operand, s in zip(call.args, shapes, strict=True) if s == shape]

    def _with_more_rows(self, call: relax.Call, shape: list[int], operands: list[relax.Expr]) -> relax.Expr:
        arguments = [self._padded(a) if any(a.same_as(o) for o in operands) else a for a in call.args]
        whole = relax.Call(call.op, arguments, call.attrs)
        return relax.op.strided_slice(whole, axes=[len(shape) - 2], begin=[0], end=[shape[-2]])

    def _with_more_of_both(self, call: relax.Call, shape: list[int]) -> relax.Expr:
        """A product of two activations, as attention has it, with more rows and more columns."""
        left, right = call.args
        axes = [len(shape) - 2, len(shape) - 1]
        more = padded_rows(shape[-1]) - shape[-1]
        columns = relax.op.nn.pad(right, [0, 0] * (right.ty.ndim - 1) + [0, more])
        whole = relax.Call(call.op, [self._padded(left), columns], call.attrs)
        return relax.op.strided_slice(whole, axes=axes, begin=[0, 0], end=shape[-2:])

    def _padded(self, operand: relax.Expr) -> relax.Expr:
        before = self._before_the_cut(operand)
        if before is not None:
            return before
        if operand not in self._with_more:
            shape = shape_of(operand)
            assert shape is not None
            more = padded_rows(shape[-2]) - shape[-2]
            padded = relax.op.nn.pad(operand, [0, 0] * (len(shape) - 2) + [0, more, 0, 0])
            self._with_more[operand] = self.builder_.emit(padded)
        return self._with_more[operand]

    def _before_the_cut(self, operand: relax.Expr) -> relax.Expr | None:
        """What an operand was cut from by this pass, or as if it was."""
        call = definition(self, operand)
        if not isinstance(call, relax.Call) or call.op != _SLICE:
            return None
        shape, before = shape_of(operand), shape_of(call.args[0])
        if shape is None or before is None:
            return None
        begins = [int(n) for n in call.args[2].fields]
        padded = [*shape[:-2], padded_rows(shape[-2]), shape[-1]]
        return call.args[0] if before == padded and not any(begins) else None


def _is_of_activations(call: relax.Call) -> bool:
    """Whether it is a product of matrices neither of which is a constant."""
    return call.op == _MATMUL and all(
        constant_value(operand) is None and operand.ty.ndim > 1 for operand in call.args
    )


def _is_along_rows(call: relax.Call, rank: int) -> bool:
    return [int(axis) % rank for axis in call.attrs.axes] == [rank - 1]
