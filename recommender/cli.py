"""The command line: turns options into calls of the library, and errors into one line and a code."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from recommender import cli_library, cli_models, cli_study
from recommender.cli_options import (
    Exclude,
    KernelNames,
    Models,
    Output,
    Quiet,
    Seed,
    StorePath,
    StudiedStore,
    TargetOption,
    Threads,
    Verbose,
    guarded,
    reporter_for,
    sub_app,
)
from recommender.errors import SetupError, UsageError

if TYPE_CHECKING:
    from recommender.evaluation import Evaluation
    from recommender.vocabulary import Json

_WIDE = 1000
"""Characters in a line where nobody looks at it on a screen: what is kept in a file is not cut."""
app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Schedules for TVM from a library of tuned kernels.",
)
zoo_app = sub_app("The zoo: eleven well-known architectures to try things on, with random weights.")
app.add_typer(zoo_app, name="zoo")
app.add_typer(cli_models.app, name="models")
app.add_typer(cli_library.app, name="library")


@guarded
def recommend(
    model: Annotated[str, typer.Argument(help="an ONNX file, or the name of a zoo model")],
    top_k: Annotated[int, typer.Option("--top-k", help="candidates to measure per kernel")] = 5,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="[default: MODEL.rec]")] = None,
    force: Annotated[bool, typer.Option("--force", help="replace the output folder")] = False,
    input_shape: Annotated[
        list[str] | None, typer.Option("--input-shape", help="name:1,3,224,224; repeatable")
    ] = None,
    dim: Annotated[list[str] | None, typer.Option("--dim", help="batch=1; repeatable")] = None,
    measure: Annotated[
        bool, typer.Option("--measure/--no-measure", help="measure the top k, or trust the ranking")
    ] = True,
    baseline: Annotated[
        list[str] | None, typer.Option("--baseline", help="also time: ort, untuned; repeatable")
    ] = None,
    budget_seconds: Annotated[
        float | None,
        typer.Option(
            "--budget-seconds",
            help="stop measuring after this long; what is left is trusted unmeasured",
        ),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="say why each schedule was chosen")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the report as JSON on stdout")] = False,
    exclude_model: Exclude = None,
    target: TargetOption = "host",
    threads: Threads = None,
    seed: Seed = 0,
    store: StorePath = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Find schedules for an ONNX model and compile it with them."""
    from recommender.job import recommend as run_main_job
    from recommender.report import print_report, report_json
    from recommender.run import Options
    from recommender.spelling import parse_dim, parse_input_shape

    options = Options(
        top_k=top_k,
        output=output,
        force=force,
        measure=measure,
        target=target,
        threads=threads,
        input_shapes=dict(map(parse_input_shape, input_shape or [])),
        dims=dict(map(parse_dim, dim or [])),
        exclude_models=tuple(exclude_model or []),
        baselines=tuple(baseline or []),
        budget_seconds=budget_seconds,
        seed=seed,
        store=store,
        explain=explain,
    )
    report = run_main_job(model, options, reporter_for(quiet, verbose))
    if as_json:
        print(json.dumps(report_json(report)))
    else:
        width = None if sys.stdout.isatty() else _WIDE
        print_report(report, Console(highlight=False, soft_wrap=True, width=width))


@app.command()
@guarded
def tune(
    models: Models,
    trials: Annotated[int, typer.Option(min=1, help="trials per kernel")] = 64,
    heavy_trials: Annotated[
        int, typer.Option(min=0, help="trials for the kernels that make up 80 % of a model's time")
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
    """Search schedules for the kernels of models, starting from the library's best, and keep every trial."""
    from recommender.knowledge import gather_knowledge
    from recommender.run import Clock, Options, Run
    from recommender.session import prepare_named, this_machine
    from recommender.tuning import tune as search
    from recommender.workspace import open_workspace

    machine, reporter = this_machine(target, threads), reporter_for(quiet, verbose)
    prepared = [prepare_named(name, machine) for name in models]
    run = Run(machine, Options(seed=seed, store=store), reporter, Clock())
    knowledge = None if cold else gather_knowledge(run)
    source = "tune" if cold else "warm-tune"
    with open_workspace(machine, store, source, seed) as workspace:
        search(prepared, trials, workspace, reporter, knowledge, heavy_trials, kernel or ())


@app.command()
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
    """Measure how schedules of other models do on the kernels of these: what the ranker learns from."""
    from recommender.collecting import collect as measure_transfers
    from recommender.session import prepare_named, this_machine
    from recommender.workspace import open_workspace

    machine = this_machine(target, threads)
    prepared = [prepare_named(name, machine) for name in models]
    with open_workspace(machine, store, "collect", seed) as workspace:
        measure_transfers(prepared, per_kernel, workspace, reporter_for(quiet, verbose), kernel or ())


@app.command()
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
    """Measure the best schedules of each kernel again, side by side, and say how much was luck."""
    from recommender.remeasuring import remeasure as measure_again
    from recommender.remeasuring import said
    from recommender.session import prepare_named, this_machine
    from recommender.workspace import open_workspace

    machine = this_machine(target, threads)
    prepared = [prepare_named(name, machine) for name in models]
    start = since.replace(tzinfo=timezone.utc).timestamp() if since else time.time()
    with open_workspace(machine, store, "remeasure") as workspace:
        print(said(measure_again(prepared, per_kernel, workspace, reporter_for(quiet, verbose), start)))


@app.command()
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
    """Measure a small designed set on this machine, so that `train` can fit the ranker to it."""
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


@app.command()
@guarded
def train(
    only_mine: Annotated[
        bool, typer.Option("--only-mine", help="your own outcomes, not the shipped ones")
    ] = False,
    hardware: Annotated[
        str | None, typer.Option("--hardware", help="outcomes of this hardware id only")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option("--since", formats=["%Y-%m-%d"], help="measured on or after this day (UTC)"),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="train again on the same outcomes; use the new ranker even if worse"),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="write the ranker here, without suffix, and do not use it"),
    ] = None,
    target: TargetOption = "host",
    threads: Threads = None,
    exclude_model: Exclude = None,
    seed: Seed = 0,
    store: StorePath = None,
    quiet: Quiet = False,
) -> None:
    """Train the ranker on the shipped outcomes and your own, and use it if it is no worse."""
    from recommender.datasets.layers import SHIPPED, load_data, user_store_path
    from recommender.models.artefact import save_ranker
    from recommender.retraining import already_in_use, keep, place_of, plan_training, retrain, select_outcomes
    from recommender.session import this_machine

    machine = this_machine(target, threads)
    own = load_data(store or user_store_path()).measurements
    everything = load_data(SHIPPED, store or user_store_path())
    data = select_outcomes(
        everything,
        only={place_of(m) for m in own} if only_mine else None,
        hardware=hardware,
        since=since.replace(tzinfo=timezone.utc).timestamp() if since else None,
    )
    plan = plan_training(
        data,
        machine,
        everything=everything if only_mine or hardware or since else None,
        exclude_models=exclude_model or [],
        seed=seed,
    )
    if not force and not output and (name := already_in_use(plan)):
        print(f"{name} is in use and was trained on just this; to train again: recommender train --force")
        return
    own_workloads = {m.workload for m in own if m.setting == machine.setting}
    result = retrain(plan, own_workloads, reporter_for(quiet, False))
    print(f"trained on {result.card.rows} outcomes of {result.card.workloads} kernels; {result.verdict}")
    if output:
        save_ranker(result.ranker, result.card, output)
        print(f"{output}.ubj")
    else:
        print(keep(result, force))


