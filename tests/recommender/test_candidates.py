"""Candidates: what donors give, what a workload has of its own, and nothing twice."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.candidates import fallback_candidates, shape_distance, transfer_candidates
from recommender.vocabulary import (
    Access,
    Donor,
    Hardware,
    SampledChoice,
    SampledLocation,
    SampledTile,
    Schedule,
    Sketch,
    Workload,
)

HARDWARE = Hardware("test", "x86_64", 64, 2, 32 << 10, 1 << 20, 32 << 20)


def matmul(m: int, n: int, k: int, *, padded: bool = False, key: str = "") -> Workload:
    """A matrix product as the adapter would describe it."""
    samples = (
        SampledTile(m, 4, 64),
        SampledTile(n, 4, 64),
        SampledTile(k, 2, 64),
        SampledChoice((0, 16, 64, 512)),
    ) + ((SampledLocation(),) if padded else ())
    return Workload(
        key=key or f"{m}x{n}x{k}",
        operators=("matmul", "T_add"),
        spatial_extents=(m, n),
        reduction_extents=(k,),
        accesses=(
            Access((m, k), ((1, 0, 0), (0, 0, 1)), 4, False),
            Access((k, n), ((0, 0, 1), (0, 1, 0)), 4, False),
            Access((m, n), ((1, 0, 0), (0, 1, 0)), 4, True),
        ),
        argument_shapes=((m, k), (k, n), (m, n)),
        argument_types=("float32",) * 3,
        flops=2.0 * m * n * k,
        sketches=(Sketch(samples, -1), Sketch(samples, 1), Sketch(samples, 2)),
    )


def donor_of(workload: Workload, sketch: int, *decisions: object, seconds: float = 1e-3) -> Donor:
    schedule = Schedule(workload.sketches[sketch], tuple(decisions))  # type: ignore[arg-type]
    return Donor(schedule, workload, seconds, frozenset({"other"}), frozenset({"other"}))


DONOR = donor_of(matmul(64, 64, 32), 2, (4, 1, 4, 4), (2, 1, 2, 16), (8, 4), 2)

sizes = st.integers(1, 300)


@given(m=sizes, n=sizes, k=sizes, padded=st.booleans())
@settings(max_examples=60)
def test_every_candidate_is_a_legal_schedule_and_occurs_once(m: int, n: int, k: int, padded: bool) -> None:
    workload = matmul(m, n, k, padded=padded)

    candidates = transfer_candidates(workload, [DONOR], HARDWARE) + fallback_candidates(workload, HARDWARE)

    for candidate in candidates:  # Schedule itself refuses what does not fit its sketch
        assert candidate.schedule.sketch in workload.sketches
    own = fallback_candidates(workload, HARDWARE)
    assert len({c.schedule.id for c in own}) == len(own)


def test_the_same_shape_takes_over_the_donor_as_it_is() -> None:
    candidates = transfer_candidates(matmul(64, 64, 32), [DONOR], HARDWARE)

    assert [c.schedule for c in candidates] == [DONOR.schedule]


def test_a_donor_of_another_epilogue_gives_the_nearest_level() -> None:
    workload = matmul(64, 64, 32)
    workload = replace(workload, sketches=workload.sketches[:2])

    (candidate,) = transfer_candidates(workload, [DONOR], HARDWARE)

    assert candidate.schedule.sketch.epilogue_level == 1


def test_a_donor_of_another_structure_gives_nothing() -> None:
    plain = replace(matmul(8, 8, 8), sketches=(Sketch((SampledChoice((0, 16)),)),))

    assert transfer_candidates(plain, [DONOR], HARDWARE) == []


def test_a_location_that_the_donor_lacks_is_tried_both_ways() -> None:
    candidates = transfer_candidates(matmul(64, 64, 32, padded=True), [DONOR], HARDWARE)

    assert {c.schedule.decisions[-1] for c in candidates} == {-1, -2}


def test_two_donors_that_are_repaired_to_one_schedule_count_once_for_the_nearer() -> None:
    far = donor_of(matmul(128, 64, 32, key="far"), 2, (8, 1, 4, 4), (2, 1, 2, 16), (8, 4), 2)

    candidates = transfer_candidates(matmul(64, 64, 32), [far, DONOR], HARDWARE)

    kept = [c for c in candidates if c.schedule == DONOR.schedule]
    assert [c.donor for c in kept] == [DONOR]


def test_the_first_fallback_has_whole_vectors_innermost() -> None:
    first = fallback_candidates(matmul(96, 128, 64), HARDWARE)[0]

    assert first.schedule.tiles[1][-1] % HARDWARE.simd_lanes == 0


@given(n=st.sampled_from([32, 48, 64, 96, 160]))
def test_a_fallback_of_one_row_shares_the_columns_among_the_cores(n: int) -> None:
    tiles = [c.schedule.tiles[1] for c in fallback_candidates(matmul(1, n, 64), HARDWARE)]

    assert any(outer >= HARDWARE.threads and last % HARDWARE.simd_lanes == 0 for outer, _, _, last in tiles)


def test_shape_distance_is_a_metric_on_extents() -> None:
    a, b, c = matmul(8, 8, 8), matmul(16, 8, 8), matmul(16, 32, 8)

    assert shape_distance(a, a) == 0
    assert shape_distance(a, b) == shape_distance(b, a) == pytest.approx(1.0)
    assert shape_distance(a, c) <= shape_distance(a, b) + shape_distance(b, c)
    assert shape_distance(a, replace(a, spatial_extents=(8,))) == math.inf


def test_a_donor_of_wider_vectors_also_gives_a_candidate_whose_register_tile_fits_here() -> None:
    narrow = replace(HARDWARE, simd_bytes=32, features=("avx2", "fma"))
    wide = replace(HARDWARE, features=("avx512f",))
    donor = donor_of(matmul(64, 64, 32), 2, (4, 1, 2, 8), (2, 1, 1, 32), (8, 4), 2)

    there = transfer_candidates(matmul(64, 64, 32), [donor], wide)
    here = transfer_candidates(matmul(64, 64, 32), [donor], narrow)

    assert "in-registers" not in {c.policy for c in there}  # it fits, and nothing is made twice
    (fitted,) = [c for c in here if c.policy == "in-registers"]
    assert fitted.schedule.tiles == ((4, 1, 4, 4), (2, 1, 2, 16), (8, 4))
