"""From schedules to outcomes, whatever they do to the process that runs them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from recommender.harness.client import (
    CallTimedOut,
    OutOfMemory,
    WorkerClient,
    WorkerCrashed,
    WorkerFailure,
)
from recommender.harness.timing import TimingRule
from recommender.vocabulary import Json, Outcome, Schedule, Status, Workload

_STATUS_OF_FAILURE = {
    CallTimedOut: Status.TIMED_OUT,
    WorkerCrashed: Status.CRASHED,
    OutOfMemory: Status.OUT_OF_MEMORY,
}
Report = Callable[[Schedule, Outcome], None]


@dataclass(frozen=True)
class Task:
    """A kernel to measure schedules of: its workload's key and TVM's JSON form of its module."""

    key: str
    module_json: str


@dataclass(frozen=True)
class Limits:
    """How long one step of one candidate may take."""

    load_seconds: float = 120.0
    build_seconds: float = 30.0
    time_seconds: float = 30.0
    search_step_seconds: float = 120.0


@dataclass
class _Progress:
    """What a search has measured so far, and what it was trying when it was last heard of."""

    settled: list[tuple[Schedule, Outcome]]
    report: Report
    trying: list[Schedule] = field(default_factory=list)
    spent: int = 0

    def note(self, event: tuple[Any, ...]) -> None:
        """Take what the worker reports: ("trying", schedules) or ("measured", schedule, outcome)."""
        if event[0] == "trying":
            self.trying = list(event[1])
        else:
            self.trying = []
            self.settle(event[1], event[2])

    def settle(self, schedule: Schedule, outcome: Outcome) -> None:
        """One trial more is spent."""
        self.spent += 1
        self.settled.append((schedule, outcome))
        self.report(schedule, outcome)


class Measurer:
    """Measures with TVM in a worker process, which is replaced when a candidate kills it."""

    def __init__(
        self, target: Json, threads: int, limits: Limits | None = None, client: WorkerClient | None = None
    ) -> None:
        """Measure code for `target` with `threads` threads."""
        self._target = target
        self._threads = threads
        self._limits = limits or Limits()
        self._client = client or WorkerClient(threads)
        self._generation = 0
        self._held: dict[str, dict[str, int | Outcome]] = {}
        """For each task that the worker holds, what became of its schedules: a token, or a failure."""

    def __enter__(self) -> Measurer:
        """Start the worker, so that the first measurement does not wait for it."""
        self._client.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the worker."""
        self._client.kill()

    def load(self, task: Task) -> None:
        """Load a kernel and compute its reference, unless the worker holds it already.

        Raises:
            WorkerFailure: that cannot be done. Candidates of the kernel are not to blame.
        """
        self._open()
        if task.key not in self._held:
            self._client.call("load", task.key, task.module_json, timeout_seconds=self._limits.load_seconds)
            self._held[task.key] = {}

    def measure(self, task: Task, schedule: Schedule, rule: TimingRule | None = None) -> Outcome:
        """Build, check and time one schedule. It stays built until `unload`.

        Raises:
            WorkerFailure: the kernel cannot be loaded; see `load`.
        """
        self.load(task)
        try:
            token = self._build(task, schedule)
            if isinstance(token, Outcome):
                return token
            seconds, load = self._time([token], rule or TimingRule())
            return Outcome.of_times(seconds[0], load)
        except WorkerFailure as exc:
            return _failure(exc)

    def measure_all(self, task: Task, schedules: Sequence[Schedule], rule: TimingRule) -> list[Outcome]:
        """Build and check schedules, and time them in turns (A B A B ...). They stay built until `unload`.

        If one of them kills the worker, each is measured alone, which finds the one that is to blame.

        Raises:
            WorkerFailure: the kernel cannot be loaded; see `load`.
        """
        self.load(task)
        try:
            self._build_together(task, schedules)
            tokens = [self._build(task, schedule) for schedule in schedules]
            seconds, load = self._time([t for t in tokens if isinstance(t, int)], rule)
        except WorkerFailure:
            return [self.measure(task, schedule, rule) for schedule in schedules]
        samples = iter(seconds)
        return [t if isinstance(t, Outcome) else Outcome.of_times(next(samples), load) for t in tokens]

    def _build_together(self, task: Task, schedules: Sequence[Schedule]) -> None:
        """Build schedules with all threads.

        Raises:
            WorkerFailure: that killed the worker, and nothing is built.
        """
        held = self._held[task.key]
        todo = list({s.id: s for s in schedules if s.id not in held}.values())
        if not todo:
            return
        built = self._client.call(
            "build_all",
            task.key,
            todo,
            self._threads,
            timeout_seconds=self._limits.build_seconds * math.ceil(len(todo) / self._threads),
        )
        held |= {s.id: b for s, b in zip(todo, built, strict=True)}

    def _build(self, task: Task, schedule: Schedule) -> int | Outcome:
        held = self._held[task.key]
        if schedule.id not in held:
            held[schedule.id] = self._client.call(
                "build", task.key, schedule, timeout_seconds=self._limits.build_seconds
            )
        return held[schedule.id]

    def _time(self, tokens: list[int], rule: TimingRule) -> tuple[list[list[float]], float]:
        if not tokens:
            return [], 0.0
        return self._client.call(  # type: ignore[no-any-return]
            "time", tokens, rule, timeout_seconds=self._limits.time_seconds * len(tokens)
        )

    def search(
        self,
        task: Task,
        *,
        trials: int,
        seed: int,
        known: Sequence[tuple[Schedule, Outcome]] = (),
        report: Report,
        rule: TimingRule | None = None,
    ) -> None:
        """MetaSchedule's search with `trials` measurements, each reported as it is made.

        A candidate that kills the worker is reported as failed, and the search goes on from what is known by
        then. If a batch does that which was compiled together, from then on each is tried alone.

        Raises:
            WorkerFailure: the worker died of the search itself, without having measured anything.
        """
        progress, threads = _Progress(list(known), report), self._threads
        while progress.spent < trials:
            before = progress.spent
            progress.trying = []
            try:
                self.load(task)
                self._client.call(
                    "search",
                    task.key,
                    trials - before,
                    seed,
                    rule or TimingRule(),
                    progress.settled,
                    threads,
                    timeout_seconds=self._limits.search_step_seconds,
                    on_event=progress.note,
                )
                return
            except WorkerFailure as exc:
                if len(progress.trying) == 1:
                    progress.settle(progress.trying[0], _failure(exc))
                elif progress.trying:
                    threads = 1
                elif progress.spent == before:
                    raise

    def describe(self, module_json: str) -> Workload | None:
        """The workload that a module of unknown origin stands for; None if it must not be run.

        Raises:
            WorkerFailure: TVM cannot read it, or died of it.
        """
        self._open()
        return self._client.call(  # type: ignore[no-any-return]
            "describe", module_json, timeout_seconds=self._limits.load_seconds
        )

    def unload(self, task: Task) -> None:
        """Free what the worker holds of a task."""
        alive = self._client.is_running and self._generation == self._client.generation
        if alive and task.key in self._held:
            with contextlib.suppress(WorkerFailure):  # a worker that dies of it has freed it too
                self._client.call("unload", task.key, timeout_seconds=self._limits.time_seconds)
        self._held.pop(task.key, None)

    def _open(self) -> None:
        """Let the worker know the target, if it is a new one."""
        self._client.start()
        if self._generation != self._client.generation:
            self._generation = self._client.generation
            self._held = {}
            self._client.call("open", self._target, timeout_seconds=self._limits.load_seconds)


def _failure(exc: WorkerFailure) -> Outcome:
    return Outcome.failure(_STATUS_OF_FAILURE.get(type(exc), Status.RUN_FAILED), str(exc))
