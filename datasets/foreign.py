"""Tuning records that MetaSchedule wrote elsewhere, parsed into our words. Nothing of them is executed."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recommender.errors import DataError
from recommender.traces import readings
from recommender.vocabulary import Schedule

_LENGTH_BYTES = 8
_LARGEST_LINE = 50_000_000


@dataclass(frozen=True)
class ForeignRecord:
    """One tuning record: its workload's place in the file, its schedule or why there is none.

    `readings` are the schedule as the sketches of the workload may call it; see `traces`.
    """

    workload: int
    readings: tuple[Schedule, ...]
    seconds: float
    reason: str = ""


def read_workloads(folder: Path) -> list[str | None]:
    """TVM's JSON of every workload of a MetaSchedule work directory; None for what is no workload.

    Raises:
        DataError: there is no such file.
    """
    return [_module_json(line) for line in _lines(folder / "database_workload.json")]


def read_records(folder: Path) -> Iterator[ForeignRecord]:
    """Every tuning record of a MetaSchedule work directory, in order.

    Raises:
        DataError: there is no such file.
    """
    for line in _lines(folder / "database_tuning_record.json"):
        yield _record(line)


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    except OSError as exc:
        raise DataError(f"{path.parent} is no MetaSchedule work directory ({exc})") from exc


def _module_json(line: str) -> str | None:
    """A workload is written as [hash, base64 of a length and TVM's JSON]."""
    try:
        _, text = json.loads(line)
        content = base64.b64decode(text, validate=True)
        length = int.from_bytes(content[:_LENGTH_BYTES], "little")
        return content[_LENGTH_BYTES : _LENGTH_BYTES + length].decode()
    except (ValueError, TypeError, ArithmeticError, RecursionError, binascii.Error):
        return None


def _record(line: str) -> ForeignRecord:
    """A record is written as [workload, [trace, seconds, target, arguments]]."""
    try:
        if len(line) > _LARGEST_LINE:
            raise ValueError("longer than any record")
        workload, (trace, seconds, _, _) = json.loads(line)
        times = sorted(float(s) for s in seconds or ())
        median = times[len(times) // 2] if times else math.inf
        return ForeignRecord(int(workload), readings(trace), median)
    except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as exc:
        return ForeignRecord(-1, (), math.inf, f"no record ({type(exc).__name__})")
