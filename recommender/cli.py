"""The command line: turns options into calls of the library, and errors into one line and a code."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from recommender import cli_learning, cli_library, cli_measuring, cli_models, cli_study, cli_zoo
from recommender.cli_options import (
    Exclude,
    Quiet,
    Seed,
    StorePath,
    TargetOption,
    Threads,
    Verbose,
    guarded,
    reporter_for,
)
from recommender.errors import SetupError

_WIDE = 1000
"""Characters in a line where nobody looks at it on a screen: what is kept in a file is not cut."""


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


@guarded
def doctor() -> None:
    """Check the installation, and say how to fix what is wrong."""
    from recommender.doctor import Verdict, examine

    findings = examine()
    for f in findings:
        print(f"{f.verdict.value:8} {f.check}: {f.what}" + (f"  ->  {f.mend}" if f.mend else ""))
    if any(f.verdict is Verdict.FAILURE for f in findings):
        raise SetupError("something is in the way; fix the failures above")


app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Schedules for TVM from a library of tuned kernels.",
)
for _command in (
    recommend,
    cli_measuring.tune,
    cli_measuring.collect,
    cli_measuring.remeasure,
    cli_measuring.calibrate,
    cli_learning.train,
    cli_learning.evaluate,
    cli_study.study,
    doctor,
):
    app.command()(_command)
for _name, _group in (("zoo", cli_zoo), ("models", cli_models), ("library", cli_library)):
    app.add_typer(_group.app, name=_name)


def recommend_main() -> None:
    """Entry point of `recommend`."""
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    single.command(name="recommend")(recommend)
    single()


def main() -> None:
    """Entry point of `recommender`."""
    app()
