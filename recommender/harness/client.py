"""A worker process seen from the parent: start it, call it with a time limit, replace it when it dies."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Callable
from types import TracebackType
from typing import Any

from recommender.harness.processes import WorkerProcess

MEMORY_BYTES = 12 << 30
_START_SECONDS = 60.0


class WorkerFailure(Exception):
    """A call that did not come back with a result. The worker was replaced if it had to be."""


class CallTimedOut(WorkerFailure):
    """The call took longer than its limit; the worker was killed."""


class WorkerCrashed(WorkerFailure):
    """The worker died during the call."""


class OutOfMemory(WorkerFailure):
    """The call ran into the worker's memory limit."""


class CallFailed(WorkerFailure):
    """The call raised; the worker lives on."""


class WorkerClient:
    """One worker process, started on first use and again after it dies."""

    def __init__(self, threads: int, memory_bytes: int = MEMORY_BYTES) -> None:
        """Workers run TVM with `threads` threads and at most `memory_bytes` of their own memory."""
        self._threads, self._memory_bytes = threads, memory_bytes
        self._process: WorkerProcess | None = None
        self._ready = False
        self.generation = 0
        """How often a process was started: whatever an earlier one held is gone."""

    def __enter__(self) -> WorkerClient:
        """Return itself; the process starts with the first call."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill the process."""
        self.kill()

    @property
    def is_running(self) -> bool:
        """Whether there is a process that holds what it was given."""
        return self._process is not None and self._process.poll() is None

    def spawn(self) -> None:
        """Start the process unless it runs already, without waiting until it is ready.

        Raises:
            WorkerCrashed: no process can be started.
        """
        if self.is_running:
            return
        ours, theirs = multiprocessing.Pipe()
        with theirs:
            try:
                self._process = WorkerProcess.start(theirs, self._threads, self._memory_bytes)
            except OSError as exc:
                raise WorkerCrashed(f"no worker can be started ({exc})") from exc
        self._connection = ours
        self._ready = False
        self.generation += 1

    def start(self) -> None:
        """Start the process unless it runs already, and wait until it is ready.

        Raises:
            WorkerCrashed: there is none, or it died before it was ready.
        """
        self.spawn()
        if not self._ready:
            self._receive(_START_SECONDS)
            self._ready = True

    def call(
        self,
        method: str,
        *arguments: Any,
        timeout_seconds: float,
        on_event: Callable[[Any], None] | None = None,
    ) -> Any:
        """Call a method of the worker's services and return its result.

        `on_event` gets whatever the service reports on the way; each report restarts the time limit.

        Raises:
            WorkerFailure: one of its kinds; the next call finds a working process.
        """
        self.start()
        try:
            self._connection.send((method, arguments))
        except OSError as exc:
            raise self._crashed() from exc
        kind, value = self._answer(timeout_seconds, on_event)
        if kind == "ok":
            return value
        if kind == "bug":
            raise RuntimeError(f"the worker failed by a mistake of its own:\n{value}")
        raise OutOfMemory(value) if kind == "memory" else CallFailed(value)

    def _answer(self, timeout_seconds: float, on_event: Callable[[Any], None] | None) -> tuple[str, Any]:
        """What the worker answers in the end. Without that (Ctrl-C, a full disk) it is given up.

        It would go on with the call, and its answer would be taken for that to the next one.
        """
        try:
            while True:
                kind, value = self._receive(timeout_seconds)
                if kind != "event":
                    return kind, value
                if on_event is not None:
                    on_event(value)
        except BaseException:
            self.kill()
            raise

    def _receive(self, timeout_seconds: float) -> tuple[str, Any]:
        try:
            if not self._connection.poll(timeout_seconds):
                self.kill()
                raise CallTimedOut(f"no answer within {timeout_seconds:.0f} s")
            kind, value = self._connection.recv()
        except (EOFError, OSError) as exc:
            raise self._crashed() from exc
        return kind, value

    def _crashed(self) -> WorkerFailure:
        assert self._process is not None
        code = self._process.wait()
        self.kill()
        if code == -signal.SIGKILL:
            return OutOfMemory("the worker was killed, which the system does when memory runs out")
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return WorkerCrashed(f"the worker died with {name}")

    def kill(self) -> None:
        """Kill the process if it runs, and wait until it is gone."""
        if self._process is None:
            return
        self._process.kill()
        with contextlib.suppress(OSError):
            self._connection.close()
        self._process = None
