"""The command line: turns options into calls of the library, and errors into one line and a code."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, ParamSpec

import typer
from rich.console import Console

from recommender.errors import RecommenderError, SetupError
from recommender.progress import Reporter

P = ParamSpec("P")
_INTERRUPTED = 130

Models = Annotated[list[str], typer.Argument(help="ONNX files, or names of zoo models")]
StorePath = Annotated[
    Path | None, typer.Option("--store", help="where measurements go [default: your own store]")
]
TargetOption = Annotated[
    str, typer.Option("--target", help="host, JSON, @file.json, a TVM tag or 'llvm -mcpu=...'")
]
Threads = Annotated[int | None, typer.Option("--threads", help="threads to run with [default: all cores]")]
Seed = Annotated[int, typer.Option("--seed", help="for everything that draws at random")]
Exclude = Annotated[
    list[str] | None,
    typer.Option("--exclude-model", help="leave out all that came from this model; repeatable"),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="no progress")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="say more")]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Schedules for TVM from a library of tuned kernels.",
)
zoo_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The models that the library was made from."
)
app.add_typer(zoo_app, name="zoo")


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """An expected failure of a command is one line on stderr and an exit code of its kind."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except RecommenderError as exc:
            print(f"error: {exc}", file=sys.stderr)
            raise typer.Exit(exc.exit_code) from exc
        except KeyboardInterrupt as exc:
            print("interrupted; finished measurements are kept", file=sys.stderr)
            raise typer.Exit(_INTERRUPTED) from exc

    return run


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
        float | None, typer.Option("--budget-seconds", help="stop measuring after so long")
    ] = None,
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
    from recommender.report import kernel_table, latency_lines, report_json
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
    )
    report = run_main_job(model, options, _reporter(quiet, verbose))
    if as_json:
        print(json.dumps(report_json(report)))
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(kernel_table(report))
    console.print()
    for line in latency_lines(report):
        console.print(line)
    if report.delivered != "chosen":
        console.print("the fallback schedules were faster: they are what was handed over")
    console.print(f"\n{report.folder}: model.so, run.py, report.md, report.json, a tuning database")


@app.command()
@guarded
def tune(
    models: Models,
    trials: Annotated[int, typer.Option(min=1, help="trials per kernel")] = 64,
    target: TargetOption = "host",
    threads: Threads = None,
    seed: Seed = 0,
    store: StorePath = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Search schedules for the kernels of models with MetaSchedule, and keep every trial."""
    from recommender.session import prepare_named, this_machine
    from recommender.tuning import tune as search
    from recommender.workspace import open_workspace

    machine = this_machine(target, threads)
    prepared = [prepare_named(name, machine) for name in models]
    with open_workspace(machine, store, "tune", seed) as workspace:
        search(prepared, trials, workspace, _reporter(quiet, verbose))


@app.command()
@guarded
def collect(
    models: Models,
    per_kernel: Annotated[int, typer.Option(min=1, help="candidates to measure per kernel")] = 40,
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
        measure_transfers(prepared, per_kernel, workspace, _reporter(quiet, verbose))


@app.command()
@guarded
def train(
    target: TargetOption = "host",
    threads: Threads = None,
    exclude_model: Exclude = None,
    seed: Seed = 0,
    store: StorePath = None,
    output: Annotated[
        Path | None, typer.Option("-o", help="where the ranker goes, without suffix [default: your own]")
    ] = None,
) -> None:
    """Train the ranker on all outcomes: the shipped ones and your own."""
    from recommender.datasets.layers import SHIPPED, load_data, user_store_path
    from recommender.models.active import own_ranker_path
    from recommender.models.artefact import save_ranker
    from recommender.models.training import train_ranker
    from recommender.session import this_machine

    machine = this_machine(target, threads)
    data = load_data(SHIPPED, store or user_store_path())
    ranker, card = train_ranker(
        data, machine.hardware, machine.pipeline, exclude_models=exclude_model or [], seed=seed
    )
    stem = output or own_ranker_path()
    save_ranker(ranker, card, stem)
    print(f"trained on {card.rows} outcomes of {card.workloads} kernels: {stem}.ubj")


@app.command()
@guarded
def evaluate(
    seed: Seed = 0,
    store: StorePath = None,
    output: Annotated[Path | None, typer.Option("-o", help="write the tables into this folder")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the summary as JSON")] = False,
    quiet: Quiet = False,
) -> None:
    """Compare rankers on stored outcomes (the shipped ones by default); nothing is measured."""
    from recommender import evaluation
    from recommender.datasets.layers import SHIPPED, load_data

    result = evaluation.evaluate(load_data(store or SHIPPED), seed, _reporter(quiet, False))
    if output:
        evaluation.write(result, output)
    print(json.dumps(evaluation.summary_json(result)) if as_json else evaluation.markdown(result))


@app.command()
@guarded
def doctor() -> None:
    """Check the installation, and say how to mend what is wrong."""
    from recommender.doctor import Verdict, examine

    findings = examine()
    for f in findings:
        print(f"{f.verdict.value:8} {f.check}: {f.what}" + (f"  ->  {f.mend}" if f.mend else ""))
    if any(f.verdict is Verdict.FAILURE for f in findings):
        raise SetupError("something is in the way; mend the failures above")


@zoo_app.command("list")
def zoo_list() -> None:
    """Print the names of the zoo's models."""
    from recommender.datasets.zoo import zoo_names

    print("\n".join(zoo_names()))


@zoo_app.command("export")
@guarded
def zoo_export(
    name: Annotated[str, typer.Argument()],
    output: Annotated[Path | None, typer.Option("-o", help="[default: NAME.onnx]")] = None,
    seed: Seed = 0,
) -> None:
    """Write a zoo model as a runnable .onnx file, its weights drawn from the seed."""
    import onnx

    from recommender.datasets.zoo import zoo_model

    path = output or Path(f"{name}.onnx")
    onnx.save(zoo_model(name, seed), str(path))
    print(path)


def _reporter(quiet: bool, verbose: bool) -> Reporter:
    return Reporter(0 if quiet else 2 if verbose else 1)


def recommend_main() -> None:
    """Entry point of `recommend`."""
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    single.command(name="recommend")(recommend)
    single()


def main() -> None:
    """Entry point of `recommender`."""
    app()


app.command()(recommend)
