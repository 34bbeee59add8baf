"""Progress on stderr for people: a live bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_LINE_EVERY_SECONDS = 15.0


class Reporter:
    """Where a run says what it is doing. `level` 0 is silent, 1 normal, 2 verbose."""

    def __init__(self, level: int = 1) -> None:
        """Report on stderr."""
        self.level = level
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)

    def say(self, text: str, level: int = 1) -> None:
        """Print a line, if the level asks for it."""
        if self.level >= level:
            self.console.print(text, markup=False)

    @contextmanager
    def steps(self, title: str, total: int) -> Iterator[Steps]:
        """Show the progress of `total` steps."""
        if self.level and self.console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            with Progress(*columns, console=self.console, transient=True) as bar:
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

    def advance(self, what: str = "") -> None:
        """Say that one more step is done, on `what`."""
        self._done += 1
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=1, description=f"{self._title} {what}")
        now = time.monotonic()
        if self._lines and now - self._last >= _LINE_EVERY_SECONDS:
            self._last = now
            left = (now - self._start) / max(self._done, 1) * (self._total - self._done)
            text = f"{self._title} {what}: {self._done} of {self._total}, {left / 60:.1f} min left"
            print(text, file=sys.stderr, flush=True)
