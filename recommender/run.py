"""The values that one run of the main job passes from step to step."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from recommender.errors import UsageError
from recommender.progress import Reporter
from recommender.report import SecondBank, Tried
from recommender.session import Machine
from recommender.vocabulary import Candidate, Kernel, Outcome, Schedule


@dataclass(frozen=True)
class Options:
    """What `recommend` can be told; the command line has a flag for each."""

    top_k: int = 5
    output: Path | None = None
    force: bool = False
    measure: bool = True
    target: str = "host"
    threads: int | None = None
    input_shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    dims: dict[str, int] = field(default_factory=dict)
    exclude_models: tuple[str, ...] = ()
    baselines: tuple[str, ...] = ()
    budget_seconds: float | None = None
    seed: int = 0
    store: Path | None = None
    explain: bool = False

    def __post_init__(self) -> None:
        """Check what can be checked without the model.

        Raises:
            UsageError: a value out of its range.
        """
        if self.top_k < 1:
            raise UsageError(f"--top-k must be 1 or more, but got {self.top_k}")
        if self.budget_seconds is not None and self.budget_seconds <= 0:
            raise UsageError(f"--budget-seconds must be positive, but got {self.budget_seconds}")
        if self.baselines and not self.measure:
            raise UsageError("--baseline is timed, and --no-measure times nothing; leave one of them out")
        unknown = set(self.baselines) - {"untuned", "ort"}
        if unknown:
            raise UsageError(f"--baseline is untuned or ort, but got {', '.join(sorted(unknown))}")


class Clock:
    """Wall time of the stages of a run."""

    def __init__(self) -> None:
        """Start now."""
        self._start = self._last = time.monotonic()
        self.stages: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """What passed since the last lap belongs to `stage`."""
        now = time.monotonic()
        self.stages[stage] = now - self._last
        self._last = now

    @property
    def total_seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._start


@dataclass(frozen=True)
class Run:
    """What every step needs to know: where it runs, what was asked for, where it reports."""

    machine: Machine
    options: Options
    reporter: Reporter
    clock: Clock

    @property
    def is_late(self) -> bool:
        """Whether the budget is spent."""
        budget = self.options.budget_seconds
        return budget is not None and self.clock.total_seconds > budget


@dataclass(frozen=True)
class Ranked:
    """A kernel with its candidates in the order to be measured, and the schedule it must beat.

    `scores` are the ranker's, lower is better; see `hedging` for how the order departs from theirs.
    """

    kernel: Kernel
    fallback: Candidate
    candidates: tuple[Candidate, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Choice:
    """What was chosen for a kernel, with what was tried for it. Outcomes are None if nothing was measured.

    `fallback` and `best` are what the choice was made by; `first_fallback` is the fallback beside those
    tried. `problem` says why the kernel could not be measured.
    """

    ranked: Ranked
    chosen: Candidate
    fallback: Outcome | None
    best: Outcome | None
    tried: tuple[Tried, ...] = ()
    explanation: tuple[str, ...] = ()
    problem: str | None = None
    first_fallback: Outcome | None = None
    second_bank: SecondBank | None = None

    @property
    def fallback_works(self) -> bool:
        """Whether the fallback may be compiled into a model: it ran, or was not tried and can be replayed."""
        return self.fallback is None or self.fallback.ok

    @property
    def chosen_works(self) -> bool:
        """The same of what was chosen: not if the fallback and all others failed."""
        return self.fallback_works or self.chosen.schedule != self.ranked.fallback.schedule


def chosen_schedules(choices: Sequence[Choice]) -> dict[str, Schedule]:
    """What was chosen for each workload's key, but for kernels of which nothing works."""
    return {c.ranked.kernel.workload.key: c.chosen.schedule for c in choices if c.chosen_works}


def fallback_schedules(choices: Sequence[Choice]) -> dict[str, Schedule]:
    """The fallback of each workload's key, but for those that do not work."""
    return {c.ranked.kernel.workload.key: c.ranked.fallback.schedule for c in choices if c.fallback_works}
