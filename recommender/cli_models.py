"""`recommender models`: the rankers that a user has."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from recommender.cli_options import StorePath, TargetOption, Threads, guarded, sub_app
from recommender.errors import RecommenderError

app = sub_app("The rankers you have, shipped and yours.")
Name = Annotated[str, typer.Argument(help="a ranker's name, see: recommender models list")]


@app.command("list")
@guarded
def list_rankers() -> None:
    """Print all rankers; the one in use has a star."""
    from recommender.models.artefact import load_ranker
    from recommender.models.registry import active_name, ranker_names, ranker_stem

    for name in ranker_names():
        star = "*" if name == active_name() else " "
        try:
            _, card = load_ranker(ranker_stem(name))
            what = f"{card.rows} outcomes of {card.workloads} kernels, {card.objective}, {card.trained_at}"
        except RecommenderError as exc:
            what = f"cannot be used: {exc}"
        print(f"{star} {name:24} {what}")


@app.command()
@guarded
def show(name: Name) -> None:
    """Print what is known about a ranker: features, data, metrics, versions."""
    from recommender.models.artefact import load_ranker
    from recommender.models.registry import ranker_stem

    print(json.dumps(asdict(load_ranker(ranker_stem(name))[1]), indent=1, sort_keys=True))


@app.command()
@guarded
def use(name: Name) -> None:
    """Use a ranker from now on; `shipped` goes back to the one that came with the package."""
    from recommender.models.registry import use_ranker

    use_ranker(name)
    print(f"in use from now on: {name}")


@app.command()
@guarded
def compare(
    old: Name,
    new: Name,
    target: TargetOption = "host",
    threads: Threads = None,
    store: StorePath = None,
) -> None:
    """Compare two rankers on your own outcomes of this machine (on all of this machine if you have none).

    Either may have been trained on what it is judged by here; held-out figures are in `show`.
    """
    from recommender.datasets.layers import SHIPPED, load_data, user_store_path
    from recommender.models.artefact import load_ranker
    from recommender.models.gate import compare_rankers
    from recommender.models.registry import ranker_stem
    from recommender.models.training import training_set
    from recommender.session import this_machine

    machine = this_machine(target, threads)
    own_path = store or user_store_path()
    data = load_data(SHIPPED, own_path)
    mine = {m.workload for m in load_data(own_path).measurements if m.setting == machine.setting}
    judged = mine or set(data.workloads)
    rows = training_set(data, [machine.hardware], machine.pipeline, workloads=judged)
    first, second = (load_ranker(ranker_stem(name))[0] for name in (old, new))
    verdict = compare_rankers(first, second, rows, machine.hardware.id, judged)
    if verdict.old_regret_at_1 is None or verdict.new_regret_at_1 is None:
        print(f"nothing to compare by; measure more on {verdict.machine}: recommender calibrate")
        return
    print(f"regret@1 on {verdict.workloads} kernels of {verdict.machine}")
    for name, value in ((old, verdict.old_regret_at_1), (new, verdict.new_regret_at_1)):
        print(f"  {name:24} {100 * value:6.1f} %")


@app.command("export")
@guarded
def export_one(
    name: Name,
    output: Annotated[Path | None, typer.Option("-o", help="[default: NAME.zip]")] = None,
    force: Annotated[bool, typer.Option("--force", help="replace an existing file")] = False,
) -> None:
    """Write a ranker into a zip archive, for another machine."""
    from recommender.models.registry import export_ranker
    from recommender.writing import new_file

    archive = output or Path(f"{name}.zip")
    with new_file(archive, force=force) as partial:
        export_ranker(name, partial)
    print(archive)


@app.command("import")
@guarded
def import_one(
    archive: Annotated[Path, typer.Argument(help="what `recommender models export` wrote")],
    name: Annotated[str | None, typer.Option("--name", help="[default: the archive's name]")] = None,
) -> None:
    """Add a ranker from an archive; `models use` puts it to use."""
    from recommender.models.registry import import_ranker

    import_ranker(archive, name or archive.stem)
    print(f"imported; to use it: recommender models use {name or archive.stem}")
