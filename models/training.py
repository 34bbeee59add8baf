"""From stored measurements to a trained ranker."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata

import numpy as np
import xgboost
from numpy.typing import NDArray

from recommender.datasets.layers import Data
from recommender.datasets.lineage import Lineage
from recommender.datasets.records import Measurement
from recommender.errors import DataError
from recommender.features import FEATURES_HASH, encode
from recommender.models.artefact import RankerCard
from recommender.models.boosted import BoostedRanker, Objective
from recommender.models.contract import Groups, Matrix, Rows, Vector
from recommender.repair import POLICIES
from recommender.vocabulary import Candidate, Donor, Hardware, digest

OTHER_MACHINE_WEIGHT = 0.3
"""What another machine's outcome weighs, of a workload that was measured on the machine trained for too."""


@dataclass(frozen=True)
class TrainingSet:
    """Rows of measured candidates. `y` is log2 of seconds over the best of the workload, NaN if failed.

    `groups` numbers the workloads in `workloads`, each measured on the machine of the same place in
    `machines`; `is_transfer` marks rows that have a donor, `donors` has its `Donor.id` ("" without one).
    `measured_at` is in seconds since 1970.
    """

    X: Matrix
    y: Vector
    groups: Groups
    seconds: Vector
    workloads: tuple[str, ...]
    donors: NDArray[np.str_] = field(repr=False)
    measured_at: Vector = field(repr=False)
    machines: tuple[str, ...]

    @property
    def is_transfer(self) -> Rows:
        """Which rows have a donor."""
        return np.asarray(self.donors != "")

    def only(self, rows: Rows) -> TrainingSet:
        """The rows that a boolean mask keeps."""
        return TrainingSet(
            self.X[rows],
            self.y[rows],
            self.groups[rows],
            self.seconds[rows],
            self.workloads,
            self.donors[rows],
            self.measured_at[rows],
            self.machines,
        )

    def usable(self) -> TrainingSet:
        """The rows of workloads of which something ran."""
        return self.only(np.isin(self.groups, np.unique(self.groups[np.isfinite(self.seconds)])))

    def judged_by_itself(self) -> TrainingSet:
        """The same rows, `y` relative to the best that is still there of each workload."""
        return replace(self, y=_log2_ratios(self.seconds, self.groups))

    def lessons(self) -> TrainingSet:
        """What a ranker learns from: transfers, compared with each other; all there is where none ran.

        A search holds the best of its kernel, and has no donor. It would teach that what has none is good,
        and a kernel's untuned schedules, which have none either, are not (docs/decisions.md).

        Raises:
            DataError: nothing ran.
        """
        lessons = self.only(_lessons(self.is_transfer, self.seconds)).usable()
        if not len(lessons.y):
            raise DataError(
                f"none of {len(self.y)} measured candidates ran, so there is nothing to learn from; "
                "measure others (recommender collect MODEL), or train on more outcomes"
            )
        return lessons.judged_by_itself()

    def without(self, workloads: Collection[str]) -> TrainingSet:
        """The rows of other workloads."""
        left_out = [group for group, key in enumerate(self.workloads) if key in workloads]
        return self.only(~np.isin(self.groups, left_out))


