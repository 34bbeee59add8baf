"""The design space of a workload, and replaying one of its sketches with other decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tvm
from tvm.ir import IRModule
from tvm.s_tir import Schedule as TirSchedule
from tvm.s_tir import meta_schedule as ms
from tvm.s_tir.schedule import Instruction, Trace
from tvm.target import Target

from recommender.compiler.reductions import tiled_reductions
from recommender.traces import SAMPLING, readings, told_apart
from recommender.vocabulary import Decision, Schedule, Sketch


class ReplayError(Exception):
    """A schedule that cannot be replayed on a workload; the text says at which step."""


@dataclass(frozen=True)
class DesignSpace:
    """A workload's module with the sketches for it and the target's post-processing.

    `samples` holds a schedule of each sketch, with decisions that TVM drew.
    """

    module: IRModule
    context: ms.TuneContext
    sketches: tuple[Sketch, ...]
    samples: tuple[TirSchedule, ...]

    @classmethod
    def of(cls, module: IRModule, target: Target) -> DesignSpace:
        """The design space of a module whose only function is `main`: TVM's, and tiled reductions."""
        context = _context(module, target, "post-order-apply")
        samples = [*context.generate_design_space()]
        if (generator := tiled_reductions(module)) is not None:
            samples += _context(module, target, generator).generate_design_space()
        read = [readings(schedule.trace.as_json()) for schedule in samples]
        return cls(module, context, told_apart(read), tuple(samples))

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
        trace = self.samples[self.sketches.index(schedule.sketch)].trace
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

    def schedule_of(self, trace: Trace) -> Schedule:
        """The sketch and the decisions of a trace of this space, without its post-processing.

        Raises:
            ReplayError: it is of none of the sketches.
        """
        read = readings(trace.as_json())
        found = next((schedule for schedule in read if schedule.sketch in self.sketches), None)
        if found is None:
            raise ReplayError("the workload has no sketch of this trace's structure")
        return found

    def why_not(self, schedule: Schedule) -> str | None:
        """Why a schedule cannot be replayed here; None if it can."""
        try:
            self.replay(schedule)
        except ReplayError as exc:
            return str(exc)
        return None


def _context(module: IRModule, target: Target, generator: str | ms.SpaceGenerator) -> ms.TuneContext:
    """What draws one sample of each sketch of a generator's, always the same."""
    return ms.TuneContext(
        mod=module,
        target=target,
        space_generator=generator,
        search_strategy="replay-trace",
        num_threads=1,
        rand_state=1,
    ).clone()


def _provider(decisions: Sequence[Decision]):  # type: ignore[no-untyped-def]
    """TVM's decision callback: the given decisions, in the order in which they are asked for."""
    remaining = iter(decisions)

    def provide(instruction: Instruction, inputs: object, attrs: object, decision: object) -> object:
        if instruction.kind.name not in SAMPLING:
            return decision
        chosen = next(remaining)
        return list(chosen) if isinstance(chosen, tuple) else chosen

    return provide
