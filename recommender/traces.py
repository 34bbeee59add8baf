"""Reading MetaSchedule's traces: what a schedule's sketch and decisions are.

A trace in TVM's JSON form is [instructions, decisions]: an instruction is [kind, inputs, attributes,
outputs], with names for what TVM's objects are, and a decision is [place of its instruction, value].
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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


def parse_trace(trace: Json) -> Schedule:
    """The sketch and the decisions of a trace, without its post-processing.

    Equal for traces that differ in nothing else.

    Raises:
        ValueError, TypeError, LookupError: it is no trace.
    """
    instructions = _before_postproc(trace)
    sampling = [i for i in instructions if i.kind in SAMPLING]
    samples = tuple(_sample(i) for i in sampling)
    sketch = Sketch(
        samples=samples,
        epilogue_level=_epilogue_level(instructions, samples),
        rfactor_loop=_rfactor_loop(instructions),
        steps=",".join(i.kind for i in instructions if i.kind in _STRUCTURAL),
    )
    return Schedule(sketch, tuple(_decision(i) for i in sampling))


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


def _rfactor_loop(instructions: Sequence[_Instruction]) -> int:
    """Which part of the split reduction `rfactor` factors out: 0 outer, 1 inner, -1 no rfactor."""
    outputs: Sequence[Json] = ()
    for instruction in instructions:
        if instruction.kind == "Split":
            outputs = instruction.outputs
        if instruction.kind == "RFactor":
            loop = instruction.inputs[0]
            return list(outputs).index(loop) if loop in outputs else 0
    return -1