@app.command()
@guarded
def evaluate(
    measure: Annotated[
        list[str] | None,
        typer.Option("--measure", help="first score this whole model on the machine; repeatable"),
    ] = None,
    top_k: Annotated[int, typer.Option("--top-k", help="with --measure: candidates per kernel")] = 5,
    seed: Seed = 0,
    store: StudiedStore = None,
    output: Output = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the summary as JSON")] = False,
    quiet: Quiet = False,
) -> None:
    """Judge rankers and library on stored outcomes (the shipped ones), leaving out a model at a time."""
    from recommender import evaluation, results
    from recommender.datasets.layers import SHIPPED, load_data, must_exist

    reporter = reporter_for(quiet, False)
    draw_results = _drawing() if output else None
    if measure:
        from recommender.model_scores import score_models
        from recommender.session import this_machine

        if output is None:
            raise UsageError("--measure keeps its scores in the results folder; name it with -o")
        score_models(
            measure,
            this_machine(),
            output / "models",
            store=must_exist(store) if store else None,
            top_k=top_k,
            seed=seed,
            reporter=reporter,
        )
    data = load_data(must_exist(store or SHIPPED))
    result = evaluation.evaluate(data, seed, reporter, summary_only=as_json and not output)
    measured = results.Measured.read(output) if output else results.Measured()
    if output and draw_results:
        results.write(result, measured, output)
        draw_results(result, measured.models, output / "plots")
    print(json.dumps(evaluation.summary_json(result)) if as_json else results.markdown(result, measured))


def _drawing() -> Callable[[Evaluation, Sequence[Json], Path], object]:
    """What draws the results; whether it is there is known before the work begins."""
    try:
        from recommender.results_drawing import draw_results
    except ImportError as exc:
        raise SetupError(f"plots need {exc.name}; run: pip install '.[study]' (in the repository)") from exc
    return draw_results


@app.command()
@guarded
def doctor() -> None:
    """Check the installation, and say how to fix what is wrong."""
    from recommender.doctor import Verdict, examine

    findings = examine()
    for f in findings:
        print(f"{f.verdict.value:8} {f.check}: {f.what}" + (f"  ->  {f.mend}" if f.mend else ""))
    if any(f.verdict is Verdict.FAILURE for f in findings):
        raise SetupError("something is in the way; fix the failures above")


@zoo_app.command("list")
def zoo_list() -> None:
    """Print the names of the zoo's models."""
    from recommender.datasets.zoo import zoo_names

    print("\n".join(zoo_names()))


@zoo_app.command("export")
@guarded
def zoo_export(
    name: Annotated[str, typer.Argument(help="one of those that `recommender zoo list` prints")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="[default: NAME.onnx]")] = None,
    force: Annotated[bool, typer.Option("--force", help="replace an existing file")] = False,
    seed: Seed = 0,
) -> None:
    """Write a zoo model as a runnable .onnx file, its weights drawn from the seed."""
    import onnx

    from recommender.datasets.zoo import zoo_model
    from recommender.writing import new_file

    path = output or Path(f"{name}.onnx")
    with new_file(path, force=force) as partial:
        onnx.save(zoo_model(name, seed), str(partial))
    print(path)


def recommend_main() -> None:
    """Entry point of `recommend`."""
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    single.command(name="recommend")(recommend)
    single()


def main() -> None:
    """Entry point of `recommender`."""
    app()


app.command()(recommend)
app.command()(cli_study.study)
