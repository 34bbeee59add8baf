"""`recommender zoo`: well-known models to try things on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recommender.cli_options import Seed, guarded, sub_app

app = sub_app("Eleven well-known architectures, with random weights.")


@app.command("list")
@guarded
def zoo_list() -> None:
    """Print the names of the zoo's models."""
    from recommender.datasets.zoo import zoo_names

    print("\n".join(zoo_names()))


@app.command("export")
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
