"""What became of a command that measures one kernel after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from recommender.errors import NothingMeasuredError
from recommender.harness.client import WorkerFailure
from recommender.progress import Reporter
from recommender.vocabulary import Outcome


@dataclass(frozen=True)
class Attempts:
    """The outcomes so far, and why the worker did not take a kernel at all."""

    reporter: Reporter
    outcomes: list[Outcome] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @contextmanager
    def on(self, kernel: str) -> Iterator[None]:
        """Go on after the block with the next kernel, if the worker cannot take this one."""
        try:
            yield
        except WorkerFailure as exc:
            self.problems.append(str(exc).partition("\n")[0])
            self.reporter.say(f"{kernel} cannot be measured ({exc})")

    def count(self) -> int:
        """How many candidates were measured: none where there was nothing left to do.

        Raises:
            NothingMeasuredError: there was something to measure, and all of it failed.
        """
        problems = [*self.problems, *(outcome.reason for outcome in self.outcomes if outcome.reason)]
        if problems and not any(outcome.ok for outcome in self.outcomes):
            raise NothingMeasuredError(f"nothing could be measured ({problems[0]}); run: recommender doctor")
        return len(self.outcomes)
