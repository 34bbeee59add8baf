"""The store: one SQLite file of workloads, measurements and the library drawn from them.

Several processes may write at once (WAL); each measurement is committed by itself, so that a kill
loses none. A shipped store is opened read-only. `docs/data.md` describes the columns.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import astuple
from pathlib import Path
from types import TracebackType

from recommender.datasets.records import COLD_SEARCH, KernelUse, Measurement, Search
from recommender.errors import DataError
from recommender.vocabulary import (
    SCHEMA_VERSION,
    TRANSIENT,
    Hardware,
    Json,
    Outcome,
    Schedule,
    Sketch,
    Status,
    Workload,
    canonical_json,
)

_BATCH_ROWS = 1000

_SCHEMA = """
CREATE TABLE hardware (id TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE workload (key TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE kernel (
    model TEXT, workload TEXT, name TEXT, calls INTEGER, pipeline TEXT,
    PRIMARY KEY (model, workload, pipeline)
) WITHOUT ROWID;
CREATE TABLE sketch (id INTEGER PRIMARY KEY, json TEXT UNIQUE NOT NULL);
CREATE TABLE measurement (
    workload TEXT NOT NULL, schedule TEXT NOT NULL, hardware TEXT NOT NULL, pipeline TEXT NOT NULL,
    sketch INTEGER NOT NULL, decisions TEXT NOT NULL,
    status TEXT NOT NULL, reason TEXT, seconds TEXT NOT NULL, load REAL NOT NULL,
    source TEXT NOT NULL, policy TEXT NOT NULL, donor TEXT, seed INTEGER, run TEXT, measured_at REAL,
    PRIMARY KEY (workload, schedule, hardware, pipeline)
) WITHOUT ROWID;
CREATE TABLE search (
    workload TEXT, hardware TEXT, pipeline TEXT, trials INTEGER, seconds REAL,
    PRIMARY KEY (workload, hardware, pipeline)
) WITHOUT ROWID;
"""


class Store:
    """An open store. Use it as a context manager, or `close` it."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open the store at `path`; create it unless it is to be read only.

        Raises:
            DataError: missing, damaged, not writable, or of a newer schema.
        """
        self.path = path
        self._sketches: dict[str, int] = {}
        self._sketch_by_id: dict[int, Sketch] = {}
        with contextlib.ExitStack() as on_failure:
            try:
                self._db = self._connect(read_only)
                on_failure.callback(self._db.close)
                self._check_schema(read_only)
            except (sqlite3.Error, OSError) as exc:
                raise DataError(
                    f"the store {path} cannot be opened ({exc}); move it away to start a new one"
                ) from exc
            on_failure.pop_all()

    def _connect(self, read_only: bool) -> sqlite3.Connection:
        if read_only:
            # Where no file can be made beside it, nobody writes to it either.
            fixed = "" if os.access(self.path.parent, os.W_OK) else "&immutable=1"
            return sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro{fixed}", uri=True)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return sqlite3.connect(self.path, timeout=60.0, isolation_level=None)

    def _check_schema(self, read_only: bool) -> None:
        version = _version(self._db)
        if version == 0 and self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise sqlite3.DatabaseError("it is another program's")
        if version == 0 and read_only:  # as whoever began it was killed: there is nothing in it
            self._db.close()
            self._db = sqlite3.connect(":memory:", isolation_level=None)
        elif not read_only:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
        if version == 0:
            with self._writing():
                if _version(self._db) == 0:
                    for statement in filter(str.strip, _SCHEMA.split(";")):
                        self._db.execute(statement)
                    self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif version != SCHEMA_VERSION:
            raise DataError(
                f"the store {self.path} has schema {version}, but this version reads {SCHEMA_VERSION}; "
                "install the version that wrote it, or move it away"
            )

    def __enter__(self) -> Store:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction that takes the write lock at once; rolled back if anything is raised."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def add_hardware(self, hardware: Hardware) -> None:
        """Remember what a hardware id stands for."""
        self._execute(
            "INSERT OR IGNORE INTO hardware VALUES (?, ?)", hardware.id, canonical_json(hardware.to_json())
        )

    def hardware(self) -> dict[str, Hardware]:
        """All hardware that was measured on, by id."""
        with self._reading():
            rows = self._db.execute("SELECT id, json FROM hardware ORDER BY id")
            return {id_: Hardware.from_json(json.loads(text)) for id_, text in rows}

    def add_kernels(self, kernels: Iterable[tuple[KernelUse, Workload]]) -> None:
        """Remember which workloads a model consists of, and the sketches that they have by now."""
        with self._guard(), self._writing():
            self._put_kernels(kernels)

    def _put_kernels(self, kernels: Iterable[tuple[KernelUse, Workload]]) -> None:
        for use, workload in kernels:
            self._db.execute(
                "INSERT OR REPLACE INTO workload VALUES (?, ?)",
                (workload.key, canonical_json(workload.to_json())),
            )
            self._db.execute(
                "INSERT OR REPLACE INTO kernel VALUES (?, ?, ?, ?, ?)",
                (use.model, use.workload, use.name, use.calls, use.pipeline),
            )

    def replace_model(self, model: str, pipeline: str, kernels: Iterable[tuple[KernelUse, Workload]]) -> None:
        """Remember what a model is lowered to now. What it was lowered to before stays, with no calls."""
        with self._guard(), self._writing():
            self._db.execute(
                "UPDATE kernel SET calls = 0 WHERE model = ? AND pipeline = ?", (model, pipeline)
            )
            self._put_kernels(kernels)

    def kernels(self) -> list[KernelUse]:
        """Every workload of every model, also of earlier lowerings."""
        with self._reading():
            rows = self._db.execute(
                "SELECT model, workload, name, calls, pipeline FROM kernel ORDER BY model, workload"
            )
            return [KernelUse(*row) for row in rows]

    def workloads(self) -> dict[str, Workload]:
        """All workloads, by key."""
        with self._reading():
            rows = self._db.execute("SELECT key, json FROM workload ORDER BY key")
            return {key: Workload.from_json(json.loads(text)) for key, text in rows}

    def add(self, measurement: Measurement) -> None:
        """Commit one measurement.

        A second one of the same candidate replaces the outcome as `Measurement.measured_after` says.

        Raises:
            DataError: the disk is full, or the file cannot be written.
        """
        with self._guard():
            sketch = self._sketch_id(measurement.schedule.sketch)
            outcome = measurement.outcome
            self._db.execute(
                "INSERT INTO measurement VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET "
                "status = excluded.status, reason = excluded.reason, seconds = excluded.seconds, "
                f"load = excluded.load, measured_at = excluded.measured_at, {_ORIGIN_AFTER} "
                f"WHERE status != 'ok' OR excluded.status NOT IN ({_TRANSIENT})",
                (
                    measurement.workload,
                    measurement.schedule.id,
                    measurement.hardware,
                    measurement.pipeline,
                    sketch,
                    canonical_json(measurement.schedule.decisions),
                    outcome.status.value,
                    outcome.reason,
                    canonical_json([float(f"{s:.6g}") for s in outcome.seconds]),
                    round(outcome.load, 2),
                    measurement.source,
                    measurement.policy,
                    measurement.donor,
                    measurement.seed,
                    measurement.run,
                    round(measurement.measured_at, 1),
                ),
            )

    def measurements(self, workload: str | None = None) -> Iterator[Measurement]:
        """Stored measurements in a fixed order, of one workload or of all.

        Raises:
            DataError: the file is damaged.
        """
        with self._reading():
            yield from self._measurements(workload)

    def _measurements(self, workload: str | None) -> Iterator[Measurement]:
        where, arguments = ("WHERE workload = ?", [workload]) if workload else ("", [])
        rows = self._db.execute(
            "SELECT workload, schedule, sketch, decisions, status, reason, seconds, load, source, hardware, "
            f"pipeline, policy, donor, seed, run, measured_at FROM measurement {where} "
            "ORDER BY workload, schedule, hardware, pipeline",
            arguments,
        )
        while batch := rows.fetchmany(_BATCH_ROWS):
            # One JSON text for all decisions, and one for all times, is read in a quarter of the time.
            all_decisions, all_seconds = (_joined(row[place] for row in batch) for place in (3, 6))
            for row, decisions, seconds in zip(batch, all_decisions, all_seconds, strict=True):
                key, id_, sketch, _, status, reason, _, load, source, *rest = row
                schedule = Schedule.stored(id_, self._sketch(sketch), decisions)
                outcome = Outcome(Status(status), tuple(seconds), reason, load)
                yield Measurement(key, schedule, outcome, source, *rest)

    def copy_to(self, path: Path) -> None:
        """Write everything into a new file, as small as it can be.

        Raises:
            DataError: the file exists, or cannot be written.
        """
        if path.exists():
            raise DataError(f"{path} exists; give the name of a new file")
        self._execute("VACUUM INTO ?", str(path))

    def add_all(self, other: Store) -> int:
        """Take over what another store holds and this one does not. Return the measurements added.

        Of two searches of a kernel, the one with more trials stays.
        """
        have = {(m.workload, m.schedule.id, m.hardware, m.pipeline) for m in self.measurements()}
        known = {(use.model, use.workload, use.pipeline) for use in self.kernels()}
        workloads = other.workloads()
        for hardware in other.hardware().values():
            self.add_hardware(hardware)
        self.add_kernels(
            (use, workloads[use.workload])
            for use in other.kernels()
            if (use.model, use.workload, use.pipeline) not in known and use.workload in workloads
        )
        new = [
            m for m in other.measurements() if (m.workload, m.schedule.id, m.hardware, m.pipeline) not in have
        ]
        for measurement in new:
            self.add(measurement)
        trials = {(s.workload, *s.setting): s.trials for s in self.searches()}
        for search in other.searches():
            if search.trials > trials.get((search.workload, *search.setting), 0):
                self.finish_search(search)
        return len(new)

    def drop_other_pipelines(self, pipeline: str) -> int:
        """Delete measurements of all pipelines but one. Return how many they were."""
        with self._guard(), self._writing():
            deleted = self._db.execute("DELETE FROM measurement WHERE pipeline != ?", (pipeline,)).rowcount
            self._db.execute("DELETE FROM kernel WHERE pipeline != ?", (pipeline,))
            self._db.execute("DELETE FROM search WHERE pipeline != ?", (pipeline,))
        return int(deleted)

    def finish_search(self, search: Search) -> None:
        """Remember that a search ended, so that it is not begun again."""
        self._execute("INSERT OR REPLACE INTO search VALUES (?, ?, ?, ?, ?)", *astuple(search))

    def searches(self) -> list[Search]:
        """Every finished search."""
        with self._reading():
            rows = self._db.execute(
                "SELECT workload, hardware, pipeline, trials, seconds FROM search ORDER BY workload"
            )
            return [Search(*row) for row in rows]

    def _sketch_id(self, sketch: Sketch) -> int:
        text = sketch.canonical
        if text not in self._sketches:
            self._db.execute("INSERT OR IGNORE INTO sketch (json) VALUES (?)", (text,))
            row = self._db.execute("SELECT id FROM sketch WHERE json = ?", (text,)).fetchone()
            self._sketches[text] = row[0]
        return self._sketches[text]

    def _sketch(self, id_: int) -> Sketch:
        if id_ not in self._sketch_by_id:
            row = self._db.execute("SELECT json FROM sketch WHERE id = ?", (id_,)).fetchone()
            self._sketch_by_id[id_] = Sketch.from_json(json.loads(row[0]))
        return self._sketch_by_id[id_]

    def _execute(self, statement: str, *arguments: object) -> None:
        with self._guard():
            self._db.execute(statement, arguments)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """What cannot be read in any of many ways is a damaged file."""
        try:
            yield
        except (sqlite3.Error, ValueError, KeyError, TypeError, IndexError) as exc:
            raise DataError(
                f"the store {self.path} is damaged ({type(exc).__name__}: {exc}); "
                "move it away to start a new one"
            ) from exc

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            raise DataError(
                f"the store {self.path} cannot be written ({exc}); free some space, or make it writable"
            ) from exc


def _joined(texts: Iterable[str]) -> list[Json]:
    """The values of JSON texts."""
    values: list[Json] = json.loads(f"[{','.join(texts)}]")
    return values


_TRANSIENT = ", ".join(f"'{status.value}'" for status in sorted(TRANSIENT))
_ORIGIN_AFTER = ", ".join(
    f"{column} = CASE excluded.source WHEN '{COLD_SEARCH}' THEN excluded.{column} ELSE {column} END"
    for column in ("source", "policy", "donor", "seed", "run")
)


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])
