"""Worker processes as their parent sees them: started, asked whether they live, killed."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from multiprocessing.connection import Connection

from recommender.harness.forkserver import PACKET_BYTES

_START_SECONDS = 60.0


class WorkerProcess:
    """A process that runs `worker.serve` at the other end of a pipe."""

    def __init__(self, server: _ForkServer, pid: int) -> None:
        """A process that `server` forked. Its number is not given to another before `wait`."""
        self._server, self.pid = server, pid
        self._code: int | None = None

    @classmethod
    def start(cls, pipe: Connection, threads: int, memory_bytes: int) -> WorkerProcess:
        """Start a worker on its end of a pipe; whether it is ready, it says there.

        Raises:
            OSError: no process can be started.
        """
        with _lock:
            server = _running_server()
            try:
                return cls(server, server.fork(pipe, threads, memory_bytes))
            except OSError:  # it ended a moment ago; another one may do
                server = _running_server()
                return cls(server, server.fork(pipe, threads, memory_bytes))

    def poll(self) -> int | None:
        """Its exit code, minus the signal's number if one ended it; None while it runs."""
        return self._ask("poll")

    def wait(self) -> int:
        """Wait for its end; see `poll`."""
        code = self._ask("wait")
        assert code is not None
        return code

    def kill(self) -> None:
        """Kill it if it runs, and wait until it is gone."""
        if self._code is None:
            with contextlib.suppress(ProcessLookupError):  # gone together with its server
                os.kill(self.pid, signal.SIGKILL)
            self.wait()

    def _ask(self, word: str) -> int | None:
        if self._code is None:
            with _lock:
                self._code = self._server.exit_code(word, self.pid)
        return self._code


class _ForkServer:
    """A running `forkserver`, for this process alone."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "recommender.harness.forkserver", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        atexit.register(self.close)

    @property
    def is_usable(self) -> bool:
        """Whether it lives and is ours: a process that was forked from its owner needs another."""
        return self._owner == os.getpid() and self._process.poll() is None

    def fork(self, pipe: Connection, threads: int, memory_bytes: int) -> int:
        try:
            self._requests.settimeout(_START_SECONDS)
            socket.send_fds(self._requests, [b"fork %d %d" % (threads, memory_bytes)], [pipe.fileno()])
            answer = self._requests.recv(PACKET_BYTES)
            if not answer:
                raise ConnectionError("the process that workers are forked from ended")
        except BaseException:  # interrupted too: an answer that is left in the socket would be the next one's
            self.close()
            raise
        return int(answer)

    def exit_code(self, word: str, pid: int) -> int | None:
        try:
            self._requests.settimeout(None)
            self._requests.send(f"{word} {pid}".encode())
            answer = self._requests.recv(PACKET_BYTES)
        except OSError:
            answer = b""
        except BaseException:
            self.close()
            raise
        if not answer:  # it ended, and its workers were killed with it
            return -signal.SIGKILL
        return None if answer == b"running" else int(answer)

    def close(self) -> None:
        if self._owner == os.getpid():
            self._process.kill()
            self._process.wait()
            self._requests.close()


_lock = threading.Lock()
_server: _ForkServer | None = None


def _running_server() -> _ForkServer:
    global _server
    if _server is None or not _server.is_usable:
        _server = _ForkServer()
    return _server


def get_ready() -> None:
    """Begin to import what workers need, in another process, so that the first one is there sooner."""
    with _lock:
        _running_server()
