"""Convolutions that TVM computes so that no schedule makes them fast, or in a layout of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tvm
from tvm import relax, te, topi


def grouped_convolution(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    """A convolution in groups as that of a batch with an image for each group; others as TVM has them.

    TVM finds the group of a channel by dividing, which makes vectors across groups gathers. With the group as
    a loop of its own, where the batch is else, the loops are those of any convolution: their schedules fit.
    """
    data, weight = call.args
    (batch, *_), (*kernel, inner, outer) = _integers(data.ty.shape.values), _integers(weight.ty.shape.values)
    groups = int(call.attrs.groups)
    is_nhwc = call.attrs.data_layout == "NHWC" and call.attrs.kernel_layout == "HWIO"
    if not is_nhwc or batch != 1 or groups == 1 or inner == 1:  # with one channel it is depthwise
        return call.op.get_attr("FLegalize")(builder, call)
    strides, dilation = _integers(call.attrs.strides), _integers(call.attrs.dilation)
    top, left, bottom, right = _integers(call.attrs.padding)
    _, height, width, _ = _integers(call.ty.shape.values)
    of_group = outer // groups

    def by_group(x: te.Tensor, w: te.Tensor) -> te.Tensor:
        padded = topi.nn.pad(x, [0, top, left, 0], [0, bottom, right, 0], name="pad_temp")
        rows, columns = (te.reduce_axis((0, size), name) for size, name in zip(kernel, "rs", strict=True))
        channels = te.reduce_axis((0, inner), "c")

        def of_pixel(g: tvm.tirx.Var, y: tvm.tirx.Var, z: tvm.tirx.Var, o: tvm.tirx.Var) -> tvm.tirx.PrimExpr:
            row, column = y * strides[0] + rows * dilation[0], z * strides[1] + columns * dilation[1]
            value = padded[0, row, column, g * inner + channels]
            return te.sum(value * w[rows, columns, channels, g * of_group + o], [rows, columns, channels])

        return te.compute((groups, height, width, of_group), of_pixel, name="group_conv2d_by_group")

    def together(x: te.Tensor) -> te.Tensor:
        return topi.reshape(topi.transpose(x, (1, 2, 0, 3)), (1, height, width, outer))

    convolved = builder.emit(builder.call_te(by_group, data, weight, primfunc_name_hint="group_conv2d"))
    return builder.call_te(together, convolved, primfunc_name_hint="together")


def transposed_convolution(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    """TVM computes it in NCHW only, while its neighbours have become NHWC."""
    attrs = call.attrs
    if attrs.data_layout != "NHWC":
        return call.op.get_attr("FLegalize")(builder, call)
    fields = (attrs.strides, attrs.padding, attrs.output_padding, attrs.dilation)
    strides, padding, more, dilation = map(_integers, fields)

    def compute(data: te.Tensor, weight: te.Tensor) -> te.Tensor:
        planes, groups = topi.transpose(data, (0, 3, 1, 2)), int(attrs.groups)
        weight = topi.nn.dilate(weight, [1, 1, *dilation])  # topi's transposed convolution knows none
        planes = topi.nn.group_conv2d_transpose_nchw(
            planes, weight, strides, padding, call.ty.dtype, more, groups
        )
        return topi.transpose(planes, (0, 2, 3, 1))

    return builder.call_te(compute, *call.args, primfunc_name_hint="conv2d_transpose")


def _integers(values: Iterable[Any]) -> list[int]:
    return [int(n) for n in values]