def training_set(
    data: Data,
    hardware: Collection[Hardware],
    pipeline: str,
    exclude_models: Collection[str] = (),
    workloads: Container[str] | None = None,
    library: Data | None = None,
    lessons_only: bool = False,
) -> TrainingSet:
    """Encode every measured candidate, of some workloads or of all, that does not come from excluded models.

    A workload that was measured on several machines makes a group on each. Candidates are transfers from
    donors of `library`, by default of the data itself without the excluded models. With `lessons_only` the
    rest is not encoded, which takes most of the time; see `TrainingSet.lessons`.

    A candidate's donor is the one that it was made from when it was measured. It counts only if it comes
    from other models than those that the workload occurs in: what else was measured is the workload's own.
    Times from a busy machine count only where a kernel has no others.

    Raises:
        DataError: nothing was measured on this hardware.
    """
    by_id = {h.id: h for h in hardware}
    allowed = data.without_models(exclude_models)
    source = library.without_models(exclude_models) if library else allowed
    measured = _by_workload_and_machine(allowed, by_id, pipeline, workloads)
    if not measured:
        names = ", ".join(sorted(by_id)) or "this kind of hardware"
        raise DataError(
            f"nothing was measured on {names} with pipeline {pipeline}; run: recommender tune --cold MODEL"
        )
    everything = [m for group in measured.values() for m in group]
    donors = {h.id: source.past_donors(everything, h, pipeline) for h in hardware}
    keys = sorted(measured)
    parts = [_Part.of(data, _sure(measured[key, id_]), donors[id_]) for key, id_ in keys]
    groups = np.repeat(np.arange(len(parts), dtype=np.int64), [len(part.seconds) for part in parts])
    seconds = np.concatenate([part.seconds for part in parts])
    donor_ids = np.concatenate([part.donor_ids for part in parts])
    kept = _lessons(donor_ids != "", seconds) if lessons_only else np.full(len(groups), True)
    per_part = zip(parts, np.split(kept, np.flatnonzero(np.diff(groups)) + 1), keys, strict=True)
    return TrainingSet(
        X=np.vstack([part.encoded(rows, by_id[id_]) for part, rows, (_, id_) in per_part]),
        y=_log2_ratios(seconds, groups)[kept],
        groups=groups[kept],
        seconds=seconds[kept],
        workloads=tuple(key for key, _ in keys),
        donors=donor_ids[kept],
        measured_at=np.concatenate([part.measured_at for part in parts])[kept],
        machines=tuple(id_ for _, id_ in keys),
    )


def _by_workload_and_machine(
    data: Data, machines: Container[str], pipeline: str, workloads: Container[str] | None
) -> dict[tuple[str, str], list[Measurement]]:
    measured: dict[tuple[str, str], list[Measurement]] = defaultdict(list)
    for m in data.measurements:
        is_here = m.hardware in machines and m.pipeline == pipeline and m.workload in data.workloads
        if is_here and (workloads is None or m.workload in workloads):
            measured[m.workload, m.hardware].append(m)
    return measured


def _lessons(is_transfer: Rows, seconds: Vector) -> Rows:
    """Transfers; every row where none of them ran."""
    return is_transfer if np.isfinite(seconds[is_transfer]).any() else np.full(len(seconds), True)


def _log2_ratios(seconds: Vector, groups: Groups) -> Vector:
    """log2 of seconds over the best of the group; NaN for what failed."""
    best = np.full(int(groups.max(initial=-1)) + 1, np.inf)
    np.minimum.at(best, groups, seconds)
    with np.errstate(invalid="ignore"):  # infinite over infinite, where nothing of a workload ran
        return np.where(np.isfinite(seconds), np.log2(seconds / best[groups]), np.nan)


def _sure(measured: list[Measurement]) -> list[Measurement]:
    """Without times from a busy machine, which may be twice too long, unless nothing else would be left."""
    sure = [m for m in measured if not m.outcome.is_unsure]
    return sure if any(m.outcome.ok for m in sure) else measured


@dataclass(frozen=True)
class _Part:
    """What was measured of one workload on one machine, a candidate a row."""

    candidates: Sequence[Candidate]
    seconds: Vector
    donor_ids: NDArray[np.str_]
    measured_at: Vector

    @classmethod
    def of(cls, data: Data, measured: Sequence[Measurement], donors: Mapping[str, Donor]) -> _Part:
        workload = data.workloads[measured[0].workload]
        candidates = [
            Candidate(workload, m.schedule, m.policy, _donor(m, donors, data.lineage)) for m in measured
        ]
        return cls(
            candidates,
            seconds=np.array([m.outcome.median_seconds for m in measured]),
            donor_ids=np.array([c.donor.id if c.donor else "" for c in candidates]),
            measured_at=np.array([m.measured_at for m in measured]),
        )

    def encoded(self, rows: Rows, hardware: Hardware) -> Matrix:
        chosen = [c for c, is_kept in zip(self.candidates, rows, strict=True) if is_kept]
        return encode(self.candidates[0].workload, chosen, hardware)


