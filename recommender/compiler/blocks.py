"""The blocks of a lowered module, and their axes."""

from __future__ import annotations

import tvm
from tvm.ir import IRModule
from tvm.s_tir import Schedule as TirSchedule

_COMM_REDUCE = 2  # tvm.tirx.IterVar.CommReduce


def blocks_of(module: IRModule) -> list[tvm.s_tir.SBlock]:
    """The blocks of an unscheduled `main`, in their order; those inside of others are not among them."""
    schedule = TirSchedule(module)
    return [schedule.get(b) for b in schedule.get_child_blocks(schedule.get_sblock("root"))]


def spatial_axes(block: tvm.s_tir.SBlock) -> list[tvm.tirx.IterVar]:
    """The axes of a block's result, outermost first."""
    return [v for v in block.iter_vars if v.iter_type != _COMM_REDUCE]


def reduction_axes(block: tvm.s_tir.SBlock) -> list[tvm.tirx.IterVar]:
    """The axes that a block sums up (or multiplies, or takes the largest along), outermost first."""
    return [v for v in block.iter_vars if v.iter_type == _COMM_REDUCE]
