"""The tiled loop nest of many candidates as one array.

CPU sketches tile a kernel's spatial axes in four parts and its reduction axes in two, in the order
SSRSRS, outermost first. A nest is an integer array [candidates, axes, 6 levels] of loop extents, with
1 where an axis has no loop at a level; the product over the levels is the axis's extent.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recommender.vocabulary import Candidate, SampledChoice, SampledLocation, Schedule, Sketch, Workload

SPATIAL_LEVELS = (0, 1, 3, 5)
REDUCTION_LEVELS = (2, 4)
LEVELS = 6
LOCATIONS = 3
"""So many compute locations of a schedule are told apart."""
NOT_SAMPLED = -3
"""What a compute location is that the sketch does not ask for; see `SampledLocation` for the others."""

Nest = NDArray[np.int64]


def is_tiled(sketch: Sketch, workload: Workload) -> bool:
    """Whether the sketch tiles every axis of the workload's anchor in the SSRSRS pattern."""
    parts = [tile.parts for tile in sketch.tiles]
    return (
        sketch.rfactor_loop < 0
        and parts.count(4) == len(workload.spatial_extents)
        and parts.count(2) == len(workload.reduction_extents)
        and len(parts) > 0
    )


def loop_nests(workload: Workload, schedules: Sequence[Schedule]) -> Nest:
    """The nests of a workload's schedules; untiled ones have every axis at its outermost level."""
    n_spatial = len(workload.spatial_extents)
    nests = np.ones((len(schedules), max(len(workload.extents), 1), LEVELS), dtype=np.int64)
    nests[:, :n_spatial, SPATIAL_LEVELS[0]] = workload.spatial_extents
    nests[:, n_spatial : len(workload.extents), REDUCTION_LEVELS[0]] = workload.reduction_extents
    for sketch, rows in _by_sketch(schedules).items():
        if not is_tiled(sketch, workload):
            continue
        tiles = [schedules[row].tiles for row in rows]
        spatial = [i for i, tile in enumerate(sketch.tiles) if tile.parts == 4]
        reduction = [i for i, tile in enumerate(sketch.tiles) if tile.parts == 2]
        for axis, tile in enumerate(spatial):
            nests[np.ix_(rows, [axis], SPATIAL_LEVELS)] = _column(tiles, tile)
        for axis, tile in enumerate(reduction):
            nests[np.ix_(rows, [n_spatial + axis], REDUCTION_LEVELS)] = _column(tiles, tile)
    return nests


def _by_sketch(schedules: Sequence[Schedule]) -> dict[Sketch, list[int]]:
    groups: dict[Sketch, list[int]] = {}
    for row, schedule in enumerate(schedules):
        groups.setdefault(schedule.sketch, []).append(row)
    return groups


def _column(tiles: Sequence[tuple[tuple[int, ...], ...]], index: int) -> Nest:
    return np.array([row[index] for row in tiles], dtype=np.int64)[:, None, :]


def inner_extents(nests: Nest) -> Nest:
    """Extent of each axis from a level inwards: [candidates, axes, 6], level 0 being the whole axis."""
    return np.cumprod(nests[:, :, ::-1], axis=2)[:, :, ::-1]


def innermost_loops(nests: Nest, n_spatial: int) -> tuple[Nest, Nest]:
    """The innermost loop with more than one step: its axis and its extent, [candidates] each.

    Where no loop has more, any axis and 1.
    """
    spatial, reduction = range(n_spatial), range(n_spatial, nests.shape[1])
    order = [
        (axis, level)
        for level in reversed(range(LEVELS))
        for axis in reversed(spatial if level in SPATIAL_LEVELS else reduction)
    ]
    axes, levels = np.array(order).T
    extents = nests[:, axes, levels]
    first = np.argmax(extents > 1, axis=1)
    return axes[first], np.take_along_axis(extents, first[:, None], axis=1)[:, 0]


def scalar_decisions(candidates: Sequence[Candidate]) -> NDArray[np.float32]:
    """Per candidate: unroll limit, epilogue level, rfactor loop, number of locations, the first LOCATIONS."""
    cache: dict[Sketch, tuple[list[int], list[int]]] = {}
    rows = np.full((len(candidates), 4 + LOCATIONS), NOT_SAMPLED, dtype=np.float32)
    for row, candidate in enumerate(candidates):
        sketch, decisions = candidate.schedule.sketch, candidate.schedule.decisions
        if sketch not in cache:
            cache[sketch] = (
                [i for i, s in enumerate(sketch.samples) if isinstance(s, SampledChoice)],
                [i for i, s in enumerate(sketch.samples) if isinstance(s, SampledLocation)],
            )
        choices, locations = cache[sketch]
        if choices:
            rows[row, 0] = sketch.samples[choices[0]].values[decisions[choices[0]]]  # type: ignore[union-attr,index]
        rows[row, 1:4] = sketch.epilogue_level, sketch.rfactor_loop, len(locations)
        for column, index in enumerate(locations[:LOCATIONS]):
            rows[row, 4 + column] = decisions[index]
    return rows
