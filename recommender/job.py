"""The main job: import, kernels, candidates, rank, measure, choose, export, report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from recommender.delivery import deliver
from recommender.errors import NothingMeasuredError
from recommender.explaining import explain
from recommender.harness.client import WorkerFailure
from recommender.harness.measurer import Task
from recommender.harness.processes import get_ready
from recommender.knowledge import library_for, read_data
from recommender.models.boosted import BoostedRanker
from recommender.output_folder import OutputFolder
from recommender.progress import Reporter
from recommender.ranking import Pool, candidate_pool, rank
from recommender.report import Report, SecondBank, Tried
from recommender.run import Choice, Clock, Options, Ranked, Run
from recommender.session import PreparedModel, find_model, lower_model, read_model, this_machine
from recommender.training_process import ranker_beside
from recommender.vocabulary import BUSY_CORES, Candidate, Outcome, Status, half_quartile_range
from recommender.workspace import Workspace, open_workspace

if TYPE_CHECKING:  # TVM is imported once `this_machine` has set its threads
    from recommender.compiler.sketches import DesignSpace


def recommend(model: str | Path, options: Options | None = None, reporter: Reporter | None = None) -> Report:
    """Find schedules for a model's kernels, compile it with them, and write the output folder.

    Raises:
        RecommenderError: one of its kinds; nothing is left in the output folder then.
    """
    options, clock = options or Options(), Clock()
    find_model(str(model))  # what is not there is said before TVM is imported, which takes seconds
    folder = OutputFolder.claim(model, options.output, options.force)
    run = Run(this_machine(options.target, options.threads), options, reporter or Reporter(0), clock)
    get_ready()
    prepared, pools, ranker = _import_and_gather(str(model), run)
    ranked = [rank(pool, ranker) for pool in pools]
    clock.lap("rank")
    choices = measure_kernels(prepared, ranked, run)
    clock.lap("measure")
    if options.explain:
        both = zip(choices, pools, strict=True)
        choices = [replace(choice, explanation=explain(choice, ranker, pool)) for choice, pool in both]
    return deliver(folder, prepared, choices, run)


def _import_and_gather(model: str, run: Run) -> tuple[PreparedModel, list[Pool], BoostedRanker]:
    """The model, its kernels' candidates, and what will rank them.

    Importing needs no data, and candidates need no ranker, which may have to be trained: that goes on beside
    the rest, once it is known that there is a model to do it for.
    """
    options = run.options
    run.reporter.say(f"importing {model} to find its kernels")
    onnx_model = read_model(model, options.input_shapes, options.dims)
    with ranker_beside(run) as ranker:
        prepared = lower_model(onnx_model, run.machine)
        run.clock.lap("import")
        run.reporter.say(f"{prepared.name}: {len(prepared.kernels)} kernels, {run.machine.hardware.id}")
        run.reporter.say("ranking candidates of all kernels")
        library = library_for(run, read_data(run))
        pools = [candidate_pool(kernel, library, run.machine) for kernel in prepared.kernels]
        return prepared, pools, ranker()


def measure_kernels(model: PreparedModel, ranked: Sequence[Ranked], run: Run) -> list[Choice]:
    """Measure the first candidates of every kernel and choose the best.

    The kernels with the most work come first: for those that the budget leaves no time for, the first of the
    ranking is chosen. Finished measurements are in the user's store at once, whatever happens next.

    Raises:
        NothingMeasuredError: not a single candidate could be timed.
    """
    options = run.options
    if not options.measure:
        return [_unmeasured(r, model) for r in ranked]
    choices: dict[str, Choice] = {}
    counts = {r.kernel.workload.key: len(_measured_together(r, options.top_k)) for r in ranked}
    total = sum(counts.values())
    run.reporter.say(f"measuring {total} candidates of {len(ranked)} kernels")
    with (
        open_workspace(run.machine, options.store, "recommend", options.seed) as workspace,
        run.reporter.steps("measuring", total) as steps,
    ):
        workspace.register(model)
        bench = _KernelBench(model, workspace, options.top_k, run.reporter)
        for r in sorted(ranked, key=lambda r: -r.kernel.calls * r.kernel.workload.flops):
            key, late = r.kernel.workload.key, run.is_late
            steps.begin(f"{r.kernel.name} ({counts[key]} candidate{'s' if counts[key] > 1 else ''})")
            choices[key] = _unmeasured(r, model) if late else bench.choose(r)
            steps.advance(count=counts[key])
    chosen = [choices[r.kernel.workload.key] for r in ranked]
    if not any(choice.best for choice in chosen):
        raise _nothing_measured(chosen)
    _say_if_busy(chosen, run)
    return chosen


def _measured_together(ranked: Ranked, top_k: int) -> list[Candidate]:
    """The fallback and the first of the ranking, no schedule twice."""
    return list({c.schedule: c for c in (ranked.fallback, *ranked.candidates[:top_k])}.values())


def _nothing_measured(choices: Sequence[Choice]) -> NothingMeasuredError:
    failed = [t.outcome.reason for c in choices for t in c.tried]
    reasons = [reason for reason in (*(c.problem for c in choices), *failed) if reason]
    return NothingMeasuredError(
        f"no candidate could be measured ({reasons[0]}); run: recommender doctor"
        if reasons
        else "no time was left to measure anything; give a larger --budget-seconds"
    )


def _unmeasured(ranked: Ranked, model: PreparedModel) -> Choice:
    """The first of the ranking, on trust; what cannot even be replayed is known to fail."""
    space = model.spaces[ranked.kernel.workload.key]
    problem = space.why_not(ranked.fallback.schedule)
    fallback = Outcome.failure(Status.REPLAY_FAILED, problem) if problem else None
    return Choice(ranked, first_that_replays(ranked, space), fallback, None)


def _say_if_busy(choices: Sequence[Choice], run: Run) -> None:
    loads = [t.outcome.load for choice in choices for t in choice.tried if t.outcome.ok]
    if loads and median(loads) > BUSY_CORES:
        run.reporter.say(
            f"something else kept {median(loads):.1f} of {run.machine.threads} cores busy meanwhile: times "
            "are unsure, and fallbacks were kept where it mattered; run it again on a quiet machine"
        )


def first_that_replays(ranked: Ranked, space: DesignSpace) -> Candidate:
    """The best predicted candidate that TVM can replay: what is trusted without being measured."""
    replayable = (c for c in ranked.candidates if space.why_not(c.schedule) is None)
    return next(replayable, ranked.fallback)


def beats(winner: Outcome, incumbent: Outcome) -> bool:
    """Whether a candidate is faster than what it would replace, beyond the spread.

    Both were sampled in turns: the ratio of a turn's two times is free of what the machine did from one
    turn to the next. Their median must be under 1 by more than half the range between their quartiles.
    """
    if not (winner.ok and incumbent.ok):
        return winner.ok
    if winner.median_seconds >= incumbent.median_seconds:
        return False
    ratios = [w / i for w, i in zip(winner.seconds, incumbent.seconds, strict=False)]
    return median(ratios) + half_quartile_range(ratios) < 1


@dataclass(frozen=True)
class _KernelBench:
    """Measures the first candidates of one kernel after the other, and chooses."""

    model: PreparedModel
    workspace: Workspace
    top_k: int
    reporter: Reporter

    def choose(self, ranked: Ranked) -> Choice:
        """The fastest of the fallback and the top k, judged on a second bank of times."""
        task = self.model.task(ranked.kernel)
        try:
            with self.workspace.loaded(task):
                return self._choose(ranked, task)
        except WorkerFailure as exc:
            problem = str(exc).partition("\n")[0]
            self.reporter.say(f"{ranked.kernel.name} cannot be measured and keeps its fallback ({problem})")
            return Choice(ranked, ranked.fallback, None, None, problem=problem)

    def _choose(self, ranked: Ranked, task: Task) -> Choice:
        together = _measured_together(ranked, self.top_k)
        outcomes = self.workspace.measure_all(self.model.name, task, together)
        by_schedule = {c.schedule: o for c, o in zip(together, outcomes, strict=True)}
        tried = tuple(
            Tried(candidate, place + 1, ranked.scores[place], by_schedule[candidate.schedule])
            for place, candidate in enumerate(ranked.candidates[: self.top_k])
        )
        return self._judge(ranked, by_schedule[ranked.fallback.schedule], tried, task)

    def _judge(self, ranked: Ranked, fallback: Outcome, tried: tuple[Tried, ...], task: Task) -> Choice:
        """The winner must beat the fallback turn by turn, beyond the spread; else the fallback stays."""
        winner = min(tried, key=lambda t: t.outcome.median_seconds)
        best_of_kept = fallback if fallback.ok else None
        kept = Choice(ranked, ranked.fallback, fallback, best_of_kept, tried, first_fallback=fallback)
        if not winner.outcome.ok or winner.candidate.schedule == ranked.fallback.schedule:
            return kept
        if not fallback.ok:
            return replace(kept, chosen=winner.candidate, best=winner.outcome)
        pair = [(ranked.fallback, fallback), (winner.candidate, winner.outcome)]
        base, best = self.workspace.measure_again(self.model.name, task, pair)
        kept = replace(kept, second_bank=SecondBank(winner.candidate, best, base))
        if not (base.ok and best.ok):  # the machine failed, not the candidates: they ran a moment ago
            return kept
        if not beats(best, base):
            return replace(kept, fallback=base, best=base)
        return replace(kept, chosen=winner.candidate, fallback=base, best=best)
