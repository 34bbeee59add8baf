"""`recommender evaluate --measure`: whole models, each with nothing of it in library or ranker.

Five builds of a model run in turns beside ONNX Runtime: untuned, with fallback schedules, transferred
with and without measuring, and fully tuned (the best schedule of its own stored search for each kernel).
A model's score is one JSON file; models that have theirs are skipped, so a campaign can be resumed.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from recommender.builds import compare_builds, compile_builds
from recommender.datasets.layers import SHIPPED, Data, load_data
from recommender.datasets.store import Store
from recommender.errors import DataError, UsageError, VerificationError
from recommender.harness.latency import Latency
from recommender.job import first_that_replays, measure_kernels
from recommender.knowledge import gather_knowledge
from recommender.progress import Reporter
from recommender.ranking import rank_kernel
from recommender.run import Choice, Clock, Options, Ranked, Run, chosen_schedules, fallback_schedules
from recommender.session import Machine, PreparedModel, prepare_named
from recommender.vocabulary import Json, Schedule

BUILDS = ("untuned", "fallback", "unmeasured", "transferred", "tuned")
_BUDGET_SECONDS = 40.0
Schedules: TypeAlias = Mapping[str, Schedule]


@dataclass(frozen=True)
class Searched:
    """The stored searches of a model's kernels: their best schedules, trials and wall time."""

    best: Schedules
    trials: int
    seconds: float


def score_models(
    names: Sequence[str],
    machine: Machine,
    folder: Path,
    *,
    store: Path | None,
    top_k: int,
    seed: int,
    reporter: Reporter,
) -> None:
    """Score every model that `folder` has no file of yet, novel shapes only.

    Library, searches and the ranker's rows are the shipped ones and those of a `store` of one's own, which
    is not written to.

    Raises:
        UsageError: the library does not know a model.
        DataError: a model was not searched on this machine, or has a score of other settings.
        RecommenderError: a model cannot be prepared, measured or verified.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = load_data(SHIPPED, *([store] if store else []))
    known = {use.model for use in data.kernels}
    if unknown := [name for name in names if name not in known]:
        raise UsageError(
            f"--measure takes models of the library ({', '.join(sorted(known))}), not {', '.join(unknown)}"
        )
    for name in names:
        path = folder / f"{name}.json"
        if path.exists():
            _must_be_alike(path, machine, top_k, seed)
            reporter.say(f"{name}: scored already, in {path}")
            continue
        with tempfile.TemporaryDirectory(prefix="recommend-") as temporary:
            own = Path(temporary) / "outcomes.db"
            if store:
                with Store(store, read_only=True) as opened:
                    opened.copy_to(own)
            options = Options(top_k=top_k, exclude_models=(name,), seed=seed, store=own)
            score = _score(name, Run(machine, options, reporter, Clock()), data, Path(temporary))
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(score, indent=1) + "\n")
        partial.replace(path)


def _must_be_alike(path: Path, machine: Machine, top_k: int, seed: int) -> None:
    """A folder of scores holds one experiment.

    Raises:
        DataError: the score is of other settings.
    """
    score = json.loads(path.read_text())
    settings = {"top_k": top_k, "seed": seed, "hardware": machine.hardware.id, "pipeline": machine.pipeline}
    for key, value in settings.items():
        if score[key] != value:
            raise DataError(f"{path} is of {key} {score[key]}, not {value}; give another folder with -o")


def _score(name: str, run: Run, data: Data, scratch: Path) -> Json:
    model = prepare_named(name, run.machine)
    searched = stored_searches(data, model, run.machine)
    if not searched.best:
        raise DataError(
            f"{name} was never searched on {run.machine.hardware.id}, so there is no maximum to compare "
            f"with; run: recommender tune --cold {name} --store FILE, and give --store FILE here too"
        )
    run.clock.lap("import")
    knowledge = gather_knowledge(run, forget={kernel.workload.key for kernel in model.kernels})
    run.clock.lap("knowledge")  # training without the model belongs to the experiment, not to a run
    ranked = [rank_kernel(kernel, knowledge, run.machine) for kernel in model.kernels]
    run.clock.lap("rank")
    choices = measure_kernels(model, ranked, run)
    run.clock.lap("measure")
    wanted = _wanted(model, ranked, choices, searched)
    builds = compile_builds(scratch, model, wanted, run)
    latencies = compare_builds(builds, model, run, budget_seconds=_BUDGET_SECONDS, time_reference=True)
    if wrong := [build for build, latency in latencies.items() if not latency.is_right]:
        raise VerificationError(
            f"{name}: the {', '.join(wrong)} build does not compute what ONNX Runtime does, so there is no "
            "score; run it once more, or leave this model out"
        )
    return _json(name, run, choices, searched, latencies)


def stored_searches(data: Data, model: PreparedModel, machine: Machine) -> Searched:
    """What `recommender tune` found for the model's kernels on this machine."""
    keys = {kernel.workload.key for kernel in model.kernels}
    best = {key: m.schedule for key, m in data.best_searched(machine.setting).items() if key in keys}
    searches = [s for s in data.searches if s.workload in keys and s.setting == machine.setting]
    return Searched(
        best,
        sum(s.trials for s in searches),
        sum(s.seconds for s in searches),
    )


