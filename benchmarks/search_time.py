"""How long TVM's own search takes to find what the recommender finds.

    python benchmarks/search_time.py resnet18 -o docs/results/searches

First recommends for the model without what the model gave and without what is known of its very kernels
(novel shapes only), and takes the time from import to
chosen schedules, without reading the library and training a ranker, which a user does not wait for.
Then runs MetaSchedule as TVM ships it (`tune_relax` with its default builder, runner, strategy and task
scheduler) on the same lowered model, and notes after every batch the sum over kernels of calls times best
seconds. The time to match is when that sum reaches ours; a search that has not after `--budget-ratio` times
our time gives a lower bound. Our schedules are built and timed once more by TVM's builder and runner, after
the clock has stopped, so that both sums are of the same measurer. Kernels that its runner cannot run (its
random numbers reach outside of the table that a gather reads) are in neither sum. Run nothing beside it.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Any

from recommender.job import measure_kernels
from recommender.knowledge import gather_knowledge
from recommender.progress import Reporter
from recommender.ranking import rank_kernel
from recommender.run import Choice, Clock, Options, Run
from recommender.session import PreparedModel, prepare_named, this_machine

_TRIALS_PER_KERNEL = 2000
"""More than any budget here lets it spend: the clock ends the search."""
_TIMES_OURS_ARE_TIMED = 3
"""One time by chance would decide when the search has matched; the median of a few is taken."""


def ours(name: str, folder: Path) -> tuple[PreparedModel, Run, float, list[Choice]]:
    """The model, the run, seconds to chosen schedules, and these."""
    options = Options(exclude_models=(name,), store=folder / "outcomes.db")
    run = Run(this_machine(), options, Reporter(1), Clock())
    model = prepare_named(name, run.machine)
    run.clock.lap("import")
    knowledge = gather_knowledge(run, forget={kernel.workload.key for kernel in model.kernels})
    run.clock.lap("knowledge")
    ranked = [rank_kernel(k, knowledge, run.machine) for k in model.kernels]
    run.clock.lap("rank")
    choices = measure_kernels(model, ranked, run)
    run.clock.lap("measure")
    seconds = sum(s for stage, s in run.clock.stages.items() if stage != "knowledge")
    return model, run, seconds, choices


def timed_as_tvm_does(
    model: PreparedModel, choices: Sequence[Choice], run: Run
) -> tuple[float, frozenset[str]]:
    """The sum over kernels of calls times seconds, by TVM's builder and runner, and what these cannot run.

    Raises:
        RuntimeError: TVM cannot build a schedule that we could.
    """
    from tvm.s_tir import meta_schedule as ms

    from recommender.compiler import hardware

    target = hardware.target_from_json(run.machine.target)
    scheduled = [model.spaces[c.ranked.kernel.workload.key].replay(c.chosen.schedule).mod for c in choices]
    built = ms.builder.LocalBuilder().build([ms.builder.BuilderInput(mod, target) for mod in scheduled])
    runner = ms.runner.LocalRunner()
    total, left_out = 0.0, set()
    for choice, module, build in zip(choices, scheduled, built, strict=True):
        if build.error_msg:
            raise RuntimeError(str(build.error_msg))
        arguments = ms.arg_info.ArgInfo.from_entry_func(module, remove_preproc=True)
        given = ms.runner.RunnerInput(build.artifact_path, "cpu", arguments)
        results = [runner.run([given])[0].result() for _ in range(_TIMES_OURS_ARE_TIMED)]
        if any(result.error_msg for result in results):
            left_out.add(choice.ranked.kernel.name)
            continue
        seconds = median(_mean_seconds(result) for result in results)
        total += choice.ranked.kernel.calls * seconds
    return total, frozenset(left_out)


@dataclass
class Watch:
    """What TVM's search has found so far, and whether it may end.

    `curve` has [seconds, sum over kernels of calls times best seconds] after every batch, the sum infinite
    until every kernel but those `left_out` has a time.
    """

    budget_seconds: float
    wanted_seconds: float
    left_out: frozenset[str]
    curve: list[tuple[float, float]] = field(default_factory=list)
    _best: dict[str, float] = field(default_factory=dict)
    _start: float = field(default_factory=time.monotonic)

    def note(self, scheduler: Any, task: int, results: Sequence[Any]) -> None:
        """Take the results of a batch of one task."""
        name = str(scheduler.tasks_[task].ctx.task_name)
        times = [_mean_seconds(result) for result in results if result.run_secs]
        self._best[name] = min([self._best.get(name, math.inf), *times])
        calls = {str(t.ctx.task_name): int(t.task_weight) for t in scheduler.tasks_}
        total = sum(calls[n] * self._best.get(n, math.inf) for n in calls.keys() - self.left_out)
        self.curve.append((time.monotonic() - self._start, total))

    @property
    def is_over(self) -> bool:
        """Whether the sum is as small as wanted, or the budget is spent."""
        matched = bool(self.curve) and self.curve[-1][1] <= self.wanted_seconds
        return matched or time.monotonic() - self._start > self.budget_seconds


def tvm_search(model: PreparedModel, run: Run, folder: Path, watch: Watch) -> None:
    """Run TVM's search with its own settings until the watch says that it is over."""
    import tvm
    from tvm.ir.utils import derived_object
    from tvm.s_tir import meta_schedule as ms

    from recommender.compiler import hardware

    @derived_object
    class Note(ms.measure_callback.PyMeasureCallback):  # type: ignore[misc]
        def apply(self, scheduler: Any, task: int, candidates: Any, builds: Any, results: Any) -> None:
            watch.note(scheduler, task, results or ())
            if watch.is_over:
                raise RuntimeError("matched, or the budget is spent")

    try:
        with tvm.transform.PassContext(opt_level=3):
            ms.relax_integration.tune_relax(
                mod=model.lowered,
                params={},
                target=hardware.target_from_json(run.machine.target),
                work_dir=str(folder),
                max_trials_global=_TRIALS_PER_KERNEL * len(model.kernels),
                measure_callbacks=[
                    Note(),
                    ms.measure_callback.RemoveBuildArtifact(),
                    ms.measure_callback.UpdateCostModel(),
                    ms.measure_callback.AddToDatabase(),
                ],
            )
    except Exception:  # TVM hands on what a callback raises, but not as what it was
        if not watch.is_over:
            raise


