"""Candidates for a workload: decisions of donors repaired to its extents, and fallbacks of its own.

Pure: donors and sketches in, schedules out. What TVM makes of them is the harness's business.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from functools import cache, partial
from typing import TypeAlias

from recommender.repair import IN_REGISTERS, TILE_POLICIES, divisors, in_registers, repaired
from recommender.vocabulary import (
    Candidate,
    Decision,
    Donor,
    Hardware,
    SampledChoice,
    SampledLocation,
    SampledTile,
    Schedule,
    Sketch,
    Tile,
    Workload,
)

_Answers: TypeAlias = tuple[tuple[Tile, ...], tuple[int, ...], tuple[int, ...]]
"""Tiles, choices and compute locations, each in the order in which a sketch samples them."""
INLINED, AT_ROOT = -1, -2
"""Two answers to a compute location that every workload has; see `SampledLocation`."""


def transfer_candidates(workload: Workload, donors: Sequence[Donor], hardware: Hardware) -> list[Candidate]:
    """Every distinct schedule that the donors give under some policy, nearest donor first.

    A donor needs a sketch of the same structure (the same tiling), not the same kernel class. Two
    donors that are repaired to the same decisions give one candidate, attributed to the nearer one.
    """
    shapes = {d.workload.key: d.workload for d in donors}
    distances = {key: shape_distance(shape, workload) for key, shape in shapes.items()}
    ordered = sorted(donors, key=lambda d: (distances[d.workload.key], d.rank, d.id))
    matching = cache(partial(_matching_sketch, sketches=workload.sketches))
    found: dict[tuple[int, _Answers], Candidate] = {}
    for donor in ordered:
        sketch = matching(donor.schedule.sketch)
        if sketch is None:
            continue
        for policy, answers in _adapted(donor.schedule, sketch, hardware):
            if (id(sketch), answers) not in found:  # three of four are; the hash of a sketch takes long
                schedule = _schedule(sketch, answers)
                found[id(sketch), answers] = Candidate(workload, schedule, policy, donor)
    return list(found.values())


def shape_distance(a: Workload, b: Workload) -> float:
    """Euclidean distance of two workloads' axes in log2 extents; infinite if they differ in kind.

    This alone, with the same repair, is the nearest-shape baseline.
    """
    if len(a.spatial_extents) != len(b.spatial_extents):
        return math.inf
    if len(a.reduction_extents) != len(b.reduction_extents):
        return math.inf
    pairs = zip(a.extents, b.extents, strict=True)
    return math.sqrt(sum(math.log2(x / y) ** 2 for x, y in pairs))


def _matching_sketch(wanted: Sketch, sketches: Sequence[Sketch]) -> Sketch | None:
    """The sketch of the same structure whose epilogue is computed at the same, or nearest, level.

    Of several, the one that has come about in the same steps.
    """

    def distance(sketch: Sketch) -> tuple[int, bool]:
        return abs(sketch.epilogue_level - wanted.epilogue_level), sketch.steps != wanted.steps

    return min((s for s in sketches if s.structure == wanted.structure), key=distance, default=None)


def _adapted(donor: Schedule, sketch: Sketch, hardware: Hardware) -> Iterator[tuple[str, _Answers]]:
    """A donor's answers to a sketch, under each policy and each choice of open locations."""
    choices, locations = tuple(_choices(donor, sketch)), _locations(donor, sketch)
    for policy, tiles in _repaired(donor, sketch, hardware):
        for places in locations:
            yield policy, (tiles, choices, places)


def _repaired(donor: Schedule, sketch: Sketch, hardware: Hardware) -> Iterator[tuple[str, tuple[Tile, ...]]]:
    answers = [repaired(tile, sample) for tile, sample in zip(donor.tiles, sketch.tiles, strict=True)]
    for policy in TILE_POLICIES:
        yield policy, tuple([answer[policy] for answer in answers])
    nearest = [answer["nearest"] for answer in answers]
    yield IN_REGISTERS, in_registers(nearest, hardware.simd_lanes, hardware.vector_registers)


def _schedule(sketch: Sketch, answers: _Answers) -> Schedule:
    tiles, choices, locations = answers
    in_a_row: tuple[Decision, ...] = (*tiles, *choices, *locations)
    return Schedule(sketch, tuple([in_a_row[place] for place in sketch.answer_order]))


