"""A whole model inside a worker: run with the threads that were asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from recommender.harness.contestant import open_onnx


def test_onnx_runtime_has_as_many_threads_as_it_is_given(small_path: Path) -> None:
    inputs = {"x": np.zeros((1, 4, 8, 8), np.float32)}

    def started(threads: int) -> int:
        before = len(list(Path("/proc/self/task").iterdir()))
        run = open_onnx(str(small_path), inputs, threads)
        run()
        return len(list(Path("/proc/self/task").iterdir())) - before

    assert [started(1), started(3)] == [0, 2]  # one of them is the caller's own
