"""What people read of a run in which something could not be run."""

from __future__ import annotations

import io
import json
import math
import re
from dataclasses import replace

import pytest
from rich.console import Console

from recommender.harness.latency import Latency
from recommender.report import (
    KernelReport,
    Report,
    SecondBank,
    handed_over,
    latency_lines,
    markdown,
    print_report,
    report_json,
)
from recommender.run import Choice, Ranked
from recommender.vocabulary import Candidate, Donor, Kernel, Outcome, Schedule, Status
from tests.datasets.test_store import HARDWARE
from tests.recommender.test_candidates import matmul

WORKLOAD = matmul(8, 8, 8)
SKETCH = WORKLOAD.sketches[0]
FALLBACK, OTHER = (
    Candidate(WORKLOAD, Schedule(SKETCH, ((8 // n, 1, 1, n), (8, 1, 1, 1), (8, 1), 0)), "fallback")
    for n in (1, 2)
)
FAST, FAILED = Outcome.of_times([1e-3]), Outcome.failure(Status.CRASHED, "SIGSEGV")
DEAD, NOT_FINITE = Latency((), math.inf, reason="SIGSEGV"), Latency((), math.inf)


def report(**latencies: Latency) -> Report:
    kernel = KernelReport(
        name="k",
        workload=WORKLOAD.key,
        kernel_class="matmul",
        extents=(8, 8, 8),
        calls=1,
        candidates=2,
        fallback_schedule=FALLBACK.schedule,
        fallback=FAILED,
        best=FAST,
        chosen=OTHER,
        rank=1,
        tried=(),
    )
    return Report("m", "m.rec", HARDWARE, {}, "p", (), {}, {}, {"rank": 1.0}, (kernel,), latencies)


def test_a_build_that_could_not_be_run_is_said_and_is_valid_json() -> None:
    page = report(chosen=Latency((1e-3,)), fallback=DEAD)

    assert latency_lines(page)[1].endswith("could not be used")
    assert "could not be used" in markdown(page)
    assert json.loads(json.dumps(report_json(page), allow_nan=False))["delivered"] == "chosen"


def test_a_build_that_ran_and_gave_no_numbers_is_not_said_to_have_not_run() -> None:
    page = report(chosen=NOT_FINITE, fallback=Latency((1e-3,)))

    assert latency_lines(page)[0].endswith("gives values that are not finite")
    assert "computes something else" in handed_over(page)
    saved = json.loads(json.dumps(report_json(page), allow_nan=False))["latencies"]["chosen"]
    assert (saved["difference_from_ort"], saved["reason"]) == (None, None)


def test_the_reason_for_handing_over_the_fallback_is_the_true_one() -> None:
    slow, fast = Latency((2e-3,)), Latency((1e-3,))
    assert "was faster" in handed_over(report(chosen=slow, fallback=fast))
    assert "could not be used" in handed_over(report(chosen=DEAD, fallback=fast))
    assert "computes something else" in handed_over(report(chosen=replace(fast, difference=0.1)))
    assert latency_lines(report(chosen=DEAD, fallback=fast))[1].endswith("1.00 ms")


def test_a_fallback_that_failed_has_no_speedup_over_it() -> None:
    assert report().kernels[0].speedup is None
    assert "| - | 1.000 | - |" in markdown(report())


def test_names_are_printed_as_they_are() -> None:
    """Rich takes [v2] for markup and :star: for a star; Markdown takes a bar for the end of a cell."""
    name = "net[v2]:star:|1"
    donor = Donor(OTHER.schedule, WORKLOAD, 1e-3, frozenset({name}), frozenset({name}))
    (kernel,) = report().kernels
    kernel = replace(kernel, name=name, chosen=replace(OTHER, donor=donor), explanation=(f"why {name}",))
    page = replace(report(chosen=Latency((1e-3,))), model=name, folder=f"{name}.rec", kernels=(kernel,))
    screen = io.StringIO()

    print_report(page, Console(file=screen, width=120, highlight=False, soft_wrap=True))

    header, row, *lines = screen.getvalue().splitlines()
    assert header.startswith("kernel")
    assert row.startswith(f"{name} ")
    assert row.rstrip().endswith(f"{name} 8x8x8")
    assert f"    why {name}" in lines
    assert lines[-1].startswith(f"{name}.rec: model.so")
    bars = [len(re.findall(r"(?<!\\)\|", line)) for line in markdown(page).splitlines() if line[:1] == "|"]
    assert bars == [8, 8, 8]


def test_the_times_that_decided_against_a_challenger_are_in_the_report() -> None:
    first, slow = Outcome.of_times([2e-3, 2e-3]), Outcome.of_times([3e-3])
    (kernel,) = report().kernels
    kernel = replace(kernel, first_fallback=first, second_bank=SecondBank(OTHER, slow, FAST))

    page = report_json(replace(report(), kernels=(kernel,)))["kernels"][0]

    assert page["fallback_schedule"] == FALLBACK.schedule.id
    assert page["first_fallback"]["seconds"] == (2e-3, 2e-3)
    assert page["second_bank"]["challenger"] == OTHER.schedule.id
    assert page["second_bank"]["outcome"]["seconds"] == (3e-3,)
    assert page["second_bank"]["fallback"]["seconds"] == (1e-3,)
    assert report_json(report())["kernels"][0]["second_bank"] is None


@pytest.mark.parametrize(
    ("chosen", "fallback", "works"),
    [(OTHER, FAILED, True), (FALLBACK, FAILED, False), (FALLBACK, FAST, True), (FALLBACK, None, True)],
)
def test_what_failed_is_not_compiled(chosen: Candidate, fallback: Outcome | None, works: bool) -> None:
    ranked = Ranked(Kernel("k", WORKLOAD, 1), FALLBACK, (OTHER, FALLBACK), (0.0, 1.0))

    choice = Choice(ranked, chosen, fallback, None)

    assert choice.chosen_works == works
    assert choice.fallback_works == (fallback is not FAILED)


def test_a_donor_is_named_after_a_model_that_has_its_kernel() -> None:
    models = frozenset({"resnet18", "vgg16"})
    donor = Donor(OTHER.schedule, WORKLOAD, 1e-3, models, models | {"alexnet"})
    (kernel,) = report().kernels

    assert replace(kernel, chosen=replace(OTHER, donor=donor)).donor_name == "resnet18 +2 8x8x8"


@pytest.mark.parametrize("width", [80, 100, 1000])
def test_names_are_cut_to_the_width_of_the_screen_and_numbers_are_not(width: int) -> None:
    own = frozenset({"efficientnet_b0"})
    donor = Donor(OTHER.schedule, WORKLOAD, 1e-3, own, own | {"x"})
    (kernel,) = report().kernels
    kernel = replace(
        kernel, name="fused_conv2d14_add10_add11_relu81", calls=12, rank=3, chosen=replace(OTHER, donor=donor)
    )
    screen = io.StringIO()
    page = replace(report(chosen=Latency((1e-3,))), kernels=(kernel,))

    print_report(page, Console(file=screen, width=width, highlight=False, soft_wrap=True))

    head, row, *_ = screen.getvalue().splitlines()
    assert head.split() == ["kernel", "calls", "fallback", "ms", "best", "ms", "speedup", "rank", "donor"]
    assert row.split()[1:6] == ["12", "-", "1.000", "-", "3"]
    assert max(len(head), len(row.rstrip())) <= width
    assert (kernel.name in row and "8x8x8" in row) == (width > 100)
