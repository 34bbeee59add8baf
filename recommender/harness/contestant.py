"""A whole model inside a worker of its own: opened once, run on given inputs, timed on demand."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.generic]
Run: TypeAlias = Callable[[], list[Array]]
LONG_SECONDS = 0.1
"""A single run that takes so long has none before it: twice as many turns are worth more."""
_REST_STEP_SECONDS = 0.05
_REST_SHARE = 0.1
"""A process that uses less of a core than this through such a step is at rest."""


def open_library(path: str, inputs: Mapping[str, Array]) -> Run:
    """A model that TVM compiled."""
    import tvm
    from tvm import relax

    machine = relax.VirtualMachine(tvm.runtime.load_module(path), tvm.cpu())
    tensors = [tvm.runtime.tensor(value) for value in inputs.values()]
    function = machine["main"]

    def run() -> list[Array]:
        result = function(*tensors)
        return [result.numpy()] if hasattr(result, "numpy") else [r.numpy() for r in result]

    return run


def open_onnx(path: str, inputs: Mapping[str, Array], threads: int, optimised: bool = True) -> Run:
    """An ONNX model under ONNX Runtime, at its default level of optimisation or as it is written."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, dict(inputs))


def time_runs(run: Run, count: int) -> list[float]:
    """Seconds of each of `count` runs. One more comes first and does not count, but for a single long one."""
    first = _seconds(run)
    if first > LONG_SECONDS and count == 1:
        return [first]
    return [_seconds(run) for _ in range(count)]


def come_to_rest(within_seconds: float) -> None:
    """Wait until no thread of this process works any more, but no longer than that.

    TVM's idle threads spin through a number of steps, which takes 0.2 s on one machine and longer on
    slower ones (docs/decisions.md); they are at rest when the process's own clock stands still.
    """
    deadline = time.perf_counter() + within_seconds
    while time.perf_counter() < deadline:
        start, worked = time.perf_counter(), time.process_time()
        time.sleep(_REST_STEP_SECONDS)
        if time.process_time() - worked < _REST_SHARE * (time.perf_counter() - start):
            return


def _seconds(run: Run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
