"""The worker process: a loop that answers calls on a pipe. `forkserver` starts it.

It reads (method, arguments) from the pipe, sends ("event", report) on the way, and answers ("ok", result),
or why there is none: ("memory", text), ("error", text), or ("bug", traceback) of a mistake of ours.
"""

from __future__ import annotations

import os
import resource
import traceback
from multiprocessing.connection import Connection
from typing import Any

from recommender.errors import OUR_MISTAKES, is_out_of_memory


def serve(fd: int, threads: int, memory_bytes: int) -> None:
    """Serve calls with `threads` threads until the other end of the pipe closes."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        memory_bytes = min(memory_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    from recommender.compiler import setup

    setup.prepare(threads)
    from recommender.harness.services import Services

    connection = Connection(fd)
    services = Services(connection)
    connection.send(("ok", os.getpid()))
    while True:
        try:
            method, arguments = connection.recv()
        except EOFError:
            return
        connection.send(_answer(services, method, arguments))


def _answer(services: Any, method: str, arguments: tuple[Any, ...]) -> tuple[str, Any]:
    try:
        return "ok", getattr(services, method)(*arguments)
    except OUR_MISTAKES:
        return "bug", traceback.format_exc()
    except Exception as exc:  # the parent turns it into an outcome or an error of its own
        if is_out_of_memory(exc):
            return "memory", "the worker's memory limit was reached"
        return "error", f"{type(exc).__name__}: {str(exc).strip() or type(exc).__name__}"