def _wanted(
    model: PreparedModel, ranked: Sequence[Ranked], choices: Sequence[Choice], searched: Searched
) -> dict[str, Schedules]:
    """The schedules of every build; kernels that were never searched keep the fallback when tuned."""
    fallback, keys = fallback_schedules(choices), [r.kernel.workload.key for r in ranked]
    trusted = [first_that_replays(r, model.spaces[key]) for r, key in zip(ranked, keys, strict=True)]
    wanted: dict[str, Schedules] = {
        "untuned": {},
        "fallback": fallback,
        "unmeasured": {key: candidate.schedule for key, candidate in zip(keys, trusted, strict=True)},
        "transferred": chosen_schedules(choices),
        "tuned": {**fallback, **searched.best},
    }
    return {name: wanted[name] for name in BUILDS}


def _json(
    name: str, run: Run, choices: Sequence[Choice], searched: Searched, latencies: Mapping[str, Latency]
) -> Json:
    tried = [t for choice in choices for t in choice.tried]
    return {
        "model": name,
        "hardware": run.machine.hardware.id,
        "pipeline": run.machine.pipeline,
        "date": time.strftime("%Y-%m-%d"),
        "top_k": run.options.top_k,
        "seed": run.options.seed,
        "kernels": len(choices),
        "with_donors": sum(any(c.donor for c in choice.ranked.candidates) for choice in choices),
        "coverage": _coverage(choices),
        "slower_kernels": sum(
            bool(c.best and c.fallback and c.best.median_seconds > c.fallback.median_seconds) for c in choices
        ),
        "measured": len(tried),
        "invalid": sum(not t.outcome.ok for t in tried),
        "stages_seconds": {stage: round(s, 2) for stage, s in run.clock.stages.items()},
        "searched_kernels": len(searched.best),
        "search_trials": searched.trials,
        "search_seconds": round(searched.seconds, 1),
        "latencies": {
            build: {
                "median_seconds": latency.median_seconds,
                "difference_from_ort": latency.difference,
                "seconds": [float(f"{s:.5g}") for s in latency.seconds],
            }
            for build, latency in latencies.items()
        },
    }


def _coverage(choices: Sequence[Choice]) -> float:
    """Share of the model's time, with fallback schedules, in kernels that have a donor."""
    covered = total = 0.0
    for choice in choices:
        seconds = choice.ranked.kernel.calls * (choice.fallback.median_seconds if choice.fallback else 0.0)
        if math.isfinite(seconds):
            total += seconds
            covered += seconds * any(c.donor for c in choice.ranked.candidates)
    return covered / total if total else 0.0


def percent_of_maximum(score: Json, build: str) -> float:
    """(S - 1) / (S_full - 1) in percent, S = untuned / build, S_full = untuned / tuned (Gibson and Cano)."""
    seconds = {name: latency["median_seconds"] for name, latency in score["latencies"].items()}
    speedup = {name: seconds["untuned"] / s for name, s in seconds.items()}
    return float(100 * (speedup[build] - 1) / (speedup["tuned"] - 1))
