"""The one lowering pipeline: from a Relax module to fused kernels.

It decides which kernels exist and how they run, so every stored record carries `PIPELINE`. What was
tried is in docs/decisions.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tvm
from tvm import relax
from tvm.ir import IRModule
from tvm.s_tir import meta_schedule as ms
from tvm.target import Target

from recommender.compiler.constants import MoveConstants
from recommender.compiler.layouts import CancelTransposes, MixChannels, YieldToImages
from recommender.compiler.legalisation import LEGALISE
from recommender.compiler.padding import PadRows
from recommender.compiler.sketches import DesignSpace
from recommender.compiler.workloads import describe_workload, has_schedule
from recommender.errors import ModelError
from recommender.vocabulary import Kernel

PIPELINE = "nhwc-2/tvm-0.27"
"""Identity of this pipeline: raised when kernels of the same key come to take other times (packed weights).

A kernel that computes something else has another key, and what was measured of all others holds.
"""


@dataclass(frozen=True)
class LoweredKernel:
    """A kernel with the TIR module it stands for."""

    kernel: Kernel
    space: DesignSpace


def lower(module: IRModule, target: Target) -> IRModule:
    """Lower to fused TIR kernels: NHWC convolutions, fast element-wise math, constants folded.

    Kernels are told which of their arguments are weights, which a schedule may lay out as it likes.

    Raises:
        ModelError: a shape depends on values, a pass refused the module, or an operator has no kernel.
    """
    transform = relax.transform
    passes = [
        transform.DecomposeOpsForInference(),
        transform.CanonicalizeBindings(),
        YieldToImages(),
        transform.ConvertLayout({"relax.nn.conv2d": ["NHWC", "HWIO"]}),
        transform.Normalize(),
        CancelTransposes(),
        transform.CanonicalizeBindings(),
        MixChannels(),
        PadRows(),
        MoveConstants(),
        transform.FoldConstant(),
        transform.LegalizeOps(LEGALISE),
        transform.AnnotateTIROpPattern(),
        transform.FoldConstant(),
        transform.DeadCodeElimination(),
        transform.FuseOps(),
        transform.FuseTIR(),
        transform.AttachAttrLayoutFreeBuffers(),
    ]
    try:
        with target, tvm.transform.PassContext(opt_level=3):
            lowered = tvm.transform.Sequential(passes)(module)
    except (tvm.error.InternalError, ValueError, TypeError, RuntimeError) as exc:
        if open_shapes := _of_open_shape(module):
            raise ModelError(
                f"the shape of what {', '.join(open_shapes)} gives depends on values, but kernels are "
                "scheduled for fixed shapes; cut the model before it"
            ) from exc
        lines = [line for line in str(exc).splitlines() if line.strip()]
        raise ModelError(
            f"TVM could not lower the model: {lines[-1] if lines else exc}; try another opset"
        ) from exc
    if left := _not_lowered(lowered):
        raise ModelError(
            f"TVM has no kernel for {', '.join(left)} with the attributes that this model has; "
            "rewrite the model without"
        )
    return lowered


def _of_open_shape(module: IRModule) -> list[str]:
    """Operators that make a tensor without a fixed shape of tensors that have one."""
    names: set[str] = set()

    def visit(expr: relax.Expr) -> None:
        is_call = isinstance(expr, relax.Call) and isinstance(expr.op, tvm.ir.Op)
        if is_call and not _is_fixed(expr.ty) and all(_is_fixed(argument.ty) for argument in expr.args):
            names.add(expr.op.name.removeprefix("relax."))

    _visit_all(module, visit)
    return sorted(names)


def _is_fixed(type_: tvm.ir.Type) -> bool:
    if isinstance(type_, relax.TupleType):
        return all(map(_is_fixed, type_.fields))
    if not isinstance(type_, relax.TensorType):
        return True
    dims = getattr(type_.shape, "values", None)
    return dims is not None and all(isinstance(dim, tvm.tirx.IntImm) for dim in dims)


def _visit_all(module: IRModule, visit: Callable[[relax.Expr], None]) -> None:
    for function in module.functions.values():
        if isinstance(function, relax.Function):
            relax.analysis.post_order_visit(function, visit)


def _not_lowered(module: IRModule) -> list[str]:
    """Operators that TVM has kernels for, but not for the way in which this model uses them."""
    names: set[str] = set()

    def visit(expr: relax.Expr) -> None:
        is_call = isinstance(expr, relax.Call) and isinstance(expr.op, tvm.ir.Op)
        if is_call and expr.op.get_attr("FLegalize") is not None:
            names.add(expr.op.name.removeprefix("relax."))

    _visit_all(module, visit)
    return sorted(names)


def kernels_of(lowered: IRModule, target: Target) -> list[LoweredKernel]:
    """The distinct kernels of a lowered module that have a schedule, with how often each is called.

    Raises:
        ModelError: the model has no such kernel at all.
    """
    found: dict[str, LoweredKernel] = {}
    for task in ms.relax_integration.extract_tasks(lowered, target):
        if not has_schedule(task.dispatched[0]):
            continue
        space = DesignSpace.of(task.dispatched[0], target)
        workload = describe_workload(space.module, space.sketches)
        if 0 in workload.extents:  # it computes nothing
            continue
        calls = int(task.weight)
        if workload.key in found:
            calls += found[workload.key].kernel.calls
        found[workload.key] = LoweredKernel(Kernel(str(task.task_name), workload, calls), space)
    if not found:
        raise ModelError(
            "the model has no kernels that schedules could speed up: it is constant, or sorts and scatters"
        )
    return list(found.values())
