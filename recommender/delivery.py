"""The last steps of a run: compile, verify, time the whole model, and write the output folder at once."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from recommender.builds import compare_builds, compile_builds
from recommender.compiler import setup
from recommender.errors import VerificationError
from recommender.harness.latency import Latency
from recommender.output_folder import OutputFolder
from recommender.report import KernelReport, Report, markdown, report_json
from recommender.run import Choice, Options, Run, chosen_schedules, fallback_schedules
from recommender.session import Machine, PreparedModel
from recommender.vocabulary import Json, Schedule

_BUDGET_SECONDS = 8.0
_TVM = "apache-tvm"
_RUN_PY = '''\
"""Runs the compiled model on random inputs. It needs apache-tvm {tvm}, and nothing of the recommender.

TVM takes half of the cores unless TVM_NUM_THREADS is set before it is imported.
"""

import os

os.environ.setdefault("TVM_NUM_THREADS", "{threads}")

from pathlib import Path

import numpy as np
import tvm
from tvm import relax

inputs = {{
{inputs}
}}
library = tvm.runtime.load_module(str(Path(__file__).parent / "model.so"))
machine = relax.VirtualMachine(library, tvm.cpu())
outputs = machine["main"](*map(tvm.runtime.tensor, inputs.values()))
for output in [outputs] if hasattr(outputs, "numpy") else outputs:
    print(output.shape, output.numpy().ravel()[:5])
'''


def deliver(
    folder: OutputFolder,
    model: PreparedModel,
    choices: Sequence[Choice],
    run: Run,
) -> Report:
    """Compile the model with the chosen schedules, verify and time it, and write everything.

    The build with fallback schedules is handed over instead if it is the faster one, or the only
    one that computes the right thing; the report says so.

    Raises:
        VerificationError: neither build computes what ONNX Runtime computes.
        SetupError: the builds cannot be linked.
        OutputError: the folder cannot be written.
    """
    staged = folder.stage()
    try:
        builds = compile_builds(staged, model, _wanted(choices, run.options.baselines), run)
        run.clock.lap("compile")
        latencies = compare_builds(
            builds,
            model,
            run,
            budget_seconds=_BUDGET_SECONDS if run.options.measure else 0.0,
            time_reference="ort" in run.options.baselines,
            until_clear=not run.options.baselines,
        )
        delivered = _better(latencies)
        run.clock.lap("verify")
        run.reporter.say(f"writing {folder.path}")
        _write(staged, builds, delivered, model, choices, run.machine)
        run.clock.lap("write")  # of the two files that are left, one holds the times of the stages
        report = _report(folder, model, choices, run, latencies, delivered)
        (staged / "report.json").write_text(json.dumps(report_json(report), indent=1) + "\n")
        (staged / "report.md").write_text(markdown(report))
        folder.put(staged)
        return report
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _wanted(choices: Sequence[Choice], baselines: Sequence[str]) -> dict[str, dict[str, Schedule]]:
    wanted = {"chosen": chosen_schedules(choices), "fallback": fallback_schedules(choices)}
    return {**wanted, "untuned": {}} if "untuned" in baselines else wanted


def _better(latencies: Mapping[str, Latency]) -> str:
    """The faster of the two builds that compute the right thing.

    Raises:
        VerificationError: neither does.
    """
    right = {name: latencies[name] for name in ("chosen", "fallback") if latencies[name].is_right}
    if not right:
        raise _refused(latencies["chosen"])
    return min(right, key=lambda name: (right[name].median_seconds, name))


def _refused(chosen: Latency) -> VerificationError:
    """Why there is nothing to hand over, and what to do."""
    if not chosen.ran:
        why = chosen.reason.partition("\n")[0]
        return VerificationError(f"the compiled model cannot be used ({why}); run: recommender doctor")
    gap = "in values that are not finite"
    if math.isfinite(chosen.difference):
        gap = f"by {chosen.difference:.1e} of its largest output (allowed are {chosen.allowed:.1e})"
    return VerificationError(
        f"the compiled model differs from ONNX Runtime {gap}; if you gave --no-measure, leave it out, and "
        "each kernel is checked; else the weights may be badly scaled, or it is a mistake of ours"
    )


def _report(
    folder: OutputFolder,
    model: PreparedModel,
    choices: Sequence[Choice],
    run: Run,
    latencies: dict[str, Latency],
    delivered: str,
) -> Report:
    machine, options = run.machine, run.options
    return Report(
        model=model.name,
        folder=str(folder.path),
        hardware=machine.hardware,
        target=machine.target,
        pipeline=machine.pipeline,
        inputs=tuple(model.onnx.inputs),
        options=_options_json(options),
        versions={name: metadata.version(name) for name in (_TVM, "apache-tvm-ffi", "numpy")},
        stages_seconds=dict(run.clock.stages) if options.measure else {},
        kernels=tuple(_kernel_report(choice) for choice in choices),
        latencies=latencies,
        delivered=delivered,
    )


def _kernel_report(choice: Choice) -> KernelReport:
    """One row of the report."""
    kernel, chosen = choice.ranked.kernel, choice.chosen
    is_kept = chosen.schedule == choice.ranked.fallback.schedule
    rank = None if is_kept else [c.schedule for c in choice.ranked.candidates].index(chosen.schedule) + 1
    return KernelReport(
        name=kernel.name,
        workload=kernel.workload.key,
        kernel_class=kernel.workload.kernel_class,
        extents=kernel.workload.extents,
        calls=kernel.calls,
        candidates=len(choice.ranked.candidates),
        fallback_schedule=choice.ranked.fallback.schedule,
        fallback=choice.fallback,
        best=choice.best,
        chosen=chosen,
        rank=rank,
        tried=choice.tried,
        explanation=choice.explanation,
        first_fallback=choice.first_fallback,
        second_bank=choice.second_bank,
    )


def _options_json(options: Options) -> Json:
    return {
        "top_k": options.top_k,
        "measure": options.measure,
        "exclude_models": list(options.exclude_models),
        "input_shapes": {name: list(shape) for name, shape in options.input_shapes.items()},
        "dims": options.dims,
        "seed": options.seed,
    }


def _write(
    staged: Path,
    builds: Mapping[str, Path],
    delivered: str,
    model: PreparedModel,
    choices: Sequence[Choice],
    machine: Machine,
) -> None:
    """The build that is handed over, its schedules as a database, and the lines that run it."""
    builds[delivered].replace(staged / "model.so")
    for path in staged.glob("build-*.so"):
        path.unlink()
    records = _records(choices, is_fallback=delivered == "fallback")
    _write_database(staged, model, records, machine)
    (staged / "run.py").write_text(_script(model, machine))


def _records(choices: Sequence[Choice], *, is_fallback: bool) -> dict[str, tuple[Schedule, float]]:
    """The schedule of each workload's key in the build that is handed over, with its seconds."""
    records = {}
    for choice in choices:
        candidate = choice.ranked.fallback if is_fallback else choice.chosen
        outcome = choice.fallback if is_fallback else choice.best
        if choice.fallback_works if is_fallback else choice.chosen_works:
            seconds = outcome.median_seconds if outcome else 1.0
            records[choice.ranked.kernel.workload.key] = (candidate.schedule, seconds)
    return records


def _write_database(
    staged: Path, model: PreparedModel, records: Mapping[str, tuple[Schedule, float]], machine: Machine
) -> None:
    from recommender.compiler import export, hardware

    target = hardware.target_from_json(machine.target)
    with setup.native_silence():
        export.write_database(staged, model.spaces, records, target)


def _script(model: PreparedModel, machine: Machine) -> str:
    """The lines that run the compiled model."""
    lines = "\n".join(
        f"    {json.dumps(i.name)}: np.zeros({i.shape}, {i.dtype!r}),"
        if i.dtype.startswith("int")
        else f"    {i.name!r}: np.random.default_rng(0).standard_normal({i.shape}).astype({i.dtype!r}),"
        for i in model.onnx.inputs
    )
    return _RUN_PY.format(tvm=metadata.version(_TVM), threads=machine.threads, inputs=lines)
