"""Progress on stderr for people: a live bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

_LINE_EVERY_SECONDS = 15.0
_SPEED_OVER_SECONDS = 120.0
"""The time left is told from the steps of so long: one alone may take half a minute."""


class Reporter:
    """Where a run says what it is doing. `level` 0 is silent, 1 normal, 2 verbose."""

    def __init__(self, level: int = 1) -> None:
        """Report on stderr."""
        self.level = level
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)

    def say(self, text: str, level: int = 1) -> None:
        """Print a line, if the level asks for it."""
        if self.level >= level:
            self.console.print(Text(text))  # names of files and models are no markup

    @contextmanager
    def steps(self, title: str, total: int) -> Iterator[Steps]:
        """Show the progress of `total` steps."""
        if self.level and self.console.is_terminal:
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("left"),
            )
            with Progress(
                *columns,
                console=self.console,
                transient=True,
                speed_estimate_period=_SPEED_OVER_SECONDS,
            ) as bar:
                yield Steps(title, total, bar=bar)
        else:
            yield Steps(title, total, lines=self.level > 0)


class Steps:
    """A task of known length."""

    def __init__(self, title: str, total: int, bar: Progress | None = None, lines: bool = False) -> None:
        """Show on a live bar, or as lines."""
        self._title, self._total, self._bar, self._lines = title, total, bar, lines
        self._done = 0
        self._start = self._last = time.monotonic()
        self._task = bar.add_task(title, total=total) if bar else None

    def begin(self, what: str) -> None:
        """Say what is worked on from now on."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=f"{self._title} {what}")
        now = time.monotonic()
        if self._lines and now - self._last >= _LINE_EVERY_SECONDS:
            self._last = now
            text = f"{self._title} {what}: {self._done} of {self._total}{self._left(now)}"
            print(text, file=sys.stderr, flush=True)

    def advance(self, what: str = "", count: int = 1) -> None:
        """Say that `count` more steps are done: on `what`, or on what was begun."""
        self._done += count
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=count)
        if what:
            self.begin(what)

    def _left(self, now: float) -> str:
        """The time left, once a step has been done."""
        if not self._done:
            return ""
        seconds = (now - self._start) / self._done * (self._total - self._done)
        return f", {seconds / 60:.1f} min left"
