"""Sketches for reductions that TVM does not tile: pools, and means over the rows and columns of images.

TVM tiles a kernel only if its elements are read for several results, as in a convolution. Pools and means
keep their reduction innermost: with channels last every step goes on to another cache line, and channels are
neither vectorised nor read together. Tiled like a convolution they are innermost.
"""

from __future__ import annotations

import tvm
from tvm.ir import IRModule
from tvm.s_tir import meta_schedule as ms

from recommender.compiler.blocks import blocks_of, reduction_axes, spatial_axes


def tiled_reductions(module: IRModule) -> ms.SpaceGenerator | None:
    """A generator of sketches that tile a module's only reduction SSRSRS, one for each place of the epilogue.

    None unless there is exactly one, and it leaves the innermost axis of what it reads: pools and means over
    images, and sums of columns as well.
    """
    reductions = [block for block in blocks_of(module) if reduction_axes(block)]
    if len(reductions) != 1 or not _leaves_innermost_axis(reductions[0]):
        return None
    return ms.space_generator.PostOrderApply(sch_rules=_rules(), postprocs=[], mutator_probs={})


def _rules() -> list[ms.ScheduleRule]:
    """TVM's rules for CPUs, `ScheduleRule::DefaultLLVM`, with its tiling for these reductions as well.

    Blocks that the filter names are tiled besides those that TVM tiles anyway.

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
    spatial, reduced = ([v.var for v in axes] for axes in (spatial_axes(block), reduction_axes(block)))
    walked = [r for r in block.reads if any(_uses(d.min, reduced) for d in r.region)]
    return bool(spatial and walked) and all(r.region[-1].min.same_as(spatial[-1]) for r in walked)


def _uses(index: tvm.tirx.PrimExpr, variables: list[tvm.tirx.Var]) -> bool:
    return any(v.same_as(used) for used in tvm.tirx.analysis.undefined_vars(index) for v in variables)
