"""MetaSchedule's evolutionary search with building and timing in the same process.

A population of 128 instead of TVM's 512, and no files between search, build and run, keep a trial cheap.
`benchmarks/population.py` compares the two.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from tvm.s_tir import Schedule as TirSchedule
from tvm.s_tir import meta_schedule as ms
from tvm.s_tir.meta_schedule.runner import RunnerResult

from recommender.compiler.sketches import DesignSpace
from recommender.vocabulary import Outcome, Schedule

Measure = Callable[[Sequence[tuple[TirSchedule, Schedule]]], list[Outcome]]
POPULATION = 128
_BATCH = 16
_SILENT = logging.getLogger("recommender.search")
_SILENT.setLevel(logging.CRITICAL)


def search(
    space: DesignSpace,
    measure: Measure,
    *,
    trials: int,
    seed: int,
    known: Iterable[tuple[Schedule, Outcome]] = (),
) -> int:
    """Spend `trials` measurements on a workload, starting from what is `known`. Return those spent.

    Fewer are spent when the space holds no more distinct programs.
    """
    # A few trials are one batch, drawn before there is anything to evolve by.
    context = _context(space, seed, population=min(POPULATION, 8 * trials))
    database = ms.database.MemoryDatabase()
    workload = database.commit_workload(space.module)
    model = ms.cost_model.XGBModel(num_tuning_cores=1)

    def learn(candidates: list[ms.MeasureCandidate], results: list[RunnerResult]) -> None:
        for candidate, result in zip(candidates, results, strict=True):
            if result.run_secs is not None:
                record = ms.database.TuningRecord(
                    candidate.sch.trace,
                    workload,
                    [float(s) for s in result.run_secs],
                    context.target,
                    candidate.args_info,
                )
                database.commit_tuning_record(record)
        model.update(context, candidates, results)

    candidates, results = _replay_known(space, known)
    if candidates:
        learn(candidates, results)
    context.pre_tuning(trials, _BATCH, list(space.samples), database, model)
    spent = 0
    while batch := context.generate_measure_candidates():
        outcomes = measure([(c.sch, space.schedule_of(c.sch.trace)) for c in batch])
        results = [_result(outcome) for outcome in outcomes]
        context.notify_runner_results(list(batch), results)
        learn(list(batch), results)
        spent += len(batch)
    context.post_tuning()
    return spent


def _context(space: DesignSpace, seed: int, population: int) -> ms.TuneContext:
    strategy = ms.search_strategy.EvolutionarySearch(
        population_size=population,
        genetic_num_iters=4,
        init_measured_ratio=0.2,
        init_min_unmeasured=min(50, population // 2),
        genetic_mutate_prob=0.85,
        genetic_max_fail_count=10,
        eps_greedy=0.05,
    )
    return ms.TuneContext(
        mod=space.module,
        target=space.context.target,
        space_generator="post-order-apply",
        search_strategy=strategy,
        num_threads=2,
        rand_state=seed + 1,
        logger=_SILENT,
    )


def _replay_known(
    space: DesignSpace, known: Iterable[tuple[Schedule, Outcome]]
) -> tuple[list[ms.MeasureCandidate], list[RunnerResult]]:
    candidates, results = [], []
    for schedule, outcome in known:
        if outcome.ok and schedule.sketch in space.sketches:
            replayed = space.replay(schedule)
            infos = ms.arg_info.ArgInfo.from_prim_func(space.module["main"])
            candidates.append(ms.MeasureCandidate(replayed, infos))
            results.append(_result(outcome))
    return candidates, results


def _result(outcome: Outcome) -> RunnerResult:
    if outcome.ok:
        return RunnerResult([outcome.median_seconds], None)
    return RunnerResult(None, outcome.reason)


def silence(names: Sequence[str] = ("tvm", "tvm.s_tir.meta_schedule")) -> None:
    """Keep TVM's chatter out of the worker: what matters is reported as outcomes."""
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
