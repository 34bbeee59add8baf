"""What people read of a run in which something could not be run."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from recommender.harness.latency import Latency
from recommender.report import KernelReport, Report, handed_over, latency_lines, markdown, report_json
from recommender.run import Choice, Ranked
from recommender.vocabulary import Candidate, Kernel, Outcome, Schedule, Status
from tests.datasets.test_store import HARDWARE
from tests.recommender.test_candidates import matmul

WORKLOAD = matmul(8, 8, 8)
SKETCH = WORKLOAD.sketches[0]
FALLBACK, OTHER = (
    Candidate(WORKLOAD, Schedule(SKETCH, ((8 // n, 1, 1, n), (8, 1, 1, 1), (8, 1), 0)), "fallback")
    for n in (1, 2)
)
FAST, FAILED = Outcome.of_times([1e-3]), Outcome.failure(Status.CRASHED, "SIGSEGV")
DEAD = Latency((), math.inf)


def report(**latencies: Latency) -> Report:
    kernel = KernelReport("k", WORKLOAD.key, "matmul", (8, 8, 8), 1, 2, FAILED, FAST, OTHER, 1, ())
    return Report("m", "m.rec", HARDWARE, {}, "p", (), {}, {}, {"rank": 1.0}, (kernel,), latencies)


def test_a_build_that_could_not_be_run_is_said_and_is_valid_json() -> None:
    page = report(chosen=Latency((1e-3,)), fallback=DEAD)

    assert latency_lines(page)[1].endswith("could not be run")
    assert "could not be run" in markdown(page)
    assert json.loads(json.dumps(report_json(page), allow_nan=False))["delivered"] == "chosen"


def test_the_reason_for_handing_over_the_fallback_is_the_true_one() -> None:
    slow, fast = Latency((2e-3,)), Latency((1e-3,))
    assert "was faster" in handed_over(report(chosen=slow, fallback=fast))
    assert "could not be run" in handed_over(report(chosen=DEAD, fallback=fast))
    assert "computes something else" in handed_over(report(chosen=replace(fast, difference=0.1)))
    assert latency_lines(report(chosen=DEAD, fallback=fast))[1].endswith("1.00 ms")


def test_a_fallback_that_failed_has_no_speedup_over_it() -> None:
    assert report().kernels[0].speedup is None
    assert "| - | 1.000 | - |" in markdown(report())


@pytest.mark.parametrize(
    ("chosen", "fallback", "works"),
    [(OTHER, FAILED, True), (FALLBACK, FAILED, False), (FALLBACK, FAST, True), (FALLBACK, None, True)],
)
def test_what_failed_is_not_compiled(chosen: Candidate, fallback: Outcome | None, works: bool) -> None:
    ranked = Ranked(Kernel("k", WORKLOAD, 1), FALLBACK, (OTHER, FALLBACK), (0.0, 1.0))

    choice = Choice(ranked, chosen, fallback, None)

    assert choice.chosen_works == works
    assert choice.fallback_works == (fallback is not FAILED)
