"""TVM's design space for a workload, and replaying one of its sketches with other decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tvm
from tvm.ir import IRModule
from tvm.s_tir import Schedule as TirSchedule
from tvm.s_tir import meta_schedule as ms
from tvm.s_tir.schedule import Instruction, Trace
from tvm.target import Target

from recommender.vocabulary import (
    Decision,
    Sample,
    SampledChoice,
    SampledLocation,
    SampledTile,
    Schedule,
    Sketch,
)

_SAMPLING = ("SamplePerfectTile", "SampleCategorical", "SampleComputeLocation")
# Instructions that give a sketch its structure. Left out: looking things up, inlining (its number
# depends on the epilogue, over which schedules should transfer) and annotations (constant per target).
_STRUCTURAL = ("RFactor", "CacheRead", "CacheWrite", "ReverseComputeAt", "ComputeAt", "Tensorize")


class ReplayError(Exception):
    """A schedule that cannot be replayed on a workload; the text says at which step."""


@dataclass(frozen=True)
class DesignSpace:
    """A workload's module with TVM's sketches for it and the target's post-processing."""

    module: IRModule
    context: ms.TuneContext
    sketches: tuple[Sketch, ...]
    traces: tuple[Trace, ...]

    @classmethod
    def of(cls, module: IRModule, target: Target) -> DesignSpace:
        """Generate the design space of a module whose only function is `main`."""
        context = ms.TuneContext(
            mod=module,
            target=target,
            space_generator="post-order-apply",
            search_strategy="replay-trace",
            num_threads=1,
            rand_state=1,
        ).clone()
        traces = tuple(schedule.trace for schedule in context.generate_design_space())
        return cls(module, context, tuple(sketch_of(trace) for trace in traces), traces)

    def to_json(self) -> str:
        """The module in TVM's JSON form, which is valid within this TVM version only."""
        return str(tvm.ir.save_json(self.module))

    def replay(self, schedule: Schedule) -> TirSchedule:
        """Replay a schedule and the target's post-processing on this workload.

        Raises:
            ReplayError: no such sketch here, an instruction failed, or a postproc refused.
        """
        if schedule.sketch not in self.sketches:
            raise ReplayError("the workload has no sketch of this structure")
        trace = self.traces[self.sketches.index(schedule.sketch)]
        result = TirSchedule(self.module, seed=1)
        try:
            trace.apply_to_schedule(
                result,
                remove_postproc=True,
                decision_provider=_provider(schedule.decisions),
            )
            result.enter_postproc()
            for postproc in self.context.space_generator.postprocs:
                if not postproc.apply(result):
                    raise ReplayError(f"post-processing refused it: {postproc}")
        except (tvm.error.InternalError, ValueError, RuntimeError) as exc:
            raise ReplayError(str(exc)) from exc
        return result


def _provider(decisions: Sequence[Decision]):  # type: ignore[no-untyped-def]
    """TVM's decision callback: the given decisions, in the order in which they are asked for."""
    remaining = iter(decisions)

    def provide(instruction: Instruction, inputs: object, attrs: object, decision: object) -> object:
        if instruction.kind.name not in _SAMPLING:
            return decision
        chosen = next(remaining)
        return list(chosen) if isinstance(chosen, tuple) else chosen

    return provide


def schedule_of(trace: Trace) -> Schedule:
    """The sketch and the decisions of a trace, without its post-processing."""
    decisions = tuple(
        _decision(trace, instruction)
        for instruction in _before_postproc(trace)
        if instruction.kind.name in _SAMPLING
    )
    return Schedule(sketch_of(trace), decisions)


def sketch_of(trace: Trace) -> Sketch:
    """The structure of a trace, in a form that is equal for traces that differ only in decisions."""
    instructions = _before_postproc(trace)
    samples = tuple(
        _sample(trace, instruction) for instruction in instructions if instruction.kind.name in _SAMPLING
    )
    kinds = [i.kind.name for i in instructions if i.kind.name in _STRUCTURAL]
    return Sketch(
        samples=samples,
        epilogue_level=_epilogue_level(instructions, samples),
        rfactor_loop=_rfactor_loop(instructions),
        steps=",".join(kinds),
    )


def _before_postproc(trace: Trace) -> list[Instruction]:
    instructions = list(trace.insts)
    names = [instruction.kind.name for instruction in instructions]
    return instructions[: names.index("EnterPostproc")] if "EnterPostproc" in names else instructions


def _decision(trace: Trace, instruction: Instruction) -> Decision:
    decision = trace.get_decision(instruction)
    if instruction.kind.name == "SamplePerfectTile":
        return tuple(int(factor) for factor in decision)
    return int(decision)


def _sample(trace: Trace, instruction: Instruction) -> Sample:
    name = instruction.kind.name
    if name == "SamplePerfectTile":
        extent = 1
        for factor in trace.get_decision(instruction):
            extent *= int(factor)
        parts, max_innermost = (int(attribute) for attribute in instruction.attrs)
        return SampledTile(extent, parts, max_innermost)
    if name == "SampleCategorical":
        return SampledChoice(tuple(int(value) for value in instruction.attrs[0]))
    return SampledLocation()


def _epilogue_level(instructions: list[Instruction], samples: tuple[Sample, ...]) -> int:
    """How many tile levels (SSRSRS: S0, S1, R0, ...) enclose the consumer, or -1 when none does."""
    order: list[object] = []
    for instruction in instructions:
        if instruction.kind.name == "Reorder":
            order = list(instruction.inputs)
        if instruction.kind.name == "ReverseComputeAt" and order:
            loop = instruction.inputs[1]
            position = next(i for i, other in enumerate(order) if other.same_as(loop))  # type: ignore[attr-defined]
            spatial = sum(isinstance(s, SampledTile) and s.parts == 4 for s in samples)
            return (position + 1) // max(spatial, 1)
    return -1


def _rfactor_loop(instructions: list[Instruction]) -> int:
    """Which part of the split reduction `rfactor` factors out: 0 outer, 1 inner, -1 no rfactor."""
    outputs: list[object] = []
    for instruction in instructions:
        if instruction.kind.name == "Split":
            outputs = list(instruction.outputs)
        if instruction.kind.name == "RFactor":
            loop = instruction.inputs[0]
            return next((i for i, other in enumerate(outputs) if other.same_as(loop)), 0)  # type: ignore[attr-defined]
    return -1
