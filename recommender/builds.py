"""Builds of a model, each compiled with its own schedules; checked and timed against each other."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
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
    from recommender.compiler import export, hardware, setup

    target = hardware.target_from_json(run.machine.target)
    builds = {}
    for name, schedules in wanted.items():
        run.reporter.say(f"compiling {model.name} ({name})", level=2)
        builds[name] = folder / f"build-{name}.so"
        with setup.native_silence():
            export.compile_model(model.lowered, model.spaces, schedules, target, builds[name])
    return builds


def compare_builds(
    builds: Mapping[str, Path],
    model: PreparedModel,
    run: Run,
    *,
    budget_seconds: float,
    time_reference: bool,
) -> dict[str, Latency]:
    """Outputs and latencies of builds, of ONNX Runtime too if asked; without a budget, outputs only.

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
            )
        except WorkerFailure as exc:
            raise VerificationError(f"the compiled model cannot be run: {exc}") from exc
