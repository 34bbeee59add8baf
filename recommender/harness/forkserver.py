"""The process that workers are forked from: it imports TVM once, so that a worker is there in milliseconds.

`python -m recommender.harness.forkserver FD` answers requests on the socket FD, one packet each:
"fork THREADS MEMORY_BYTES" with the worker's end of a pipe gives its process id; "wait PID" and "poll PID"
give its exit code (minus the signal's number if one ended it), or "running". It has a single thread and runs
no kernel itself. It ends when the other end of the socket closes, and its workers end with it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys

_PR_SET_PDEATHSIG = 1
PACKET_BYTES = 64


def main(fd: int) -> None:
    """Serve requests until the other end of the socket closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    _die_with_parent(signal.SIGKILL)  # while it imports, it does not see the socket close
    # Threads that spin disturb what is timed, and threads of the forking process are not copied.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ["OPENBLAS_NUM_THREADS"] = "1"

    from recommender.compiler import setup

    setup.prepare()
    from recommender.harness.services import Services  # noqa: F401  that is, TVM and all of the harness

    _die_with_parent(0)  # which would be the end of the thread that started it
    with socket.socket(fileno=fd) as requests:
        while True:
            packet, fds, _, _ = socket.recv_fds(requests, PACKET_BYTES, 1)
            if not packet:
                return
            word, *numbers = packet.decode().split()
            if word == "fork":
                requests.send(b"%d" % _fork(requests, fds[0], *map(int, numbers)))
            else:
                requests.send(_exit_code(int(numbers[0]), 0 if word == "wait" else os.WNOHANG))


def _fork(requests: socket.socket, fd: int, threads: int, memory_bytes: int) -> int:
    pid = os.fork()
    if pid:
        os.close(fd)
        return pid
    code = 1
    try:
        _die_with_parent(signal.SIGKILL)
        requests.close()
        from recommender.harness.worker import serve

        serve(fd, threads, memory_bytes)
        code = 0
    finally:
        os._exit(code)


def _die_with_parent(signal_number: int) -> None:
    """Get this signal when the parent's thread ends; 0 for none."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal_number)


def _exit_code(pid: int, flags: int) -> bytes:
    ended, status = os.waitpid(pid, flags)
    return b"%d" % os.waitstatus_to_exitcode(status) if ended else b"running"


if __name__ == "__main__":
    main(int(sys.argv[1]))
