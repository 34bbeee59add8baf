"""How long a candidate is timed."""

from __future__ import annotations

import math
from dataclasses import dataclass

_FEWEST = 5


@dataclass(frozen=True)
class TimingRule:
    """`repeats` samples, each the mean of as many calls as fill `repeat_seconds`.

    A call that alone takes longer than that is sampled less often, but 5 times. A loser is sampled once:
    one whose first run takes more than `loser_seconds`, or `loser_ratio` times the first run of the
    fastest of those that are timed together.
    """

    repeats: int = 5
    repeat_seconds: float = 0.01
    loser_seconds: float = math.inf
    loser_ratio: float = math.inf

    def calls(self, first_seconds: float) -> int:
        """Calls in a sample of what took so long the first time."""
        return max(1, math.ceil(self.repeat_seconds / max(first_seconds, 1e-7)))

    def samples(self, first_seconds: float, fastest_seconds: float) -> int:
        """Samples of what took so long the first time, the fastest beside it `fastest_seconds`."""
        if first_seconds > min(self.loser_seconds, self.loser_ratio * fastest_seconds):
            return 1
        fitting = math.ceil(self.repeats * min(1.0, self.repeat_seconds / first_seconds))
        return max(min(_FEWEST, self.repeats), fitting)


IN_TURNS = TimingRule(repeats=11, repeat_seconds=0.003, loser_ratio=3.0)
"""For candidates of one kernel side by side. A machine that changes its speed several times a second makes
the same code up to 1.8 times as slow; in many short turns each candidate meets all of its speeds."""
