"""A command that could measure nothing says so; one that had nothing to do, or measured some, does not."""

from __future__ import annotations

import pytest

from recommender.attempts import Attempts
from recommender.errors import NothingMeasuredError
from recommender.harness.client import OutOfMemory
from recommender.progress import Reporter
from recommender.vocabulary import Outcome, Status

RAN = Outcome.of_times([1e-3])
FAILED = Outcome.failure(Status.BUILD_FAILED, "no such intrinsic")


def attempts(*outcomes: Outcome, refused: int = 0) -> Attempts:
    made = Attempts(Reporter(0), list(outcomes))
    for _ in range(refused):
        with made.on("kernel"):
            raise OutOfMemory("bad_alloc\nat line 1")
    return made


@pytest.mark.parametrize(
    ("made", "count"),
    [(attempts(), 0), (attempts(RAN), 1), (attempts(FAILED, RAN), 2), (attempts(RAN, refused=2), 1)],
)
def test_what_was_measured_is_counted(made: Attempts, count: int) -> None:
    assert made.count() == count


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (attempts(refused=1), "bad_alloc"),
        (attempts(FAILED), "no such intrinsic"),
        (attempts(FAILED, FAILED, refused=1), "bad_alloc"),
    ],
)
def test_if_all_failed_that_is_said_in_one_line(made: Attempts, reason: str) -> None:
    with pytest.raises(NothingMeasuredError, match=rf"measured \({reason}\); run: recommender doctor"):
        made.count()


def test_other_errors_end_the_command() -> None:
    with pytest.raises(KeyboardInterrupt), attempts().on("kernel"):
        raise KeyboardInterrupt
