"""A whole model inside a worker: run with the threads that were asked for."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np

from recommender.harness.contestant import LONG_SECONDS, Array, Run, come_to_rest, open_onnx, time_runs


def test_onnx_runtime_has_as_many_threads_as_it_is_given(small_path: Path) -> None:
    inputs = {"x": np.zeros((1, 4, 8, 8), np.float32)}

    def started(threads: int) -> int:
        before = len(list(Path("/proc/self/task").iterdir()))
        run = open_onnx(str(small_path), inputs, threads)
        run()
        return len(list(Path("/proc/self/task").iterdir())) - before

    started(1)  # the import of ONNX Runtime may start one of its own
    assert [started(1), started(3)] == [0, 2]  # one of them is the caller's own


def work_until(is_over: threading.Event) -> threading.Thread:
    def work() -> None:
        while not is_over.is_set():
            pass

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_rest_is_when_no_thread_works_any_more() -> None:
    is_over = threading.Event()
    thread = work_until(is_over)
    threading.Timer(0.4, is_over.set).start()
    come_to_rest(20.0)
    assert is_over.is_set()
    thread.join()


def test_a_process_that_never_rests_is_not_waited_for_without_end() -> None:
    is_over = threading.Event()
    thread = work_until(is_over)
    start = time.monotonic()
    come_to_rest(0.3)
    took = time.monotonic() - start
    is_over.set()
    thread.join()
    assert 0.3 <= took < 3


def counted(seconds: list[float]) -> Run:
    """A model whose runs take so long, one after the other."""
    waits = iter(seconds)

    def run() -> list[Array]:
        time.sleep(next(waits))
        return []

    return run


def test_a_first_run_counts_only_if_it_is_long() -> None:
    short = time_runs(counted([0.03, 0, 0]), 2)
    assert len(short) == 2
    assert max(short) < 0.03

    disturbed = time_runs(counted([1.5 * LONG_SECONDS, 0, 0]), 2)
    assert max(disturbed) < LONG_SECONDS

    (long,) = time_runs(counted([1.5 * LONG_SECONDS]), 1)
    assert long >= 1.5 * LONG_SECONDS
