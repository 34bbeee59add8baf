"""`recommender library`: the schedules that kernels can be given."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from recommender.cli_options import (
    Exclude,
    Quiet,
    StorePath,
    TargetOption,
    Threads,
    guarded,
    reporter_for,
    sub_app,
)

app = sub_app("The schedules that kernels can be given, shipped and yours.")


@app.command("list")
@guarded
def list_schedules(
    target: TargetOption = "host",
    threads: Threads = None,
    exclude_model: Exclude = None,
    store: StorePath = None,
) -> None:
    """Print how many schedules there are of which kernel class, and from which models."""
    from recommender.datasets.layers import SHIPPED, load_data, user_store_path
    from recommender.session import this_machine

    machine = this_machine(target, threads)
    data = load_data(SHIPPED, store or user_store_path())
    donors = data.donors(machine.hardware, machine.pipeline, exclude_model or [])
    print(f"{len(donors)} schedules for {machine.hardware.id}, pipeline {machine.pipeline}")
    classes = Counter(d.workload.kernel_class for d in donors)
    models = Counter(model for d in donors for model in d.origins)
    for title, counts in (("kernel class", classes), ("model", models)):
        print(f"\n{'schedules':>9}  {title}")
        for name, count in counts.most_common():
            print(f"{count:9}  {name}")


@app.command("import")
@guarded
def import_records(
    folder: Annotated[Path, typer.Argument(help="a MetaSchedule work directory")],
    name: Annotated[
        str | None, typer.Option("--name", help="the model they are of [default: the folder's name]")
    ] = None,
    target: TargetOption = "host",
    threads: Threads = None,
    store: StorePath = None,
    quiet: Quiet = False,
) -> None:
    """Turn records of a TVM 0.27 CPU search into schedules: the 8 fastest of each workload, measured here.

    The folder holds database_workload.json and database_tuning_record.json. Records of kernels that were
    lowered in another way serve as donors only.
    """
    from recommender.importing import import_database
    from recommender.session import this_machine
    from recommender.workspace import open_workspace

    machine = this_machine(target, threads)
    with open_workspace(machine, store, "import") as workspace:
        summary = import_database(
            folder, name or folder.resolve().name, workspace, reporter_for(quiet, False)
        )
    print(f"{summary.adopted} of {summary.records} records ran here and are in your store now")
    for reason, count in summary.reasons.most_common():
        print(f"{count:9}  {reason}")


@app.command("export")
@guarded
def export_store(
    output: Annotated[Path, typer.Argument(help="a new file")],
    store: StorePath = None,
) -> None:
    """Write all your own measurements into one file, which `--store` or a colleague can read."""
    from recommender.datasets.layers import must_exist, user_store_path
    from recommender.datasets.store import Store

    with Store(must_exist(store or user_store_path()), read_only=True) as opened:
        opened.copy_to(output)
    print(output)


@app.command()
@guarded
def add(
    other: Annotated[Path, typer.Argument(help="what `recommender library export` wrote")],
    store: StorePath = None,
) -> None:
    """Add another store's measurements to your own; where both measured the same, yours stay."""
    from recommender.datasets.layers import must_exist, user_store_path
    from recommender.datasets.store import Store

    with Store(must_exist(other), read_only=True) as source, Store(store or user_store_path()) as opened:
        print(f"{opened.add_all(source)} measurements added")


@app.command()
@guarded
def prune(target: TargetOption = "host", threads: Threads = None, store: StorePath = None) -> None:
    """Drop your own measurements that no run can use any more: those of other pipelines."""
    from recommender.datasets.layers import must_exist, user_store_path
    from recommender.datasets.store import Store
    from recommender.session import this_machine

    machine = this_machine(target, threads)
    with Store(must_exist(store or user_store_path())) as opened:
        print(f"{opened.drop_other_pipelines(machine.pipeline)} measurements dropped")
