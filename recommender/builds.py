"""Builds of a model, each compiled with its own schedules; checked and timed against each other."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from recommender.errors import SetupError, VerificationError
from recommender.harness.client import WorkerFailure
from recommender.harness.latency import Latency, compare_models
from recommender.run import Run
from recommender.session import PreparedModel
from recommender.vocabulary import Schedule

_LINKER_FAILED = "Compilation error:"
"""How TVM begins what it says of a linker; the linker's own words follow, then its command line."""
_SHOWN = 200
"""Characters of another program's line that are shown."""


def compile_builds(
    folder: Path, model: PreparedModel, wanted: Mapping[str, Mapping[str, Schedule]], run: Run
) -> dict[str, Path]:
    """A library in `folder` for each name, with the schedule it wants for each workload's key.

    Kernels that no schedule is wanted for stay as naive as TVM leaves them.

    Raises:
        SetupError: the C compiler cannot link them.
        VerificationError: TVM cannot compile the model with these schedules.
    """
    from recommender.compiler import export, hardware, setup
    from recommender.compiler.sketches import ReplayError

    target = hardware.target_from_json(run.machine.target)
    builds = {name: folder / f"build-{name}.so" for name in wanted}
    run.reporter.say(f"compiling {model.name} ({', '.join(builds)})")

    def compile_one(name: str) -> None:
        try:
            export.compile_model(model.lowered, model.spaces, wanted[name], target, builds[name])
        except (ReplayError, RuntimeError, FileNotFoundError) as exc:  # TVM's, LLVM's or the linker's
            raise _in_one_line(exc, name) from exc

    # TVM holds Python's lock for a part of the work only.
    with setup.native_silence(), ThreadPoolExecutor(run.machine.threads) as pool:
        list(pool.map(compile_one, builds))
    return builds


def _in_one_line(exc: Exception, build: str) -> SetupError | VerificationError:
    """What keeps a build from being compiled, of the pages that TVM and linkers print about it."""
    first, *others = [line.strip() for line in str(exc).splitlines() if line.strip()] or [type(exc).__name__]
    if isinstance(exc, FileNotFoundError) or first.startswith(_LINKER_FAILED):
        why = others[0] if others else first
        return SetupError(
            f"the compiled model cannot be linked ({why[:_SHOWN]}); set CXX to a C++ compiler that links, "
            "or unset it"
        )
    why = others[-1] if others else first
    return VerificationError(
        f"the model cannot be compiled with its {build} schedules ({why[:_SHOWN]}); run: recommender doctor"
    )


def compare_builds(
    builds: Mapping[str, Path],
    model: PreparedModel,
    run: Run,
    *,
    budget_seconds: float,
    time_reference: bool,
    until_clear: bool = False,
) -> dict[str, Latency]:
    """Outputs and latencies of builds, of ONNX Runtime too if asked; see `compare_models`.

    Raises:
        VerificationError: a build cannot be run.
    """
    import onnx

    run.reporter.say(f"comparing what {model.name} computes with ONNX Runtime")
    with tempfile.TemporaryDirectory(prefix="recommend-") as temporary:
        path = Path(temporary) / "model.onnx"
        onnx.save(model.onnx.proto, str(path), save_as_external_data=model.onnx.is_large)
        try:
            return compare_models(
                builds,
                path,
                model.onnx.inputs,
                threads=run.machine.threads,
                budget_seconds=budget_seconds,
                time_reference=time_reference,
                until_clear=until_clear,
            )
        except WorkerFailure as exc:
            raise VerificationError(
                f"ONNX Runtime or a build could not run the model ({str(exc).splitlines()[0][:_SHOWN]}); "
                "check that ONNX Runtime runs it"
            ) from exc
