"""How operators are computed where TVM's own way is slow, or in a layout that their neighbours do not have.

TVM's exponential, error function and hyperbolic tangent are a call into libm for each element; here they are
polynomials, which LLVM vectorises.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import tvm
from tvm import relax, topi

from recommender.compiler.convolutions import grouped_convolution, transposed_convolution
from recommender.compiler.expressions import constant_value

Legalisation: TypeAlias = Callable[[relax.BlockBuilder, relax.Call], relax.Expr]


def _unary(function: Callable[[tvm.te.Tensor], tvm.te.Tensor]) -> Legalisation:
    return lambda builder, call: builder.call_te(function, call.args[0])


def _fast_sigmoid(x: tvm.te.Tensor) -> tvm.te.Tensor:
    one = _like(1.0, x)
    return topi.divide(one, topi.add(one, topi.fast_exp(topi.negative(x))))


def _fast_gelu(x: tvm.te.Tensor) -> tvm.te.Tensor:
    return _half_gated(x, topi.fast_erf(topi.multiply(x, _like(math.sqrt(0.5), x))))


def _fast_gelu_tanh(x: tvm.te.Tensor) -> tvm.te.Tensor:
    cubic = topi.multiply(_cubed(x), _like(0.044715, x))
    return _half_gated(x, topi.fast_tanh(topi.multiply(topi.add(x, cubic), _like(math.sqrt(2 / math.pi), x))))


def _half_gated(x: tvm.te.Tensor, gate: tvm.te.Tensor) -> tvm.te.Tensor:
    return topi.multiply(topi.multiply(x, _like(0.5, x)), topi.add(gate, _like(1.0, x)))


def _squared(x: tvm.te.Tensor) -> tvm.te.Tensor:
    return topi.multiply(x, x)


def _cubed(x: tvm.te.Tensor) -> tvm.te.Tensor:
    return topi.multiply(x, _squared(x))


def _like(value: float, x: tvm.te.Tensor) -> tvm.tirx.PrimExpr:
    return tvm.tirx.const(value, x.dtype)


def _three_quarters(x: tvm.te.Tensor) -> tvm.te.Tensor:
    root = topi.sqrt(x)
    return topi.multiply(root, topi.sqrt(root))


_POWERS = {0.5: topi.sqrt, 0.75: _three_quarters, 2.0: _squared, 3.0: _cubed}


def _power(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    """Products and roots: older exports write layer norm and GELU so, and local response norm has 3/4."""
    base, exponent = call.args[0], constant_value(call.args[1])
    # An exponent of higher rank would give the result its rank.
    if exponent is not None and exponent.size == 1 and exponent.ndim <= base.ty.ndim:
        product = _POWERS.get(exponent.item())
        if product is not None:
            return builder.call_te(product, base, primfunc_name_hint="power")
    return call.op.get_attr("FLegalize")(builder, call)


def _fast_softmax(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    return builder.call_te(topi.nn.fast_softmax, call.args[0], int(call.attrs.axis))


def _fast_log_softmax(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    axis = int(call.attrs.axis)

    def compute(x: tvm.te.Tensor) -> tvm.te.Tensor:
        below = topi.subtract(x, topi.max(x, axis, keepdims=True))
        return topi.subtract(below, topi.log(topi.sum(topi.fast_exp(below), axis, keepdims=True)))

    return builder.call_te(compute, call.args[0], primfunc_name_hint="log_softmax")


LEGALISE: dict[str, Legalisation] = {
    "relax.nn.conv2d": grouped_convolution,
    "relax.nn.conv2d_transpose": transposed_convolution,
    "relax.exp": _unary(topi.fast_exp),
    "relax.erf": _unary(topi.fast_erf),
    "relax.tanh": _unary(topi.fast_tanh),
    "relax.sigmoid": _unary(_fast_sigmoid),
    "relax.power": _power,
    "relax.nn.gelu": _unary(_fast_gelu),
    "relax.nn.gelu_tanh": _unary(_fast_gelu_tanh),
    "relax.nn.softmax": _fast_softmax,
    "relax.nn.log_softmax": _fast_log_softmax,
}
"""What TVM is to use instead of its own, by operator."""
