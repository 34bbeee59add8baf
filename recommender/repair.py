"""Adapts a donor's decisions to another workload's extents. Pure: no TVM, no clock, no randomness.

TVM's own replay lets the first factor that does not divide swallow its whole loop: `[1, 2, 1, 8]` on
14 becomes `[1, 1, 1, 14]`. So decisions are repaired before they are replayed. Every policy returns
factors whose product is the extent and whose innermost factor keeps its bound.

Four policies answer each tile by itself. The fifth looks at all tiles of a schedule together, and at the
vector registers of the hardware: donors that were tuned on a machine with more of them spill on others.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from recommender.vocabulary import SampledTile, Tile


@lru_cache(maxsize=65536)
def divisors(number: int) -> tuple[int, ...]:
    """All divisors of a positive number, ascending."""
    small = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    return tuple(small + [number // d for d in reversed(small) if d * d != number])


def nearest(tile: Tile, sample: SampledTile) -> Tile:
    """At each level, innermost first, the divisor of what remains nearest to the donor's factor.

    Nearest in log space; of two equally near ones the larger. What remains goes to the outermost.
    """
    return _inside_out(tile, sample, _nearest_divisor)


def at_most(tile: Tile, sample: SampledTile) -> Tile:
    """The largest divisor not above the donor's factor: never more registers or cache than there."""
    return _inside_out(tile, sample, lambda rest, wanted: max(d for d in divisors(rest) if d <= wanted))


def scaled(tile: Tile, sample: SampledTile) -> Tile:
    """Factors stretched with the extent (Bayesian Code Diffusion, OSDI 2025, equations 8 and 9).

    The innermost factor, which fits the vector registers, keeps its size; the others share the ratio
    of the extents, so that the loop nest keeps its proportions.
    """
    ratio = sample.extent / math.prod(tile)
    inner = max(len(tile) - 2, 1)
    stretched = [factor * ratio ** (1 / inner) for factor in tile[1:-1]]
    return _inside_out((1, *stretched, tile[-1]), sample, _nearest_divisor)


def outermost_kept(tile: Tile, sample: SampledTile) -> Tile:
    """The donor's outermost factor, which gives the parallel chunks, is met before the middle ones."""
    outer = _nearest_divisor(sample.extent, tile[0])
    inner = SampledTile(sample.extent // outer, sample.parts - 1, sample.max_innermost)
    if sample.parts < 2 or not _fits(inner):
        return nearest(tile, sample)
    return (outer, *nearest(tile[1:], inner))


TILE_POLICIES: Mapping[str, Callable[[Tile, SampledTile], Tile]] = {
    "nearest": nearest,
    "at-most": at_most,
    "scaled": scaled,
    "outermost-kept": outermost_kept,
}
IN_REGISTERS = "in-registers"
POLICIES = (*TILE_POLICIES, IN_REGISTERS)
"""Names of all policies. The last is that of `in_registers` after `nearest`."""


@lru_cache(maxsize=1 << 16)
def repaired(tile: Tile, sample: SampledTile) -> Mapping[str, Tile]:
    """A donor's tile under each tile policy, by name; remembered, as donors share most of their tiles."""
    return {name: policy(tile, sample) for name, policy in TILE_POLICIES.items()}


def in_registers(tiles: Sequence[Tile], lanes: int, registers: int) -> tuple[Tile, ...]:
    """Repaired tiles with a register tile that fits; what is taken from it goes to the next level.

    The register tile is the innermost part of the spatial tiles, those of four parts, whose last one runs
    through vectors. It needs a register for each of its vectors of results, one for each vector of the
    second operand and one for a broadcast element of the first (Goto and van de Geijn 2008, section 6.1).

    Args:
        tiles: of all axes, spatial ones before reductions, as `nearest` leaves them.
        lanes: numbers that a vector register holds.
        registers: vector registers of the hardware.
    """
    spatial = [place for place, tile in enumerate(tiles) if len(tile) == _SPATIAL_PARTS]
    inner = _fitting(tuple(tiles[place][-1] for place in spatial), lanes, registers)
    fitted = list(tiles)
    for place, factor in zip(spatial, inner, strict=True):
        *outer, middle, innermost = tiles[place]
        fitted[place] = (*outer, middle * (innermost // factor), factor)
    return tuple(fitted)


_SPATIAL_PARTS = 4


@lru_cache(maxsize=1 << 16)
def _fitting(inner: tuple[int, ...], lanes: int, registers: int) -> tuple[int, ...]:
    """Divisors of the factors of a register tile that fit, with the most arithmetic for each load."""

    def shape(factors: tuple[int, ...]) -> tuple[int, int]:
        return math.prod(factors[:-1]), math.ceil(factors[-1] / lanes)

    def fits(factors: tuple[int, ...]) -> bool:
        rows, vectors = shape(factors)
        return rows * vectors + vectors + 1 <= registers

    def preference(factors: tuple[int, ...]) -> tuple[float, int, tuple[int, ...]]:
        rows, vectors = shape(factors)
        return rows * factors[-1] / (rows + vectors), math.prod(factors), factors

    if not inner or fits(inner):
        return inner
    return max(filter(fits, itertools.product(*map(divisors, inner))), key=preference)


def _fits(sample: SampledTile) -> bool:
    """Whether a sample with one part only respects its innermost bound."""
    return sample.parts > 1 or sample.extent <= sample.max_innermost


def _nearest_divisor(number: int, wanted: float) -> int:
    return min(divisors(number), key=lambda d: (abs(math.log(d / wanted)), -d))


def _inside_out(tile: Tile, sample: SampledTile, pick: Callable[[int, float], int]) -> Tile:
    if len(tile) != sample.parts:
        raise ValueError(f"a tile of {len(tile)} factors cannot answer {sample}")
    rest = sample.extent
    factors: list[int] = []
    for level, wanted in enumerate(reversed(tile[1:])):
        allowed = pick(rest, wanted)
        if level == 0:
            allowed = max(d for d in divisors(rest) if d <= min(allowed, sample.max_innermost))
        factors.append(allowed)
        rest //= allowed
    return (rest, *reversed(factors))
