"""`recommender study`: cost-model studies on stored outcomes."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import Annotated, cast

import typer

from recommender.cli_options import Output, Quiet, Seed, StudiedStore, guarded, reporter_for
from recommender.errors import SetupError, UsageError


@guarded
def study(
    subjects: Annotated[
        list[str],
        typer.Argument(help="rankers, objectives, features, data, k, transfer, hardware; or: all"),
    ],
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="processes that work side by side")] = 1,
    backend: Annotated[str, typer.Option("--backend", help="of joblib: loky, threading or dask")] = "loky",
    model: Annotated[
        list[str] | None, typer.Option("--model", help="use outcomes of these models only; repeatable")
    ] = None,
    output: Output = None,
    store: StudiedStore = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Replay stored outcomes and say what they show.

    Nothing is measured. What each subject asks is in docs/studies.md.
    """
    try:
        from recommender.studies import StudyInput, named_subjects, run_study
        from recommender.studies.drawing import draw
        from recommender.studies.table import Backend
    except ImportError as exc:
        raise SetupError(f"studies need {exc.name}; run: pip install '.[study]' (in the repository)") from exc
    from recommender.datasets.layers import SHIPPED, load_data, must_exist

    if backend not in ("loky", "threading", "dask"):
        raise UsageError(f"--backend is loky, threading or dask, but got {backend}")
    if backend == "dask" and find_spec("distributed") is None:
        raise SetupError("--backend dask needs a package; run: pip install 'dask[distributed]'")
    names = named_subjects(subjects)
    data = load_data(must_exist(store or SHIPPED))
    given = StudyInput(data.of_models(model) if model else data, seed, jobs, cast(Backend, backend))
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
    with reporter_for(quiet, False).steps("studying", len(names)) as steps:
        for name in names:
            result = run_study(name, given)
            steps.advance(name)
            if output is None:
                print(result.markdown())
                continue
            (output / f"{name}.md").write_text(result.markdown())
            page = {
                "subject": name,
                "finding": result.finding,
                "source": result.source,
                "rows": result.rows,
                "raw": result.raw,
            }
            (output / f"{name}.json").write_text(json.dumps(page, allow_nan=False) + "\n")
            draw(result, output)
            print(f"{name}: {result.finding}")
