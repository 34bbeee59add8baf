"""What people see of a run on stderr."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from recommender.progress import Reporter

NAME = "net[v2]:star:"
"""Rich would leave the brackets out, and draw a star."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that is turned by hand: `now`, in seconds."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("recommender.progress.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_a_line_now_and_then_has_the_kernel_its_candidates_and_the_time_left(
    capsys: pytest.CaptureFixture[str], clock: SimpleNamespace
) -> None:
    with Reporter(1).steps("measuring", 48) as steps:
        for kernel in range(8):
            steps.begin(f"conv{kernel} (6 candidates)")
            clock.now += 10
            steps.advance(count=6)

    assert capsys.readouterr().err.splitlines() == [
        "measuring conv2 (6 candidates): 12 of 48, 1.0 min left",
        "measuring conv4 (6 candidates): 24 of 48, 0.7 min left",
        "measuring conv6 (6 candidates): 36 of 48, 0.3 min left",
    ]


def test_before_anything_is_done_no_time_is_told(
    capsys: pytest.CaptureFixture[str], clock: SimpleNamespace
) -> None:
    with Reporter(1).steps("measuring", 6) as steps:
        clock.now += 20
        steps.begin("conv (6 candidates)")

    assert capsys.readouterr().err == "measuring conv (6 candidates): 0 of 6\n"


def test_a_bar_has_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    reporter, screen = Reporter(1), io.StringIO()
    reporter.console = Console(file=screen, force_terminal=True, color_system=None, width=120)

    with reporter.steps("measuring", 24) as steps:
        steps.begin(f"{NAME} (6 candidates)")
        steps.advance(count=6)
        steps.begin(f"another of {NAME} (18 candidates)")

    shown = next(line for line in screen.getvalue().splitlines() if "another" in line)
    assert f"measuring another of {NAME} (18 candidates)" in shown
    assert "6/24" in shown
    assert "left" in shown


def test_names_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    Reporter(1).say(f"importing {NAME}")

    assert capsys.readouterr().err == f"importing {NAME}\n"


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recommender.progress._LINE_EVERY_SECONDS", 0.0)
    reporter = Reporter(0)

    reporter.say("anything")
    with reporter.steps("measuring", 1) as steps:
        steps.begin("conv")
        steps.advance("conv")

    assert capsys.readouterr().err == ""
