"""Sketches for reductions that TVM does not tile: pools, and means over the rows and columns of images.

TVM tiles a kernel only if its elements are read for several results, as in a convolution. Pools and means
keep their reduction innermost: with channels last every step goes on to another cache line, and channels are
neither vectorised nor read together. Tiled like a convolution they are innermost.
"""

from __future__ import annotations

import tvm
from tvm.ir import IRModule
from tvm.s_tir import Schedule as TirSchedule
from tvm.s_tir import meta_schedule as ms
from tvm.target import Target

_REDUCTION = 2  # tvm.tirx.IterVar.CommReduce


def tiled_reductions(module: IRModule, target: Target) -> list[TirSchedule]:
    """Schedules of a module whose only reduction leaves the innermost axis of what it reads, tiled SSRSRS.

    Empty if it has no such reduction. One for each place of the epilogue; TVM samples their decisions.
    """
    if not _has_one_to_tile(module):
        return []
    space = ms.space_generator.PostOrderApply(sch_rules=_rules(), postprocs=[], mutator_probs={})
    context = ms.TuneContext(
        mod=module,
        target=target,
        space_generator=space,
        search_strategy="replay-trace",
        num_threads=1,
        rand_state=1,
    ).clone()
    return list(context.generate_design_space())


def _has_one_to_tile(module: IRModule) -> bool:
    schedule = TirSchedule(module)
    blocks = [schedule.get(b) for b in schedule.get_child_blocks(schedule.get_sblock("root"))]
    reductions = [block for block in blocks if _axes(block, reduced=True)]
    return len(reductions) == 1 and _leaves_innermost_axis(reductions[0])


def _rules() -> list[ms.ScheduleRule]:
    """TVM's rules for CPUs, `ScheduleRule::DefaultLLVM`, with its tiling for these reductions as well.

    Without rfactor, which would have the partial results tiled instead of what is summed up.
    """
    tiling = ms.schedule_rule.MultiLevelTiling(
        structure="SSRSRS",
        max_innermost_factor=64,
        reuse_write=ms.schedule_rule.ReuseType(req="may", levels=[1, 2], scope="global"),
        filter_fn=lambda schedule, block: _leaves_innermost_axis(schedule.get(block)),
    )
    return [
        tiling if isinstance(rule, ms.schedule_rule.MultiLevelTiling) else rule
        for rule in ms.ScheduleRule.create("llvm")
        if not isinstance(rule, ms.schedule_rule.AddRFactor)
    ]


def _leaves_innermost_axis(block: tvm.s_tir.SBlock) -> bool:
    """Whether everything that the block reduces is contiguous along its last spatial axis."""
    spatial, reduced = _axes(block, reduced=False), _axes(block, reduced=True)
    walked = [r for r in block.reads if any(_uses(d.min, reduced) for d in r.region)]
    return bool(spatial and walked) and all(r.region[-1].min.same_as(spatial[-1]) for r in walked)


def _axes(block: tvm.s_tir.SBlock, *, reduced: bool) -> list[tvm.tirx.Var]:
    return [v.var for v in block.iter_vars if (v.iter_type == _REDUCTION) == reduced]


def _uses(index: tvm.tirx.PrimExpr, variables: list[tvm.tirx.Var]) -> bool:
    return any(v.same_as(used) for used in tvm.tirx.analysis.undefined_vars(index) for v in variables)
