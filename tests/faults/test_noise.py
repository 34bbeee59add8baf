"""Other work on the machine is seen, said, and decides nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.harness.load import LoadMeter
from recommender.job import beats, recommend
from recommender.progress import Reporter
from recommender.report import Report
from recommender.run import Options
from recommender.vocabulary import Outcome, Status

pytestmark = [pytest.mark.tvm, pytest.mark.faults]
seconds = st.lists(st.floats(1e-6, 1.0), min_size=3, max_size=9)


@given(seconds, seconds)
def test_of_two_at_most_one_beats_the_other_and_only_if_it_is_faster(a: list[float], b: list[float]) -> None:
    one, other = Outcome.of_times(a), Outcome.of_times(b)
    assert not (beats(one, other) and beats(other, one))
    assert not beats(one, one)
    if beats(one, other):
        assert one.median_seconds < other.median_seconds


@given(seconds, st.floats(0.5, 0.99), st.integers(0, 9))
def test_what_slows_both_in_a_turn_changes_nothing(a: list[float], ratio: float, slow: int) -> None:
    turns = [s * (1.8 if i == slow else 1.0) for i, s in enumerate(a)]
    assert beats(Outcome.of_times([ratio * s for s in turns]), Outcome.of_times(turns))


def test_within_the_spread_the_incumbent_stays() -> None:
    incumbent = Outcome.of_times([1.0, 1.0, 1.1, 1.2, 1.3])
    assert not beats(Outcome.of_times([0.95, 1.2, 1.0, 1.1, 1.2]), incumbent)
    assert beats(Outcome.of_times([0.5, 0.5, 0.5, 0.51, 0.52]), incumbent)
    assert not beats(Outcome.failure(Status.CRASHED, "signal"), incumbent)
    assert beats(incumbent, Outcome.failure(Status.CRASHED, "signal"))


@contextmanager
def busy_machine() -> Iterator[None]:
    """A spinning process for every core."""
    spin = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(spin) for _ in os.sched_getaffinity(0)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def spin_for(cpu_seconds: float) -> None:
    import time

    end = time.process_time() + cpu_seconds
    while time.process_time() < end:
        pass


def test_the_meter_counts_others_and_not_itself() -> None:
    meter = LoadMeter()
    spin_for(0.5)
    alone = meter.cores()
    with busy_machine():
        meter = LoadMeter()
        spin_for(0.5)
        crowded = meter.cores()
    assert crowded > 0.5
    assert crowded > alone + 0.3


class Listener(Reporter):
    """Keeps what was said, and makes the machine busy before anything is measured."""

    def __init__(self, busy: ExitStack) -> None:
        super().__init__(0)
        self.said: list[str] = []
        self.busy = busy

    def say(self, text: str, level: int = 1) -> None:
        self.said.append(text)
        if text.startswith("measuring "):
            self.busy.enter_context(busy_machine())


@pytest.mark.usefixtures("short_latencies")
def test_a_run_on_a_busy_machine_says_so(small_path: Path, library: Path, tmp_path: Path) -> None:
    options = Options(top_k=1, output=tmp_path / "out", store=library)
    with ExitStack() as busy:
        listener = Listener(busy)
        report: Report = recommend(small_path, options, listener)

    assert any("cores busy meanwhile" in text for text in listener.said)
    assert median(t.outcome.load for k in report.kernels for t in k.tried) > 0.5
    for kernel in report.kernels:
        assert kernel.best is not None
        assert kernel.fallback is not None
        if kernel.chosen.policy != "fallback":
            assert beats(kernel.best, kernel.fallback)
