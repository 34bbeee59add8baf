"""Builds of a model, each compiled with its own schedules; checked and timed against each other."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from recommender.errors import VerificationError
from recommender.harness.client import WorkerFailure
from recommender.harness.latency import Latency, compare_models
from recommender.run import Run
from recommender.session import PreparedModel
from recommender.vocabulary import Schedule


def compile_builds(
    folder: Path, model: PreparedModel, wanted: Mapping[str, Mapping[str, Schedule]], run: Run
) -> dict[str, Path]:
    """A library in `folder` for each name, with the schedule it wants for each workload's key.

    Kernels that no schedule is wanted for stay as naive as TVM leaves them.
    """
    import tvm

    from recommender.compiler import export, hardware, setup
    from recommender.compiler.sketches import ReplayError

    target = hardware.target_from_json(run.machine.target)
    builds = {name: folder / f"build-{name}.so" for name in wanted}
    run.reporter.say(f"compiling {model.name} ({', '.join(builds)})", level=2)

    def compile_one(name: str) -> None:
        try:
            export.compile_model(model.lowered, model.spaces, wanted[name], target, builds[name])
        except (ReplayError, RuntimeError, tvm.error.InternalError) as exc:  # TVM's, LLVM's or the linker's
            raise VerificationError(
                f"the model cannot be compiled with its {name} schedules ({exc}); run: recommender doctor"
            ) from exc

    # TVM holds Python's lock for a part of the work only.
    with setup.native_silence(), ThreadPoolExecutor(run.machine.threads) as pool:
        list(pool.map(compile_one, builds))
    return builds


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

    run.reporter.say(f"comparing builds of {model.name}", level=2)
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
                f"ONNX Runtime or a build could not run the model ({exc}); check that ONNX Runtime runs it"
            ) from exc