def _donor(m: Measurement, donors: Mapping[str, Donor], lineage: Lineage) -> Donor | None:
    """What a search made of the donors that it started from is no transfer any more."""
    is_transfer = m.policy in POLICIES and lineage.is_transfer(m)
    return donors.get(m.donor or "") if is_transfer else None


def train_ranker(
    data: Data,
    hardware: Hardware,
    pipeline: str,
    *,
    exclude_models: Collection[str] = (),
    objective: Objective = "relative-speed",
    seed: int = 0,
    threads: int | None = None,
) -> tuple[BoostedRanker, RankerCard]:
    """Train for one run, on what was measured on `hardware` and its relatives, without excluded models.

    Raises:
        DataError: nothing to train on, or nothing of it ran.
    """
    data = data.without_models(exclude_models)
    rows = training_set(data, data.relatives(hardware), pipeline, lessons_only=True)
    ranker = fit_ranker(rows, hardware.id, objective, seed, threads)
    return ranker, describe_ranker(data, rows, hardware.id, objective, seed, exclude_models)


def fit_ranker(
    rows: TrainingSet,
    hardware: str,
    objective: Objective = "relative-speed",
    seed: int = 0,
    threads: int | None = None,
) -> BoostedRanker:
    """Train on the rows' `lessons`, weighted by `machine_weights`.

    Raises:
        DataError: nothing ran.
    """
    rows = rows.lessons()
    return BoostedRanker(objective=objective, seed=seed, threads=threads).fit(
        rows.X, rows.y, rows.groups, sample_weight=machine_weights(rows, hardware)
    )


def machine_weights(rows: TrainingSet, hardware: str) -> Vector:
    """A weight for each row, less where it is of another machine than `hardware`, which knows better itself.

    It does of the workloads that were measured on it. Of the rest, another machine's outcomes are all there
    is: where the search of one model was all that a machine had, they would be drowned by it.
    """
    measured = [(rows.workloads[group], rows.machines[group]) for group in np.unique(rows.groups)]
    known = {key for key, machine in measured if machine == hardware}
    by_group = np.array(
        [
            OTHER_MACHINE_WEIGHT if key in known and machine != hardware else 1.0
            for key, machine in zip(rows.workloads, rows.machines, strict=True)
        ]
    )
    return np.asarray(by_group[rows.groups])


def describe_ranker(
    data: Data,
    rows: TrainingSet,
    hardware: str,
    objective: Objective = "relative-speed",
    seed: int = 0,
    exclude_models: Collection[str] = (),
) -> RankerCard:
    """The page about a ranker that is trained on these rows of the data, for hardware of that id."""
    rows = rows.lessons()
    learned = {rows.workloads[group] for group in np.unique(rows.groups)}
    used = data.without_models(exclude_models).measurements
    models = data.lineage.models_of(m for m in used if m.workload in learned)
    return RankerCard(
        features_hash=FEATURES_HASH,
        data_digest=_digest(rows),
        rows=len(rows.y),
        workloads=len(learned),
        objective=objective,
        settings=BoostedRanker().trees,
        hardware=hardware,
        seed=seed,
        exclude_models=tuple(sorted(exclude_models)),
        models=tuple(sorted(models)),
        measured_until=float(rows.measured_at.max()),
        trained_at=time.strftime("%Y-%m-%d"),
        versions={
            "apache-tvm": metadata.version("apache-tvm"),
            "xgboost": xgboost.__version__,
            "numpy": np.__version__,
        },
    )


def _digest(rows: TrainingSet) -> str:
    """Of every candidate's seconds, None if it failed, with the workload and the machine that they are of."""
    seconds = [round(float(s), 9) if np.isfinite(s) else None for s in rows.seconds]
    return digest([rows.workloads, rows.machines, rows.groups.tolist(), seconds])
