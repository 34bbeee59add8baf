"""Laws of repair: whatever the donor and the extent, the result is a legal tile."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.repair import TILE_POLICIES, divisors, in_registers, nearest, outermost_kept, scaled
from recommender.vocabulary import SampledTile, Tile

tiles = st.lists(st.integers(1, 128), min_size=2, max_size=4).map(tuple)
extents = st.integers(1, 4096)
bounds = st.sampled_from([16, 64, 128])


@given(tile=tiles, extent=extents, bound=bounds, policy=st.sampled_from(sorted(TILE_POLICIES)))
def test_every_tile_policy_gives_a_legal_tile(tile: Tile, extent: int, bound: int, policy: str) -> None:
    repaired = TILE_POLICIES[policy](tile, SampledTile(extent, len(tile), bound))

    assert math.prod(repaired) == extent
    assert len(repaired) == len(tile)
    assert repaired[-1] <= bound


@given(tile=tiles, policy=st.sampled_from(sorted(TILE_POLICIES)))
def test_a_tile_that_fits_is_kept(tile: Tile, policy: str) -> None:
    sample = SampledTile(math.prod(tile), len(tile), 128)

    assert TILE_POLICIES[policy](tile, sample) == tile


@given(number=st.integers(1, 10_000))
def test_divisors_are_exactly_the_divisors(number: int) -> None:
    assert list(divisors(number)) == [d for d in range(1, number + 1) if number % d == 0]


@pytest.mark.parametrize(
    ("tile", "extent", "expected"),
    [
        ((1, 2, 1, 8), 14, (1, 2, 1, 7)),  # TVM's own replay gives (1, 1, 1, 14)
        ((2, 2, 4, 1), 14, (1, 2, 7, 1)),
        ((4, 1, 1, 16), 1000, (50, 1, 1, 20)),
        ((1, 1, 1, 1), 7, (7, 1, 1, 1)),
    ],
)
def test_nearest_keeps_the_shape_of_the_donor(tile: Tile, extent: int, expected: Tile) -> None:
    assert nearest(tile, SampledTile(extent, 4, 64)) == expected


def test_scaled_stretches_the_middle_and_keeps_the_vector() -> None:
    assert scaled((2, 2, 2, 16), SampledTile(512, 4, 64)) == (2, 4, 4, 16)


def test_outermost_kept_keeps_the_parallel_chunks() -> None:
    assert outermost_kept((8, 1, 1, 8), SampledTile(128, 4, 64))[0] == 8


def test_a_tile_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="2 factors"):
        nearest((4, 4), SampledTile(16, 4, 64))


spatial_tiles = st.lists(st.tuples(*[st.sampled_from([1, 2, 3, 4, 6, 7, 8, 14, 16, 32, 64])] * 4), max_size=4)
reductions = st.lists(st.tuples(st.integers(1, 64), st.integers(1, 16)), max_size=3)
lanes_and_registers = st.sampled_from([(4, 16), (4, 32), (8, 16), (16, 32)])


def registers_of(tiles: list[Tile], lanes: int) -> int:
    """Vectors of results, one row of the second operand, and one broadcast element."""
    inner = [tile[-1] for tile in tiles if len(tile) == 4]
    vectors = math.ceil(inner[-1] / lanes)
    return math.prod(inner[:-1]) * vectors + vectors + 1


@given(spatial=spatial_tiles, reduction=reductions, machine=lanes_and_registers)
def test_a_register_tile_fits_and_no_extent_changes(
    spatial: list[Tile], reduction: list[Tile], machine: tuple[int, int]
) -> None:
    lanes, registers = machine

    fitted = in_registers([*spatial, *reduction], lanes, registers)

    assert fitted[len(spatial) :] == tuple(reduction)
    for before, after in zip(spatial, fitted, strict=False):
        assert math.prod(after) == math.prod(before)
        assert after[:2] == before[:2]
        assert before[-1] % after[-1] == 0
    if spatial:
        assert registers_of(list(fitted[: len(spatial)]), lanes) <= registers
        if registers_of(spatial, lanes) <= registers:
            assert fitted == (*spatial, *reduction)


def test_a_register_tile_of_avx512_is_cut_where_avx2_spills() -> None:
    tiles = [(8, 1, 2, 8), (4, 1, 6, 32), (192, 4)]

    assert in_registers(tiles, 16, 32) == tuple(tiles)
    assert in_registers(tiles, 8, 16) == ((8, 1, 4, 4), (4, 1, 12, 16), (192, 4))
