"""What all commands share: the spelling of options, and how errors reach the shell."""

from __future__ import annotations

import functools
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, ParamSpec

import typer

from recommender.errors import ModelError, OutputError, RecommenderError
from recommender.progress import Reporter

P = ParamSpec("P")
_INTERRUPTED = 130

Models = Annotated[list[str], typer.Argument(help="ONNX files, or names of zoo models")]
StorePath = Annotated[
    Path | None, typer.Option("--store", help="your measurements [default: outcomes.db in the data folder]")
]
StudiedStore = Annotated[
    Path | None, typer.Option("--store", help="the outcomes to look at [default: the shipped ones]")
]
TargetOption = Annotated[
    str, typer.Option("--target", help="host, JSON, @file.json, a TVM tag or 'llvm -mcpu=...'")
]
Threads = Annotated[
    int | None, typer.Option("--threads", help="threads to run with [default: all usable cores]")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="random seed")]
Exclude = Annotated[
    list[str] | None,
    typer.Option("--exclude-model", help="leave out what only this model gave; repeatable"),
]
KernelNames = Annotated[
    list[str] | None, typer.Option("--kernel", help="only kernels of such names, as 'mean*'; repeatable")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="no progress, no remarks")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="say more")]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="write the result into this folder")]


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """An expected failure of a command is one line on stderr and an exit code of its kind.

    Memory of the command's own process is bounded, so that a model that asks for more than there is (a
    constant of a trillion elements) is such a failure, and no reason for the system to kill something.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        _bound_memory()
        try:
            command(*args, **kwargs)
        except RecommenderError as exc:
            print(f"error: {exc}", file=sys.stderr)
            raise typer.Exit(exc.exit_code) from exc
        except OSError as exc:
            print(f"error: {exc}; check the path, its permissions and the space left", file=sys.stderr)
            raise typer.Exit(OutputError.exit_code) from exc
        except MemoryError as exc:
            print("error: there is not enough memory; use a machine with more", file=sys.stderr)
            raise typer.Exit(ModelError.exit_code) from exc
        except KeyboardInterrupt as exc:
            print("interrupted; finished measurements are kept", file=sys.stderr)
            raise typer.Exit(_INTERRUPTED) from exc

    return run


def _bound_memory() -> None:
    """Let this process have what is available now, and no more; only Linux says how much that is."""
    if sys.platform != "linux":
        return
    lines = Path("/proc/meminfo").read_text().splitlines()
    available = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if soft == resource.RLIM_INFINITY or soft > available:
        resource.setrlimit(resource.RLIMIT_DATA, (available, hard))


def reporter_for(quiet: bool, verbose: bool) -> Reporter:
    """What `--quiet` and `--verbose` ask for."""
    return Reporter(0 if quiet else 2 if verbose else 1)


def sub_app(help_text: str) -> typer.Typer:
    """A group of commands below `recommender`."""
    return typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=help_text)
