"""Features of a pair: how far the donor's kernel is from this one, and what repair had to change."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from recommender.repair import POLICIES
from recommender.vocabulary import Candidate, Donor, Schedule, Workload

_AXES = 7

NAMES = (
    "has_donor",
    *(f"extent_ratio_log2_{axis}" for axis in range(_AXES)),
    "shape_distance",
    "flops_ratio_log2",
    "same_class",
    "same_extents",
    "same_operators_share",
    "policy",
    "tiles_changed",
    "repair_distance",
    "inner_repair_distance",
    "location_was_open",
    "donor_gflops_log2",
    "donor_rank",
    "donor_expected_log2_seconds",
)
_POLICY_INDEX = {name: i for i, name in enumerate(POLICIES)}
_Pair: TypeAlias = tuple[int, Candidate, Donor]
"""The row of a candidate, and what it was made from."""


def encode_pairs(workload: Workload, candidates: Sequence[Candidate]) -> NDArray[np.float32]:
    """Encode the donors of one workload's candidates: [candidates, len(NAMES)].

    A candidate without a donor has 0 in the first column and NaN elsewhere, which XGBoost reads as
    missing.
    """
    rows = np.full((len(candidates), len(NAMES)), np.nan, dtype=np.float32)
    rows[:, 0] = 0
    about: dict[str, list[float]] = {}
    pairs: dict[tuple[int, ...], list[_Pair]] = defaultdict(list)
    for row, candidate in enumerate(candidates):
        donor = candidate.donor
        if donor is None:
            continue
        if donor.id not in about:
            about[donor.id] = _about_donor(workload, donor)
        pairs[candidate.schedule.sketch.structure[0]].append((row, candidate, donor))
    for parts, alike in pairs.items():
        places = [row for row, _, _ in alike]
        facts = np.array([about[donor.id] for _, _, donor in alike])
        policies = np.array([_POLICY_INDEX[candidate.policy] for _, candidate, _ in alike])
        rows[places] = np.column_stack(
            [np.ones(len(alike)), facts[:, :-3], policies, _repair(alike, parts), facts[:, -3:]]
        )
    return rows


def _about_donor(workload: Workload, donor: Donor) -> list[float]:
    ratios = _ratios(workload.spatial_extents, donor.workload.spatial_extents, 4)
    ratios += _ratios(workload.reduction_extents, donor.workload.reduction_extents, 3)
    flops, donor_flops = max(workload.flops, 1.0), max(donor.workload.flops, 1.0)
    ours, theirs = set(workload.operators), set(donor.workload.operators)
    return [
        *ratios,
        math.sqrt(sum(r * r for r in ratios)),
        math.log2(flops / donor_flops),
        workload.kernel_class == donor.workload.kernel_class,
        workload.extents == donor.workload.extents,
        len(ours & theirs) / len(ours | theirs),
        math.log2(donor_flops / donor.median_seconds / 1e9),
        donor.rank,
        math.log2(flops / donor_flops * donor.median_seconds),
    ]


def _ratios(ours: tuple[int, ...], theirs: tuple[int, ...], width: int) -> list[float]:
    """log2 of the ratios of the last `width` extents, padded with 0 in front."""
    pairs = list(zip(ours[::-1], theirs[::-1], strict=False))[:width][::-1]
    return [0.0] * (width - len(pairs)) + [math.log2(a / b) for a, b in pairs]


def _repair(pairs: Sequence[_Pair], parts: tuple[int, ...]) -> NDArray[np.float64]:
    """Tiles that changed, total and innermost change in log2, and whether a location was made up: [pairs, 4].

    The tiles of each schedule have these numbers of parts.
    """
    before = _factors([donor.schedule for _, _, donor in pairs], parts)
    after = _factors([candidate.schedule for _, candidate, _ in pairs], parts)
    gaps = np.abs(np.log2(before / after))
    lengths = np.array(parts, dtype=np.int64)
    ends = np.cumsum(lengths)
    made_up = [len(c.schedule.decisions) > len(d.schedule.decisions) for _, c, d in pairs]
    return np.column_stack(
        [
            np.logical_or.reduceat(gaps > 0, ends - lengths, axis=1).sum(axis=1),
            gaps.sum(axis=1),
            gaps[:, ends - 1].sum(axis=1),
            made_up,
        ]
    )


def _factors(schedules: Sequence[Schedule], parts: tuple[int, ...]) -> NDArray[np.float64]:
    """All factors of all tiles: [schedules, sum of parts]."""
    tiles = itertools.chain.from_iterable(schedule.tiles for schedule in schedules)
    shape = len(schedules), sum(parts)
    return np.fromiter(itertools.chain.from_iterable(tiles), np.float64, math.prod(shape)).reshape(shape)
