"""Features of a pair: how far the donor's kernel is from this one, and what repair had to change."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recommender.repair import POLICIES
from recommender.vocabulary import Candidate, Donor, Workload

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


def encode_pairs(workload: Workload, candidates: Sequence[Candidate]) -> NDArray[np.float32]:
    """Encode the donors of one workload's candidates: [candidates, len(NAMES)].

    A candidate without a donor has 0 in the first column and NaN elsewhere, which XGBoost reads as
    missing.
    """
    rows = np.full((len(candidates), len(NAMES)), np.nan, dtype=np.float32)
    rows[:, 0] = 0
    about: dict[str, list[float]] = {}
    for row, candidate in enumerate(candidates):
        donor = candidate.donor
        if donor is None:
            continue
        if donor.id not in about:
            about[donor.id] = _about_donor(workload, donor)
        facts = about[donor.id]
        rows[row, 1:-3] = [*facts[:-3], _POLICY_INDEX[candidate.policy], *_repair(candidate, donor)]
        rows[row, -3:] = facts[-3:]
        rows[row, 0] = 1
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


def _repair(candidate: Candidate, donor: Donor) -> tuple[int, float, float, bool]:
    """Tiles that changed, total and innermost change in log2, and whether a location was made up."""
    before, after = donor.schedule.tiles, candidate.schedule.tiles
    changed = sum(a != b for a, b in zip(before, after, strict=True))
    gaps = [
        [abs(math.log2(x / y)) for x, y in zip(a, b, strict=True)] for a, b in zip(before, after, strict=True)
    ]
    locations = len(candidate.schedule.decisions) > len(donor.schedule.decisions)
    return changed, sum(map(sum, gaps)), sum(g[-1] for g in gaps), locations
