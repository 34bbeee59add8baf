"""Laws of repair: whatever the donor and the extent, the result is a legal tile."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.repair import POLICIES, divisors, nearest, outermost_kept, scaled
from recommender.vocabulary import SampledTile, Tile

tiles = st.lists(st.integers(1, 128), min_size=2, max_size=4).map(tuple)
extents = st.integers(1, 4096)
bounds = st.sampled_from([16, 64, 128])


@given(tile=tiles, extent=extents, bound=bounds, policy=st.sampled_from(sorted(POLICIES)))
def test_every_policy_gives_a_legal_tile(tile: Tile, extent: int, bound: int, policy: str) -> None:
    repaired = POLICIES[policy](tile, SampledTile(extent, len(tile), bound))

    assert math.prod(repaired) == extent
    assert len(repaired) == len(tile)
    assert repaired[-1] <= bound


@given(tile=tiles, policy=st.sampled_from(sorted(POLICIES)))
def test_a_tile_that_fits_is_kept(tile: Tile, policy: str) -> None:
    sample = SampledTile(math.prod(tile), len(tile), 128)

    assert POLICIES[policy](tile, sample) == tile


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
