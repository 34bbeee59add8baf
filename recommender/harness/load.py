"""How busy the machine is with other things while something is timed."""

from __future__ import annotations

import os
import time
from pathlib import Path

_STAT = Path("/proc/stat")
_BUSY = (0, 1, 2, 5, 6, 7)
"""Columns of /proc/stat that are work: user, nice, system, irq, softirq, steal (proc(5))."""


class LoadMeter:
    """Cores that something else kept busy since the meter was made."""

    def __init__(self) -> None:
        """Start now."""
        self._wall, self._busy, self._own = time.monotonic(), _busy_seconds(), time.process_time()

    def cores(self) -> float:
        """Busy time of all cores less this process's own, by wall time; the kernel counts in 10 ms.

        Where the kernel does not say (not Linux), the load average less this process.
        """
        wall = time.monotonic() - self._wall
        busy = _busy_seconds()
        if busy is None or self._busy is None or wall <= 0:
            return max(os.getloadavg()[0] - 1.0, 0.0)
        return max((busy - self._busy - (time.process_time() - self._own)) / wall, 0.0)


def _busy_seconds() -> float | None:
    try:
        columns = _STAT.read_text().split("\n", 1)[0].split()[1:]
    except OSError:
        return None
    return sum(int(columns[i]) for i in _BUSY) / os.sysconf("SC_CLK_TCK")
