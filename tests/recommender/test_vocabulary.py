"""Values keep their invariants and survive the way to JSON and back."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.vocabulary import (
    Outcome,
    SampledChoice,
    SampledLocation,
    SampledTile,
    Schedule,
    Sketch,
    Status,
    digest,
)

SKETCH = Sketch((SampledTile(24, 4, 64), SampledChoice((0, 16, 64)), SampledLocation()), 2, -1, "ComputeAt")


def test_schedule_survives_json() -> None:
    schedule = Schedule(SKETCH, ((2, 3, 1, 4), 1, -2))

    text = json.dumps([schedule.sketch.to_json(), schedule.decisions])

    sketch, decisions = json.loads(text)
    assert Schedule.stored(schedule.id, Sketch.from_json(sketch), decisions) == schedule


def test_a_schedule_is_known_by_the_digest_of_its_json() -> None:
    schedule = Schedule(SKETCH, ((2, 3, 1, 4), 1, -2))

    assert schedule.id == digest([schedule.sketch.to_json(), schedule.decisions])


@pytest.mark.parametrize(
    "decisions",
    [
        ((2, 3, 1, 4), 1),
        ((2, 3, 1, 5), 1, 0),
        ((-2, -3, 1, 4), 1, 0),
        ((24,), 1, 0),
        (1, 1, 0),
        ((2, 3, 1, 4), (1,), 0),
        ((2, 3, 1, 4), 3, 0),
        ((2, 3, 1, 4), -1, 0),
    ],
)
def test_decisions_must_answer_the_samples(decisions: tuple[object, ...]) -> None:
    with pytest.raises(ValueError, match=r"decisions|answer|split|no choice"):
        Schedule(SKETCH, decisions)  # type: ignore[arg-type]


@given(st.dictionaries(st.text(), st.integers()))
def test_digest_does_not_depend_on_order(value: dict[str, int]) -> None:
    assert digest(value) == digest(dict(reversed(value.items())))


@pytest.mark.parametrize(
    ("status", "seconds", "reason"),
    [
        (Status.OK, (), None),
        (Status.OK, (1.0,), "but"),
        (Status.CRASHED, (1.0,), "SIGSEGV"),
        (Status.CRASHED, (), None),
        (Status.OK, (0.0,), None),
        (Status.OK, (math.inf,), None),
    ],
)
def test_an_outcome_is_either_timed_or_explained(
    status: Status, seconds: tuple[float, ...], reason: str | None
) -> None:
    with pytest.raises(ValueError, match=r"outcome|positive"):
        Outcome(status, seconds, reason)


def test_a_failure_sorts_last_and_keeps_one_line_of_reason() -> None:
    failed = Outcome.failure(Status.BUILD_FAILED, "\n  LLVM said no\nstack\n")

    assert failed.reason == "LLVM said no"
    assert failed.median_seconds == math.inf


def test_spread_is_half_the_interquartile_range() -> None:
    assert Outcome.of_times([1.0, 1.0, 2.0, 3.0, 9.0]).spread == pytest.approx(0.5)
