"""Reading MetaSchedule's traces: what a schedule's sketch and decisions are.

A trace in TVM's JSON form is [instructions, decisions]: an instruction is [kind, inputs, attributes,
outputs], with names for what TVM's objects are, and a decision is [place of its instruction, value].
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from recommender.vocabulary import (
    Decision,
    Json,
    Sample,
    SampledChoice,
    SampledLocation,
    SampledTile,
    Schedule,
    Sketch,
)

SAMPLING = ("SamplePerfectTile", "SampleCategorical", "SampleComputeLocation")
# Instructions that give a sketch its structure. Left out: looking things up, inlining (its number
# depends on the epilogue, over which schedules should transfer) and annotations (constant per target).
_STRUCTURAL = ("RFactor", "CacheRead", "CacheWrite", "ReverseComputeAt", "ComputeAt", "Tensorize")


@dataclass(frozen=True)
class _Instruction:
    kind: str
    inputs: Sequence[Json]
    attributes: Sequence[Json]
    outputs: Sequence[Json]
    decision: Json = None


def readings(trace: Json) -> tuple[Schedule, ...]:
    """The sketch and the decisions of a trace, without its post-processing.

    Equal for traces that differ in nothing else, where a kernel has one reduction. Of several, any may be
    factored (softmax has a maximum and a sum): then a second reading says in its steps which one and by which
    loop. It counts where the first ones of a workload's sketches are not distinct; see `told_apart`.

    Raises:
        ValueError, TypeError, LookupError: it is no trace.
    """
    instructions = _before_postproc(trace)
    sampling = [i for i in instructions if i.kind in SAMPLING]
    samples, factored = tuple(_sample(i) for i in sampling), _factored(instructions)
    steps = [i.kind for i in instructions if i.kind in _STRUCTURAL]
    sketch = Sketch(
        samples=samples,
        epilogue_level=_epilogue_level(instructions, samples),
        rfactor_loop=factored[0][1] if factored else -1,
        steps=",".join(steps),
    )
    decisions = tuple(_decision(i) for i in sampling)
    if not factored:
        return (Schedule(sketch, decisions),)
    names = iter(f"RFactor {block}.{part}" for block, part in factored)
    detailed = [next(names) if kind == "RFactor" else kind for kind in steps]
    return Schedule(sketch, decisions), Schedule(replace(sketch, steps=",".join(detailed)), decisions)


def told_apart(read: Sequence[tuple[Schedule, ...]]) -> tuple[Sketch, ...]:
    """The sketches of a workload, of the readings of their traces: in detail only if they need it."""
    plain = tuple(schedules[0].sketch for schedules in read)
    if len(set(plain)) == len(plain):
        return plain
    return tuple(schedules[-1].sketch for schedules in read)


def _before_postproc(trace: Json) -> list[_Instruction]:
    raw, decided = trace
    decisions: Mapping[int, Json] = {int(index): decision for index, decision in decided}
    instructions = []
    for index, (kind, inputs, attributes, outputs) in enumerate(raw):
        if kind == "EnterPostproc":
            break
        instructions.append(_Instruction(str(kind), inputs, attributes, outputs, decisions.get(index)))
    return instructions


def _decision(instruction: _Instruction) -> Decision:
    if instruction.kind == "SamplePerfectTile":
        return tuple(int(factor) for factor in instruction.decision)
    return int(instruction.decision)


def _sample(instruction: _Instruction) -> Sample:
    if instruction.kind == "SamplePerfectTile":
        parts, max_innermost = (int(attribute) for attribute in instruction.attributes)
        return SampledTile(math.prod(int(f) for f in instruction.decision), parts, max_innermost)
    if instruction.kind == "SampleCategorical":
        return SampledChoice(tuple(int(value) for value in instruction.attributes[0]))
    return SampledLocation()


def _epilogue_level(instructions: Sequence[_Instruction], samples: Sequence[Sample]) -> int:
    """How many tile levels (SSRSRS: S0, S1, R0, ...) enclose the consumer, or -1 when none does."""
    order: Sequence[Json] = ()
    for instruction in instructions:
        if instruction.kind == "Reorder":
            order = instruction.inputs
        if instruction.kind == "ReverseComputeAt" and order:
            spatial = sum(isinstance(s, SampledTile) and s.parts == 4 for s in samples)
            return (list(order).index(instruction.inputs[1]) + 1) // max(spatial, 1)
    return -1


def _factored(instructions: Sequence[_Instruction]) -> list[tuple[int, int]]:
    """What each `rfactor` factors: a block, by its place among those looked up, and a part of its split loop.

    Part 0 is the outer one, 1 the inner.
    """
    blocks: list[Json] = []
    block_of: dict[Json, int] = {}
    part_of: dict[Json, int] = {}
    found = []
    for i in instructions:
        if i.kind == "GetSBlock":
            blocks += i.outputs
        elif i.kind == "GetLoops" and i.inputs[0] in blocks:
            block_of |= dict.fromkeys(i.outputs, blocks.index(i.inputs[0]))
        elif i.kind in ("Split", "Fuse") and i.inputs[0] in block_of:
            block_of |= dict.fromkeys(i.outputs, block_of[i.inputs[0]])
        if i.kind == "Split":
            part_of = {loop: part for part, loop in enumerate(i.outputs)}
        if i.kind == "RFactor":
            found.append((block_of.get(i.inputs[0], -1), part_of.get(i.inputs[0], 0)))
    return found
