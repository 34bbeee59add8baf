"""Times whole models against each other, interleaved, and compares what they compute.

Runs inside a worker: nothing else of the project is loaded there that could disturb the timing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import onnxruntime
import tvm
from numpy.typing import NDArray
from tvm import relax

from recommender.compiler.frontend import ModelInput

Arrays = Mapping[str, NDArray[np.generic]]
_SETTLE_SECONDS = 0.05


@dataclass(frozen=True)
class Latency:
    """Raw seconds of one inference (none if it was not to be timed), and how far the outputs are off.

    `difference` is the largest gap to ONNX Runtime as a share of the output's largest magnitude.
    """

    seconds: tuple[float, ...]
    difference: float = 0.0

    @property
    def median_seconds(self) -> float:
        """Median of the raw times; 0 when there are none."""
        return median(self.seconds) if self.seconds else 0.0


def compare_models(
    libraries: Mapping[str, str],
    onnx_path: str,
    inputs: Sequence[ModelInput],
    budget_seconds: float,
    threads: int,
    time_ort: bool,
) -> dict[str, Latency]:
    """Run compiled models and ONNX Runtime on the same inputs; time them in turns.

    Without a budget nothing is timed. ONNX Runtime appears under the name "ort" if it is to be timed.
    """
    session = _session(onnx_path, threads)
    arrays, expected = _reference(session, inputs)
    runs: dict[str, Callable[[], object]] = {}
    differences = {"ort": 0.0}
    for name, path in libraries.items():
        runs[name], outputs = _open(path, arrays)
        differences[name] = _worst_difference(outputs, expected)
    if time_ort:
        runs["ort"] = lambda: session.run(None, arrays)
    seconds = _interleave(runs, budget_seconds) if budget_seconds else {name: [] for name in runs}
    return {name: Latency(tuple(seconds[name]), differences[name]) for name in runs}


def _reference(
    session: onnxruntime.InferenceSession, inputs: Sequence[ModelInput]
) -> tuple[dict[str, NDArray[np.generic]], list[NDArray[np.generic]]]:
    """Inputs and what ONNX Runtime makes of them; integers are indices into tables of unknown size."""
    for highest in (100, 2):
        arrays = {i.name: _random_input(i, highest) for i in inputs}
        try:
            return arrays, session.run(None, arrays)
        except Exception:  # ORT raises bare Exception subclasses; an index may be out of range
            continue
    arrays = {i.name: _random_input(i, 1) for i in inputs}
    return arrays, session.run(None, arrays)


def _random_input(model_input: ModelInput, highest: int) -> NDArray[np.generic]:
    rng = np.random.default_rng(0)
    if model_input.dtype.startswith("float"):
        return rng.standard_normal(model_input.shape, dtype=np.float32).astype(model_input.dtype)
    return rng.integers(0, highest, model_input.shape).astype(model_input.dtype)


def _session(onnx_path: str, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(onnx_path, options, providers=["CPUExecutionProvider"])


def _open(path: str, inputs: Arrays) -> tuple[Callable[[], object], list[NDArray[np.generic]]]:
    machine = relax.VirtualMachine(tvm.runtime.load_module(path), tvm.cpu())
    tensors = [tvm.runtime.tensor(value) for value in inputs.values()]
    function = machine["main"]
    result = function(*tensors)
    outputs = [result] if hasattr(result, "numpy") else list(result)
    return lambda: function(*tensors), [output.numpy() for output in outputs]


def _worst_difference(outputs: list[NDArray[np.generic]], expected: list[NDArray[np.generic]]) -> float:
    worst = 0.0
    for actual, reference in zip(outputs, expected, strict=True):
        if actual.shape != reference.shape or not np.array_equal(np.isfinite(actual), np.isfinite(reference)):
            return float("inf")
        finite = np.isfinite(reference)
        scale = float(np.max(np.abs(reference[finite]), initial=0.0)) or 1.0
        gap = np.abs(actual[finite].astype(np.float64) - reference[finite])
        worst = max(worst, float(np.max(gap, initial=0.0)) / scale)
    return worst


def _interleave(runs: Mapping[str, Callable[[], object]], budget_seconds: float) -> dict[str, list[float]]:
    """Rounds of A B A B ...; each turn warms up once and pauses first, so that the other's threads rest."""
    first = {name: _time(run) for name, run in runs.items()}
    turn = {name: max(1, min(10, int(0.1 / max(seconds, 1e-5)))) for name, seconds in first.items()}
    round_seconds = sum((turn[n] + 1) * first[n] + _SETTLE_SECONDS for n in runs)
    rounds = max(3, min(15, int(budget_seconds / round_seconds)))
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            time.sleep(_SETTLE_SECONDS)
            if first[name] < 1:
                run()
            seconds[name] += [_time(run) for _ in range(turn[name])]
    return seconds


def _time(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
