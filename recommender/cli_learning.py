"""`recommender train` and `evaluate`: what learns from stored outcomes, and judges what was learned."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recommender.cli_options import (
    Exclude,
    Output,
    Quiet,
    Seed,
    StorePath,
    TargetOption,
    Threads,
    guarded,
    reporter_for,
)
from recommender.errors import SetupError, UsageError

if TYPE_CHECKING:
    from recommender.evaluation import Evaluation
    from recommender.vocabulary import Json


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
    """Train the ranker on the shipped outcomes and your own.

    It is used from then on, unless it is worse than the one in use by more than half a point of regret.
    """
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


@guarded
def evaluate(
    measure: Annotated[
        list[str] | None,
        typer.Option("--measure", help="first score this whole model on the machine; repeatable"),
    ] = None,
    top_k: Annotated[int, typer.Option("--top-k", help="with --measure: candidates per kernel")] = 5,
    seed: Seed = 0,
    store: Annotated[
        Path | None,
        typer.Option(
            "--store", help="outcomes to judge by [default: the shipped ones]; with --measure, beside these"
        ),
    ] = None,
    output: Output = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the summary as JSON")] = False,
    quiet: Quiet = False,
) -> None:
    """Judge rankers and library on stored outcomes.

    Each model is judged by what was learned without it. Nothing is measured unless --measure asks for it.
    """
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
    judged = [SHIPPED, store] if measure and store else [must_exist(store or SHIPPED)]
    data = load_data(*judged)
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
