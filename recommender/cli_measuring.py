"""`recommender tune`, `collect`, `remeasure`, `calibrate`: what measures kernels and keeps the outcomes."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Annotated

import typer

from recommender.cli_options import (
    KernelNames,
    Models,
    Quiet,
    Seed,
    StorePath,
    TargetOption,
    Threads,
    Verbose,
    guarded,
    reporter_for,
)
from recommender.datasets.records import COLD_SEARCH


@guarded
def tune(
    models: Models,
    trials: Annotated[int, typer.Option(min=1, help="trials per kernel")] = 64,
    heavy_trials: Annotated[
        int,
        typer.Option(min=0, help="all trials for the kernels that make up 80 % of a model's time, if more"),
    ] = 0,
    kernel: KernelNames = None,
    cold: Annotated[
        bool, typer.Option("--cold", help="ignore the library: the reference that transfer is judged by")
    ] = False,
    target: TargetOption = "host",
    threads: Threads = None,
    seed: Seed = 0,
    store: StorePath = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Search schedules for the kernels of models; keep every trial.

    A search starts from the library's best, unless --cold, and goes on from what it did before.
    """
    from recommender.knowledge import gather_knowledge
    from recommender.run import Clock, Options, Run
    from recommender.session import prepare_named, this_machine
    from recommender.tuning import tune as search
    from recommender.workspace import open_workspace

    machine, reporter = this_machine(target, threads), reporter_for(quiet, verbose)
    prepared = [prepare_named(name, machine) for name in models]
    run = Run(machine, Options(seed=seed, store=store), reporter, Clock())
    knowledge = None if cold else gather_knowledge(run)
    source = COLD_SEARCH if cold else "warm-tune"
    with open_workspace(machine, store, source, seed) as workspace:
        search(prepared, trials, workspace, reporter, knowledge, heavy_trials, kernel or ())


@guarded
def collect(
    models: Models,
    per_kernel: Annotated[int, typer.Option(min=2, help="candidates to measure per kernel")] = 40,
    kernel: KernelNames = None,
    target: TargetOption = "host",
    threads: Threads = None,
    seed: Seed = 0,
    store: StorePath = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Measure schedules of other models on the kernels of these.

    That is what the ranker learns from.
    """
    from recommender.collecting import collect as measure_transfers
    from recommender.session import prepare_named, this_machine
    from recommender.workspace import open_workspace

    machine = this_machine(target, threads)
    prepared = [prepare_named(name, machine) for name in models]
    with open_workspace(machine, store, "collect", seed) as workspace:
        measure_transfers(prepared, per_kernel, workspace, reporter_for(quiet, verbose), kernel or ())


@guarded
def remeasure(
    models: Models,
    per_kernel: Annotated[int, typer.Option(min=2, help="schedules to measure again per kernel")] = 8,
    since: Annotated[
        datetime | None,
        typer.Option("--since", formats=["%Y-%m-%dT%H:%M"], help="resume a run that was started then (UTC)"),
    ] = None,
    target: TargetOption = "host",
    threads: Threads = None,
    store: StorePath = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Time the best schedules of each kernel again, side by side.

    Says how much of their first times was luck.
    """
    from recommender.remeasuring import remeasure as measure_again
    from recommender.remeasuring import said
    from recommender.session import prepare_named, this_machine
    from recommender.workspace import open_workspace

    machine = this_machine(target, threads)
    prepared = [prepare_named(name, machine) for name in models]
    start = since.replace(tzinfo=timezone.utc).timestamp() if since else time.time()
    with open_workspace(machine, store, "remeasure") as workspace:
        print(said(measure_again(prepared, per_kernel, workspace, reporter_for(quiet, verbose), start)))


@guarded
def calibrate(
    budget_seconds: Annotated[float, typer.Option(min=1, help="stop after this many seconds")] = 300.0,
    target: TargetOption = "host",
    threads: Threads = None,
    seed: Seed = 0,
    store: StorePath = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Measure a small designed set, to fit the ranker to this CPU.

    `recommender train` does the fitting.
    """
    from recommender.calibrating import MODELS
    from recommender.calibrating import calibrate as measure_set
    from recommender.knowledge import gather_knowledge
    from recommender.run import Clock, Options, Run
    from recommender.session import prepare_named, this_machine
    from recommender.workspace import open_workspace

    machine, reporter = this_machine(target, threads), reporter_for(quiet, verbose)
    knowledge = gather_knowledge(Run(machine, Options(seed=seed, store=store), reporter, Clock()))
    models = [prepare_named(name, machine) for name in MODELS]
    with open_workspace(machine, store, "calibrate", seed) as workspace:
        measured = measure_set(models, knowledge, workspace, budget_seconds, reporter)
    print(f"{measured} candidates measured on {machine.hardware.id}; next: recommender train")
