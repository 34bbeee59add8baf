"""What keeps a model's convolutions from staying in NHWC is rewritten, before TVM's ConvertLayout and after.

ConvertLayout carries a layout from operator to operator. Where two operands of a broadcast differ, it follows
the one of lower rank, and of two with the same rank the first (src/relax/op/tensor/binary.cc,
`InferLayoutBinaryEwise`). So a scale of shape (C, 1, 1), or what was transposed in the model itself, on the
left, brings NCHW back, with a transpose on either side and a kernel of its own for what could be fused.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm import relax
from tvm.ir import IRModule
from tvm.relax.expr_functor import PyExprMutator, mutator

from recommender.compiler.expressions import (
    BROADCAST,
    COMMUTATIVE,
    constant_value,
    definition,
    operators,
    rewrite_functions,
    shape_of,
)

_IMAGE_RANK = 4
_MATMUL, _UPSAMPLE = operators("matmul", "nn.conv2d_transpose")
_PERMUTE, _RESHAPE = operators("permute_dims", "reshape")


@tvm.transform.module_pass(opt_level=0, name="YieldToImages")
class YieldToImages:
    """Let the operand that is an image decide: constants get its rank, and go second as transposes do.

    A transposed image is scaled and shifted before its transpose.
    """

    def transform_module(self, module: IRModule, context: tvm.transform.PassContext) -> IRModule:
        """Rewrite broadcasts of every Relax function."""
        return rewrite_functions(module, _Yielding(module))


@tvm.transform.module_pass(opt_level=0, name="CancelTransposes")
class CancelTransposes:
    """Make one transpose of two in a row, and none where together they move nothing.

    Reshapes that split and merge channels only are done where channels are last, so that they are in no way.
    """

    def transform_module(self, module: IRModule, context: tvm.transform.PassContext) -> IRModule:
        """Rewrite transposes and reshapes of every Relax function."""
        return rewrite_functions(module, _Cancelling(module))


@tvm.transform.module_pass(opt_level=0, name="MixChannels")
class MixChannels:
    """Make a convolution of 1 x 1 of what is one, so that the schedules of all others fit.

    Those are products of an image's channels with a weight matrix, and transposed convolutions whose kernel
    is as large as their stride, where every pixel becomes a patch of its own.
    """

    def transform_module(self, module: IRModule, context: tvm.transform.PassContext) -> IRModule:
        """Rewrite products and transposed convolutions of every Relax function."""
        return rewrite_functions(module, _Mixing(module))


@mutator
class _Yielding(PyExprMutator):  # type: ignore[misc]
    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = self.visit_expr_post_order(call)
        if call.op not in BROADCAST or not any(map(_is_image, call.args)):
            return call
        left, right = map(_of_image_rank, call.args)
        if call.op in COMMUTATIVE and _how_far_from_an_image(self, left) > _how_far_from_an_image(
            self, right
        ):
            left, right = right, left
        transpose = _transpose(self, left)
        values = constant_value(right)
        if transpose is None or values is None or values.ndim != _IMAGE_RANK:
            return relax.Call(call.op, [left, right], call.attrs)
        axes = _axes(transpose)
        before = _constant(np.transpose(values, np.argsort(axes)))
        return relax.op.permute_dims(relax.Call(call.op, [transpose.args[0], before], call.attrs), axes)


def _how_far_from_an_image(rewriter: PyExprMutator, operand: relax.Expr) -> int:
    if constant_value(operand) is not None:
        return 2
    return 1 if _transpose(rewriter, operand) is not None else 0


def _transpose(rewriter: PyExprMutator, operand: relax.Expr) -> relax.Call | None:
    """The transpose that an operand is."""
    call = definition(rewriter, operand)
    return call if isinstance(call, relax.Call) and call.op == _PERMUTE else None


def _is_image(operand: relax.Expr) -> bool:
    return constant_value(operand) is None and getattr(operand.ty, "ndim", None) == _IMAGE_RANK


def _of_image_rank(operand: relax.Expr) -> relax.Expr:
    """A constant with all its axes, or none if it is one number; anything else as it is."""
    values = constant_value(operand)
    if values is None or values.ndim > _IMAGE_RANK:
        return operand
    if values.size == 1:
        return _constant(values.reshape(()))
    return _constant(values.reshape([1] * (_IMAGE_RANK - values.ndim) + list(values.shape)))


def _constant(values: NDArray[np.generic]) -> relax.Expr:
    return relax.const(np.ascontiguousarray(values) if values.ndim else values)


@mutator
class _Cancelling(PyExprMutator):  # type: ignore[misc]
    def visit_call_(self, call: relax.Call) -> relax.Expr:
        shape, call = shape_of(call), self.visit_expr_post_order(call)
        if call.op not in (_PERMUTE, _RESHAPE) or shape is None:
            return call
        inner = _transpose(self, call.args[0])
        if call.op == _RESHAPE:
            better = None if inner is None else _reshaped_first(inner, shape)
            return call if better is None else better
        moved, axes = call.args[0], _axes(call)
        if inner is not None:
            first = _axes(inner)
            moved, axes = inner.args[0], [first[axis] for axis in axes]
        return moved if axes == sorted(axes) else relax.op.permute_dims(moved, axes)


def _reshaped_first(transpose: relax.Call, shape: Sequence[int]) -> relax.Expr | None:
    """What a transposed tensor is reshaped to, with the transpose after it; None if that is no better.

    It is where the axes that are split and merged with each other were next to each other before, as in the
    shuffle of an image's channels: what is moved then are channels of a pixel, and no planes.
    """
    before, axes = shape_of(transpose.args[0]), _axes(transpose)
    if before is None or 0 in before:
        return None
    groups = _reshaped_together([before[axis] for axis in axes], shape)
    origins = [[axes[place] for place in inner] for inner, _ in groups]
    order = sorted(range(len(groups)), key=lambda group: min(origins[group]))
    within = [axis for group in order for axis in origins[group]]
    are_neighbours = all(max(group) - min(group) < len(group) for group in origins)
    if not are_neighbours or within == axes:
        return None
    places = [place for group in order for place in groups[group][1]]
    reshaped = relax.op.reshape(
        transpose.args[0] if within == sorted(within) else relax.op.permute_dims(transpose.args[0], within),
        [shape[place] for place in places],
    )
    back = [places.index(place) for place in range(len(shape))]
    return reshaped if back == sorted(back) else relax.op.permute_dims(reshaped, back)


def _reshaped_together(before: Sequence[int], after: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """The fewest consecutive axes of either shape that hold the same numbers, in order."""
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(before) and j < len(after):
        inner, outer = [i], [j]
        while (left := prod(before[k] for k in inner)) != (right := prod(after[k] for k in outer)):
            grows, last = (inner, i) if left < right else (outer, j)
            grows.append(last + len(grows))
        groups.append((inner, outer))
        i, j = inner[-1] + 1, outer[-1] + 1
    groups[-1][0].extend(range(i, len(before)))  # ones at the end
    groups[-1][1].extend(range(j, len(after)))
    return groups


def _axes(call: relax.Call) -> Sequence[int]:
    axes = call.attrs.axes
    return list(reversed(range(call.ty.ndim))) if axes is None else [int(axis) for axis in axes]


@mutator
class _Mixing(PyExprMutator):  # type: ignore[misc]
    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = self.visit_expr_post_order(call)
        if call.op not in (_MATMUL, _UPSAMPLE) or call.args[0].ty.ndim != _IMAGE_RANK:
            return call
        weights = constant_value(call.args[1])
        if weights is None:
            return call
        if call.op == _MATMUL:
            return _mixed(call.args[0], weights) if weights.ndim == 2 else call
        return _upsampled(call.args[0], weights) if _makes_patches(call) else call


def _mixed(image: relax.Expr, matrix: NDArray[np.generic]) -> relax.Expr:
    kernel = relax.const(matrix[np.newaxis, np.newaxis])
    return relax.op.nn.conv2d(image, kernel, data_layout="NHWC", kernel_layout="HWIO")


def _makes_patches(call: relax.Call) -> bool:
    """Whether a transposed convolution of NHWC writes every result once."""
    attrs = call.attrs
    margins = (*attrs.padding, *attrs.output_padding, *(n - 1 for n in attrs.dilation), attrs.groups - 1)
    is_plain = attrs.data_layout == "NHWC" and attrs.kernel_layout == "IOHW" and not any(map(int, margins))
    *_, rows, columns = shape_of(call.args[1]) or [0, 0]
    return is_plain and [int(n) for n in attrs.strides] == [rows, columns]


def _upsampled(image: relax.Expr, weights: NDArray[np.generic]) -> relax.Expr:
    """The patches of all pixels, then their rows between each other (as depth-to-space has them)."""
    batch, height, width, _ = map(int, image.ty.shape.values)
    inner, outer, rows, columns = weights.shape
    patches = _mixed(image, weights.transpose(0, 2, 3, 1).reshape(inner, rows * columns * outer))
    apart = relax.op.reshape(patches, (batch, height, width, rows, columns, outer))
    placed = relax.op.permute_dims(apart, [0, 1, 3, 2, 4, 5])
    return relax.op.reshape(placed, (batch, height * rows, width * columns, outer))
