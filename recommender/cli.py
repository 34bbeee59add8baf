"""The command line: turns options into calls of the library and errors into one line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.command()
def tune(
    models: Annotated[list[str], typer.Argument(help="ONNX files, or names from the zoo")],
    store: Annotated[Path, typer.Option(help="where the trials go")],
    trials: Annotated[int, typer.Option(min=1, help="trials per kernel")] = 64,
    target: Annotated[str, typer.Option()] = "host",
    threads: Annotated[int | None, typer.Option()] = None,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Search schedules for the kernels of models with MetaSchedule, and keep every trial."""
    from recommender import session, tuning
    from recommender.datasets.store import Store
    from recommender.harness.measurer import Measurer
    from recommender.progress import Reporter

    machine = session.this_machine(target, threads)
    prepared = [session.prepare_named(name, machine) for name in models]
    with Store(store) as opened, Measurer(machine.target, machine.threads) as measurer:
        for model in prepared:
            tuning.register(opened, model, machine)
        options = tuning.TuneOptions(trials=trials, seed=seed)
        tuning.tune(prepared, machine, opened, measurer, options, Reporter())


@app.command()
def doctor() -> None:
    """Check the installation."""


def main() -> None:
    """Entry point of `recommender`."""
    app()