def _mean_seconds(result: Any) -> float:
    return fmean(float(seconds) for seconds in result.run_secs)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--budget-ratio", type=float, default=32.0)
    parser.add_argument("-o", type=Path, default=Path("docs/results/searches"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        model, run, seconds, choices = ours(options.model, Path(temporary))
        total, left_out = timed_as_tvm_does(model, choices, run)
        watch = Watch(options.budget_ratio * seconds, total, left_out)
        tvm_search(model, run, Path(temporary), watch)
    matched = next((t for t, s in watch.curve if s <= total), None)
    last_seconds, last_total = watch.curve[-1]
    result = {
        "model": model.name,
        "hardware": run.machine.hardware.id,
        "date": time.strftime("%Y-%m-%d"),
        "ours_seconds": round(seconds, 1),
        "ours_sum_ms": round(1e3 * total, 3),
        "left_out": sorted(left_out),
        "ours_sum_by_our_bench_ms": round(
            1e3 * sum(c.ranked.kernel.calls * c.best.median_seconds for c in choices if c.best), 3
        ),
        "search_matched_after_seconds": matched,
        "search_seconds": round(last_seconds, 1),
        "search_sum_ms": round(1e3 * last_total, 3) if math.isfinite(last_total) else None,
        "ratio": round((matched or last_seconds) / seconds, 2),
        "ratio_is_lower_bound": matched is None,
        "curve": [[round(t, 1), s if math.isfinite(s) else None] for t, s in watch.curve],
    }
    options.o.mkdir(parents=True, exist_ok=True)
    (options.o / f"{model.name}.json").write_text(json.dumps(result) + "\n")
    print({k: v for k, v in result.items() if k != "curve"})


if __name__ == "__main__":
    main()
