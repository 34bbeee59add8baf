"""How busy the machine is with other things while something is timed."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
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
        """Busy time of the cores that may be used less this process's own, by wall time, counted in 10 ms.

        Where the kernel does not say (not Linux), the load average less this process.
        """
        wall = time.monotonic() - self._wall
        busy = _busy_seconds()
        if busy is None or self._busy is None or wall <= 0:
            return max(os.getloadavg()[0] - 1.0, 0.0)
        return max((busy - self._busy - (time.process_time() - self._own)) / wall, 0.0)


def _busy_seconds() -> float | None:
    try:
        return busy_ticks(_STAT.read_text(), os.sched_getaffinity(0)) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError):  # AttributeError: there is no affinity but on Linux
        return None


def busy_ticks(stat: str, cores: Collection[int]) -> int:
    """Ticks that some cores were busy, by the text of /proc/stat: what goes on on others is no load."""
    names = {f"cpu{core}" for core in cores}
    lines = (line.split() for line in stat.splitlines())
    return sum(int(line[1:][i]) for line in lines if line and line[0] in names for i in _BUSY)
