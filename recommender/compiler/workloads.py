"""From a lowered kernel (a TIR module) to a `Workload` in our own words."""

from __future__ import annotations

import ast
import math
import re

import tvm
import tvm.sym
from tvm.ir import IRModule

from recommender.compiler.blocks import blocks_of, reduction_axes, spatial_axes
from recommender.vocabulary import Access, Sketch, Workload, digest, item_bytes


def canonical_text(module: IRModule) -> str:
    """The kernel's TVMScript with every name replaced by its order of appearance, and its weights.

    Two kernels have the same text if and only if they compute the same on the same shapes and may lay
    out the same arguments, whatever the model called its tensors. TVM's own structural hashes differ
    between environments.
    """
    text = ast.unparse(_Renamer().visit(ast.parse(module.script(show_meta=False))))
    weights = list(weight_arguments(module))
    return f"{text}\nweights = {weights}" if weights else text


class _Renamer(ast.NodeTransformer):
    """Renames variables, buffers and blocks; leaves the script's own vocabulary (T, I, range)."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def _rename(self, name: str) -> str:
        return self.names.setdefault(name, f"v{len(self.names)}")

    def visit_Name(self, node: ast.Name) -> ast.Name:
        if node.id not in ("T", "I", "range"):
            node.id = self._rename(node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.arg = self._rename(node.arg)
        self.generic_visit(node)
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        """Drop `T.func_attr(...)`: what passes note about a kernel does not change what it computes."""
        call = node.value
        if (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr == "func_attr"
        ):
            return None
        self.generic_visit(node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.Call:
        if _is_script_call(node, "sblock"):
            node.args = [ast.Constant("block")]
        self.generic_visit(node)
        return node


def _is_script_call(node: ast.Call, name: str) -> bool:
    return isinstance(node.func, ast.Attribute) and node.func.attr == name


def has_schedule(module: IRModule) -> bool:
    """Whether `main` has loops to schedule. TVM writes scatters and sorts out as one opaque block."""
    body = module["main"].body
    return isinstance(body, tvm.s_tir.SBlockRealize) and str(body.block.name_hint) == "root"


def describe_workload(module: IRModule, sketches: tuple[Sketch, ...] = ()) -> Workload:
    """Describe the only function of a lowered module, `main`, whose shapes are static."""
    blocks = blocks_of(module)
    anchor = max((b for b in blocks if _volume(b)), key=_work, default=blocks[0])
    spatial, reduction = spatial_axes(anchor), reduction_axes(anchor)
    axes = [v.var for v in spatial + reduction]
    accesses = [_access(region, axes, is_write=False) for region in anchor.reads]
    accesses += [_access(region, axes, is_write=True) for region in anchor.writes]
    buffers = argument_buffers(module)
    return Workload(
        key=digest(canonical_text(module)),
        operators=tuple(_operator(str(b.name_hint)) for b in blocks),
        spatial_extents=tuple(int(v.dom.extent) for v in spatial),
        reduction_extents=tuple(int(v.dom.extent) for v in reduction),
        accesses=tuple(accesses),
        argument_shapes=tuple(shape for shape, _ in buffers),
        argument_types=tuple(dtype for _, dtype in buffers),
        flops=float(tvm.s_tir.analysis.estimate_tir_flops(module)),
        sketches=sketches,
    )


_OUTSIDE = re.compile(r"call\w*(packed|extern)|pragma_import|import_c")
"""Operators that call something by name, in all their spellings, and pragmas that bring code along."""


def calls_outside(module: IRModule) -> bool:
    """Whether a kernel calls functions that are not its own, as a hostile tuning record might."""
    text = module.script(show_meta=True)
    return len(module.functions) != 1 or _OUTSIDE.search(text) is not None


def argument_buffers(module: IRModule, function: str = "main") -> list[tuple[tuple[int, ...], str]]:
    """Shape and type of every argument of a function, outputs last."""
    infos = tvm.s_tir.meta_schedule.arg_info.ArgInfo.from_prim_func(module[function])
    return [(tuple(int(d) for d in info.shape), str(info.dtype)) for info in infos]


def weight_arguments(module: IRModule) -> tuple[int, ...]:
    """Positions of the arguments of `main` that are weights, which a schedule may lay out as it likes."""
    return tuple(int(i) for i in module["main"].attrs.get("layout_free_buffers") or ())


def written_arguments(module: IRModule) -> tuple[int, ...]:
    """Positions of the arguments that the unscheduled `main` writes: its outputs."""
    written = [region.source for block in blocks_of(module) for region in block.writes]
    return tuple(i for i, p in enumerate(module["main"].params) if any(p.same_as(w) for w in written))


def _volume(block: tvm.s_tir.SBlock) -> int:
    """Iterations; 0 of a tensor that was sliced down to nothing."""
    return math.prod(int(v.dom.extent) for v in block.iter_vars)


def _work(block: tvm.s_tir.SBlock) -> tuple[int, bool]:
    """Iterations of a block, blocks that reduce first: the anchor has the most."""
    volume = _volume(block)
    reduces = bool(reduction_axes(block))
    return (volume if reduces else 0), reduces


def _access(region: tvm.s_tir.BufferRegion, axes: list[tvm.tirx.Var], *, is_write: bool) -> Access:
    coefficients = []
    for dimension in region.region:
        linear = tvm.sym.detect_linear_equation(dimension.min, axes)
        steps = [int(c) if isinstance(c, tvm.tirx.IntImm) else 0 for c in linear[:-1]]
        coefficients.append(tuple(steps) if steps else (0,) * len(axes))
    return Access(
        shape=tuple(int(d) for d in region.source.shape),
        coefficients=tuple(coefficients),
        item_bytes=item_bytes(str(region.source.dtype)),
        is_write=is_write,
    )


def _operator(block_name: str) -> str:
    """A block's operator: its name without the counters and variable names that TE puts in it."""
    if re.match(r"lv\d*", block_name):
        block_name = "reduce" if block_name.endswith("_red") else "compute"
    return re.sub(r"(_\d+)+$", "", block_name)
