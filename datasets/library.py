"""The schedule library: the good and distinct schedules that measurements show, with their lineage.

A schedule comes from the models whose kernel it was searched for. One that was transferred descends
from its donor too: leaving a model out leaves out whatever descends from it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from recommender.datasets.records import KernelUse, Measurement
from recommender.vocabulary import Donor, Workload

PER_WORKLOAD = 4
"""Schedules kept for each kernel: a donor's second best may transfer better than its best."""
WITHIN = 1.3
"""Kept are those at most this many times as slow as the kernel's best."""


def build_library(
    measurements: Iterable[Measurement],
    kernels: Iterable[KernelUse],
    workloads: Mapping[str, Workload],
    *,
    hardware: str,
    pipeline: str,
    exclude_models: Collection[str] = (),
) -> list[Donor]:
    """Donors for one hardware and pipeline, without anything that comes from the excluded models.

    A workload that occurs in several models is left out only if all of them are.
    """
    origins = _origins(kernels)
    excluded = frozenset(exclude_models)
    kept: dict[str, dict[str, Measurement]] = defaultdict(dict)
    for m in measurements:
        if m.outcome.ok and m.hardware == hardware and m.pipeline == pipeline:
            kept[m.workload][m.schedule.id] = m
    lineage = _Lineage(kept, origins)
    donors: list[Donor] = []
    for key in sorted(kept):
        if key not in workloads:
            continue
        usable = [m for m in kept[key].values() if lineage.allowed(m, excluded)]
        usable.sort(key=lambda m: (m.outcome.median_seconds, m.schedule.id))
        donors += _best_distinct(usable, workloads[key], lineage)
    return donors


def _origins(kernels: Iterable[KernelUse]) -> dict[str, frozenset[str]]:
    models: dict[str, set[str]] = defaultdict(set)
    for use in kernels:
        models[use.workload].add(use.model)
    return {key: frozenset(names) for key, names in models.items()}


class _Lineage:
    """Whether a measurement, or any donor that it descends from, comes from excluded models only."""

    def __init__(
        self, kept: Mapping[str, Mapping[str, Measurement]], origins: Mapping[str, frozenset[str]]
    ) -> None:
        self._kept, self.origins = kept, origins

    def allowed(self, measurement: Measurement, excluded: frozenset[str]) -> bool:
        return all(not key_origins or key_origins - excluded for key_origins in self.chain(measurement))

    def chain(self, measurement: Measurement) -> list[frozenset[str]]:
        """Models of the workload itself, then of every donor that the schedule descends from."""
        chain = [self.origins.get(measurement.workload, frozenset())]
        open_donors, seen = _donors(measurement), {f"{measurement.workload}/{measurement.schedule.id}"}
        while open_donors:
            donor = open_donors.pop()
            if donor in seen:
                continue
            seen.add(donor)
            key, _, schedule = donor.partition("/")
            chain.append(self.origins.get(key, frozenset()))
            parent = self._kept.get(key, {}).get(schedule)
            if parent is not None:
                open_donors += _donors(parent)
        return chain


def _donors(measurement: Measurement) -> list[str]:
    """A search that started from several donors' schedules names all of them."""
    return measurement.donor.split(",") if measurement.donor else []


def _best_distinct(usable: list[Measurement], workload: Workload, lineage: _Lineage) -> list[Donor]:
    """The best schedules of a workload, at most one for each tiling."""
    donors: list[Donor] = []
    tilings: set[object] = set()
    for m in usable:
        tiling = (m.schedule.sketch.structure, m.schedule.tiles)
        if tiling in tilings and m.schedule.tiles:
            continue
        if m.outcome.median_seconds > WITHIN * usable[0].outcome.median_seconds:
            break
        tilings.add(tiling)
        origins = frozenset().union(*lineage.chain(m))
        donors.append(Donor(m.schedule, workload, m.outcome.median_seconds, origins, rank=len(donors)))
        if len(donors) == PER_WORKLOAD:
            break
    return donors