def _choices(donor: Schedule, sketch: Sketch) -> Iterator[int]:
    """The donor's choices by value where the sketch offers it, else the middle one."""
    values = [
        sample.values[decision]
        for sample, decision in zip(donor.sketch.samples, donor.decisions, strict=True)
        if isinstance(sample, SampledChoice) and isinstance(decision, int)
    ]
    wanted = itertools.chain(values, itertools.repeat(None))
    for sample, value in zip(
        (s for s in sketch.samples if isinstance(s, SampledChoice)), wanted, strict=False
    ):
        yield sample.values.index(value) if value in sample.values else len(sample.values) // 2


def _locations(donor: Schedule, sketch: Sketch) -> list[tuple[int, ...]]:
    """The donor's compute locations; where it has fewer than the sketch asks for, both extremes."""
    given = tuple(
        decision
        for sample, decision in zip(donor.sketch.samples, donor.decisions, strict=True)
        if isinstance(sample, SampledLocation) and isinstance(decision, int)
    )
    needed = sum(isinstance(s, SampledLocation) for s in sketch.samples)
    if len(given) >= needed:
        return [given[:needed]]
    missing = needed - len(given)
    return [given + (place,) * missing for place in (INLINED, AT_ROOT)]


def fallback_candidates(workload: Workload, hardware: Hardware) -> list[Candidate]:
    """Sensible schedules of the workload's own design space, the most likely one first.

    They need no library: no kernel stays naive, and whatever is recommended must beat the first.
    """
    found: dict[str, Candidate] = {}
    for sketch in sorted(workload.sketches, key=_preference):
        for answers in _own_answers(sketch, workload, hardware):
            candidate = Candidate(workload, _schedule(sketch, answers), "fallback")
            found.setdefault(candidate.schedule.id, candidate)
    return list(found.values())


def _preference(sketch: Sketch) -> tuple[bool, int]:
    """Plain sketches before factored reductions, epilogues inside the tiles before separate ones."""
    return sketch.rfactor_loop >= 0, -sketch.epilogue_level


def _own_answers(sketch: Sketch, workload: Workload, hardware: Hardware) -> Iterator[_Answers]:
    choices = [s.values for s in sketch.samples if isinstance(s, SampledChoice)]
    n_locations = sum(isinstance(s, SampledLocation) for s in sketch.samples)
    for tiles in _own_tiles(sketch, workload, hardware):
        for unroll in (2, 1, 3, 0):
            picked = tuple(min(unroll, len(values) - 1) for values in choices)
            for place in (INLINED, AT_ROOT, 3) if n_locations else (INLINED,):
                yield tiles, picked, (place,) * n_locations


def _own_tiles(sketch: Sketch, workload: Workload, hardware: Hardware) -> Iterator[tuple[Tile, ...]]:
    """Tilings with whole vectors innermost and a register tile that fits: two sizes of each."""
    lanes = hardware.simd_lanes
    spatial = [i for i, s in enumerate(sketch.tiles) if s.parts == 4]
    # A mean over images has no rows to share among the cores, only channels.
    chunks = hardware.threads // math.prod(sketch.tiles[i].extent for i in spatial[:-1])
    for vectors, rows in ((2, 6), (1, 12), (4, 4), (1, 4)):
        tiles: list[Tile] = []
        for i, sample in enumerate(sketch.tiles):
            if sample.parts == 4:
                last = i == spatial[-1]
                second_last = len(spatial) > 1 and i == spatial[-2]
                inner = lanes * vectors if last else rows if second_last else 1
                tiles.append(_split(sample, inner, 4, chunks) if last else _split(sample, inner))
            else:
                tiles.append(_split_reduction(sample))
        yield tuple(tiles)
        if not spatial:
            return


def _split(sample: SampledTile, inner: int, middle: int = 1, outer: int = 1) -> Tile:
    """[outer, 1, middle, inner] with divisors not above what is asked for, and `outer` or more if it goes."""
    innermost = max(d for d in divisors(sample.extent) if d <= min(inner, sample.max_innermost))
    rest = sample.extent // innermost
    second = max(d for d in divisors(rest) if d == 1 or (d <= middle and rest // d >= outer))
    return (rest // second, 1, second, innermost)


def _split_reduction(sample: SampledTile) -> Tile:
    """[outer, ..., inner] of a reduction: an inner part of 4 or less that unrolls."""
    inner = max(d for d in divisors(sample.extent) if d <= 4)
    return (sample.extent // inner, *(1,) * (sample.parts - 2), inner)
