"""Weights in the order in which a schedule reads them.

A replayed schedule first copies the weights it may lay out (`layout_free_buffers`) into the order of
its tiling. In a compiled model that copy is made once, at compile time; so a candidate must be measured
on weights that are packed already, with the copy as a function of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from tvm import relax
from tvm.ir import IRModule

from recommender.compiler.workloads import argument_buffers

_PREPACKED, _PACK = "main_prepacked", "main_weight_prepack"  # the names that TVM's pass gives
_ONE_BUILDER = threading.Lock()
"""Relax's block builders share a stack, and candidates are compiled by several threads."""


@dataclass(frozen=True)
class Packed:
    """A kernel whose `main` takes packed weights, and whose `pack` makes them.

    `pack` takes the arguments of the kernel at `positions`, then as many buffers of `shapes`. Without
    positions there is nothing to pack, and no `pack`.
    """

    module: IRModule
    positions: tuple[int, ...] = ()
    shapes: tuple[tuple[int, ...], ...] = ()


def split_packing(scheduled: IRModule, outputs: Sequence[int]) -> Packed:
    """Split a scheduled kernel into packing its weights and computing with packed ones.

    `outputs` are the positions of the arguments that it writes.
    """
    if not scheduled["main"].attrs.get("layout_free_buffers"):
        return Packed(scheduled)
    split = relax.transform.SplitLayoutRewritePreproc()(_model_of(scheduled, outputs))
    names = {variable.name_hint for variable in split.get_global_vars()}
    if _PACK not in names:
        return Packed(scheduled)
    functions = {
        new: split[old].with_attr("global_symbol", new)
        for new, old in (("main", _PREPACKED), ("pack", _PACK))
    }
    positions = _positions(split["model"])
    module = IRModule(functions)
    buffers = argument_buffers(module, "pack")[len(positions) :]
    return Packed(module, positions, tuple(shape for shape, _ in buffers))


def _model_of(scheduled: IRModule, outputs: Sequence[int]) -> IRModule:
    """A Relax model that calls the kernel, because TVM's pass splits functions that a model calls."""
    main = scheduled["main"]
    types = [relax.TensorType(shape, dtype) for shape, dtype in argument_buffers(scheduled)]
    inputs = [relax.Var(f"argument_{i}", t) for i, t in enumerate(types) if i not in outputs]
    with _ONE_BUILDER:
        builder = relax.BlockBuilder()
        kernel = builder.add_func(main, "main")
        with builder.function("model", inputs):
            with builder.dataflow():
                result = builder.emit_output(relax.call_tir(kernel, inputs, [types[i] for i in outputs]))
            builder.emit_func_output(result)
        return builder.get()


def _positions(model: relax.Function) -> tuple[int, ...]:
    """Which arguments of the kernel the call of the packing function takes, in its order."""
    first = model.body.blocks[0].bindings[0].value
    parameters = list(model.params)
    return tuple(
        next(i for i, parameter in enumerate(parameters) if parameter.same_as(argument))
        for argument in first.args[1]
    )
