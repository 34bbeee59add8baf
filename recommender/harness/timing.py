"""How long a candidate is timed."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class TimingRule:
    """`repeats` samples, each the mean of as many calls as fill `repeat_seconds`.

    A loser is a candidate whose first run takes `loser_seconds` or more: it is sampled once. A cold
    measurement flushes all arguments but the first from the caches before every call, as the weights
    of a model larger than the caches are.
    """

    repeats: int = 5
    repeat_seconds: float = 0.01
    loser_seconds: float = math.inf
    cold: bool = False
