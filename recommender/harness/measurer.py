"""From schedules to outcomes, whatever they do to the process that runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType

from recommender.harness.client import (
    CallTimedOut,
    OutOfMemory,
    WorkerClient,
    WorkerCrashed,
    WorkerFailure,
)
from recommender.harness.timing import TimingRule
from recommender.vocabulary import Json, Outcome, Schedule, Status

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


class Measurer:
    """Measures with TVM in a worker process, which is replaced when a candidate kills it."""

    def __init__(
        self, target: Json, threads: int, limits: Limits | None = None, client: WorkerClient | None = None
    ) -> None:
        """Measure code for `target` with `threads` threads."""
        self._target = target
        self._limits = limits or Limits()
        self._client = client or WorkerClient(threads)
        self._loaded: tuple[int, set[str]] = (0, set())

    def __enter__(self) -> Measurer:
        """Start the worker, so that the first measurement does not wait for it."""
        self._client.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the worker."""
        self._client.kill()

    def measure(
        self, task: Task, schedules: Iterable[Schedule], rule: TimingRule | None = None
    ) -> list[Outcome]:
        """Build, check and time schedules one after the other; one outcome each, in their order."""
        rule = rule or TimingRule()
        return [self._one(task, schedule, rule) for schedule in schedules]

    def _one(self, task: Task, schedule: Schedule, rule: TimingRule) -> Outcome:
        try:
            self._load(task)
            token, failure = self._client.call(
                "build", task.key, schedule, timeout_seconds=self._limits.build_seconds
            )
            if failure is not None:
                return failure  # type: ignore[no-any-return]
            seconds, load = self._client.call(
                "time", token, rule, timeout_seconds=self._limits.time_seconds
            )
            self._client.call("drop", token, timeout_seconds=self._limits.time_seconds)
            return Outcome.of_times(seconds, load)
        except WorkerFailure as exc:
            return _failure(exc)

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

        A candidate that kills the worker is reported as failed, and the search goes on from what is
        known by then.
        """
        settled = list(known)
        spent = 0
        while spent < trials:
            trying: list[Schedule] = []

            def on_event(event: tuple[object, ...], trying: list[Schedule] = trying) -> None:
                nonlocal spent
                if event[0] == "trying":
                    trying[:] = [event[1]]  # type: ignore[list-item]
                    return
                _, schedule, outcome = event
                trying.clear()
                spent += 1
                settled.append((schedule, outcome))  # type: ignore[arg-type]
                report(schedule, outcome)  # type: ignore[arg-type]

            try:
                self._load(task)
                self._client.call(
                    "search",
                    task.key,
                    trials - spent,
                    seed,
                    rule or TimingRule(),
                    settled,
                    timeout_seconds=self._limits.search_step_seconds,
                    on_event=on_event,
                )
                return
            except WorkerFailure as exc:
                if not trying:
                    raise
                spent += 1
                settled.append((trying[0], _failure(exc)))
                report(*settled[-1])

    def unload(self, task: Task) -> None:
        """Free what the worker holds of a task."""
        generation, keys = self._loaded
        if task.key in keys and generation == self._client.generation:
            self._client.call("unload", task.key, timeout_seconds=self._limits.time_seconds)
            keys.discard(task.key)

    def _load(self, task: Task) -> None:
        self._client.start()
        generation, keys = self._loaded
        if generation != self._client.generation:
            generation, keys = self._client.generation, set()
            self._loaded = generation, keys
            self._client.call("open", self._target, timeout_seconds=self._limits.load_seconds)
        if task.key not in keys:
            self._client.call(
                "load", task.key, task.module_json, timeout_seconds=self._limits.load_seconds
            )
            keys.add(task.key)


def _failure(exc: WorkerFailure) -> Outcome:
    return Outcome.failure(_STATUS_OF_FAILURE.get(type(exc), Status.RUN_FAILED), str(exc))
