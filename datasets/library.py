"""The schedule library: the good and distinct schedules that measurements show, with their lineage.

A schedule comes from the models whose kernel it was searched for. One that was transferred descends
from its donor too: leaving a model out leaves out whatever descends from it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from recommender.datasets.lineage import Lineage
from recommender.datasets.records import Measurement
from recommender.vocabulary import Donor, Workload

PER_WORKLOAD = 4
"""Schedules kept for each kernel: a donor's second best may transfer better than its best."""
WITHIN = 1.3
"""Kept are those at most this many times as slow as the kernel's best."""


def build_library(
    measurements: Iterable[Measurement],
    workloads: Mapping[str, Workload],
    lineage: Lineage,
    exclude_models: Collection[str] = (),
) -> list[Donor]:
    """Donors from the measurements of one setting, without anything that comes from the excluded models.

    A workload that occurs in several models is left out only if all of them are.
    """
    usable: dict[str, list[Measurement]] = defaultdict(list)
    for m in measurements:
        if m.outcome.ok and m.workload in workloads and lineage.allowed(m, exclude_models):
            usable[m.workload].append(m)
    donors: list[Donor] = []
    for key in sorted(usable):
        donors += _best_distinct(usable[key], workloads[key], lineage)
    return donors


def _best_distinct(usable: list[Measurement], workload: Workload, lineage: Lineage) -> list[Donor]:
    """The best schedules of a workload, at most one for each tiling."""
    donors: list[Donor] = []
    tilings: set[object] = set()
    slowest = WITHIN * min(m.outcome.median_seconds for m in usable)
    near = [m for m in usable if m.outcome.median_seconds <= slowest]
    for m in sorted(near, key=lambda m: (m.outcome.median_seconds, m.schedule.id)):
        tiling = (m.schedule.sketch.structure, m.schedule.tiles)
        if tiling in tilings and m.schedule.tiles:
            continue
        tilings.add(tiling)
        donors.append(lineage.donor(m, workload, rank=len(donors)))
        if len(donors) == PER_WORKLOAD:
            break
    return donors
