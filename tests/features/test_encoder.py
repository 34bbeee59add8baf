"""Features: shapes and names, and the laws of the quantities that they claim to be."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.candidates import fallback_candidates, transfer_candidates
from recommender.features import FEATURE_NAMES, encode, feature_groups
from recommender.features.nest import inner_extents, loop_nests
from recommender.features.schedule import footprints, lines_per_set
from recommender.vocabulary import Candidate, SampledChoice, SampledLocation, Schedule, Sketch
from tests.recommender.test_candidates import DONOR, HARDWARE, matmul


def column(matrix: np.ndarray, name: str) -> np.ndarray:
    return matrix[:, FEATURE_NAMES.index(name)]


def test_names_are_unique_and_grouped() -> None:
    assert len(set(FEATURE_NAMES)) == len(FEATURE_NAMES)
    assert sum(s.stop - s.start for s in feature_groups().values()) == len(FEATURE_NAMES)


@given(m=st.integers(1, 64), n=st.integers(1, 64), k=st.integers(1, 64))
@settings(max_examples=30, deadline=None)
def test_one_finite_row_for_each_candidate(m: int, n: int, k: int) -> None:
    workload = matmul(m, n, k)
    own, transfers = fallback_candidates(workload, HARDWARE), transfer_candidates(workload, [DONOR], HARDWARE)

    X = encode(workload, own + transfers, HARDWARE)

    assert X.shape == (len(own) + len(transfers), len(FEATURE_NAMES))
    assert X.dtype == np.float32
    assert np.isfinite(X[len(own) :]).all()  # a candidate without donor has missing pair features
    pair = feature_groups()["pair"]
    assert np.isfinite(np.delete(X[: len(own)], np.arange(pair.start + 1, pair.stop), axis=1)).all()


def test_nothing_gives_an_empty_matrix() -> None:
    assert encode(matmul(2, 2, 2), [], HARDWARE).shape == (0, len(FEATURE_NAMES))


@given(m=st.integers(1, 40), n=st.integers(1, 40), k=st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_a_nest_multiplies_to_the_extents(m: int, n: int, k: int) -> None:
    workload = matmul(m, n, k)
    schedules = [c.schedule for c in fallback_candidates(workload, HARDWARE)]

    nests = loop_nests(workload, schedules)

    assert (nests.prod(axis=2) == workload.extents).all()
    assert (inner_extents(nests)[:, :, 0] == workload.extents).all()


def test_footprints_count_the_touched_elements() -> None:
    workload = matmul(12, 16, 8)
    schedules = [c.schedule for c in fallback_candidates(workload, HARDWARE)][:4]
    inner = inner_extents(loop_nests(workload, schedules))

    counted = footprints(workload, inner)

    for row, level in itertools.product(range(len(schedules)), range(6)):
        m, n, k = inner[row, :, level]
        a = set(itertools.product(range(m), range(k)))
        assert counted[0, row, level] == 4 * len(a)
        assert counted[1, row, level] == 4 * k * n
        assert counted[2, row, level] == 4 * m * n


@given(rows=st.integers(1, 48), lines=st.integers(1, 300), columns=st.integers(1, 16))
def test_lines_of_rows_are_counted_by_the_set_that_they_fall_in(rows: int, lines: int, columns: int) -> None:
    """Rows of a row-major matrix whose rows are whole lines, 64 sets of 64 bytes."""
    access = matmul(48, 16, 16 * lines).accesses[0]
    inner = np.array([rows, 1, columns])[None, :, None].repeat(6, axis=2)

    counted = lines_per_set(access, inner)

    touched = {(row * 64 * lines + column * 4) // 64 for row in range(rows) for column in range(columns)}
    fullest = max(Counter(line % 64 for line in touched).values())
    assert np.ceil(counted).tolist() == [[fullest] * 6]


def test_a_vector_of_whole_registers_wastes_nothing() -> None:
    workload = matmul(96, 128, 64)
    first = fallback_candidates(workload, HARDWARE)[:1]

    X = encode(workload, first, HARDWARE)

    assert column(X, "schedule.inner_vector_waste") == pytest.approx(1.0)
    assert column(X, "schedule.inner_vector") % HARDWARE.simd_lanes == 0


@pytest.mark.parametrize(
    ("m", "n", "k", "extent", "strides"),
    [
        ((2, 1, 4, 8), (2, 1, 1, 16), (4, 8), 16, (1, 0, 1)),  # along a row of the output: a vector
        ((2, 1, 4, 8), (2, 1, 16, 1), (4, 8), 8, (32, 32, 0)),  # down a column of it
        ((2, 1, 32, 1), (2, 1, 16, 1), (4, 8), 8, (0, 1, 32)),  # along the reduction
        ((2, 1, 32, 1), (2, 1, 16, 1), (32, 1), 16, (1, 0, 1)),  # further out, and along a row again
    ],
)
def test_strides_are_those_of_the_innermost_loop(
    m: tuple[int, ...], n: tuple[int, ...], k: tuple[int, ...], extent: int, strides: tuple[int, ...]
) -> None:
    workload = matmul(64, 32, 32)
    X = encode(workload, [Candidate(workload, Schedule(workload.sketches[0], (m, n, k, 0)), "own")], HARDWARE)

    assert column(X, "schedule.innermost_extent_log2") == np.log2(extent)
    for access, stride in zip(("output", "input", "weight"), strides, strict=True):
        assert column(X, f"schedule.innermost_{access}_stride_log2") == pytest.approx(np.log2(1 + stride))


@pytest.mark.parametrize(("vector", "pieces"), [(15, 4), (12, 2), (16, 1), (24, 2), (1, 1)])
def test_odd_vectors_are_cut_into_powers_of_two(vector: int, pieces: int) -> None:
    workload = matmul(64, 8 * vector, 32)
    schedule = Schedule(workload.sketches[0], ((64, 1, 1, 1), (8, 1, 1, vector), (32, 1), 0))

    X = encode(workload, [Candidate(workload, schedule, "own")], HARDWARE)

    assert column(X, "schedule.inner_vector_pieces") == pieces


def test_what_repair_changed_is_counted_in_doublings() -> None:
    workload = matmul(96, 64, 32)  # the donor's tiles: (4, 1, 4, 4), (2, 1, 2, 16), (8, 4)
    schedule = Schedule(workload.sketches[0], ((4, 3, 2, 4), (2, 1, 2, 16), (2, 16), 2))

    X = encode(workload, [Candidate(workload, schedule, "nearest", DONOR)], HARDWARE)

    assert column(X, "pair.tiles_changed") == 2
    assert column(X, "pair.repair_distance") == pytest.approx((np.log2(3) + 1) + (2 + 2))
    assert column(X, "pair.inner_repair_distance") == pytest.approx(2)
    assert column(X, "pair.location_was_open") == 0


@given(st.permutations(range(12)))
@settings(max_examples=20, deadline=None)
def test_a_candidate_has_the_same_features_in_any_company(order: list[int]) -> None:
    workload = matmul(60, 84, 90)
    transfers = transfer_candidates(workload, [DONOR], HARDWARE)
    every = (transfers + fallback_candidates(workload, HARDWARE))[: len(order)]

    together = encode(workload, [every[i] for i in order], HARDWARE)

    alone = np.vstack([encode(workload, [every[i]], HARDWARE) for i in order])
    np.testing.assert_array_equal(together, alone)


def test_encoding_is_fast() -> None:
    import time

    workload = matmul(60, 84, 90)
    candidates = transfer_candidates(workload, [DONOR], HARDWARE) * 400

    start = time.perf_counter()
    encode(workload, candidates, HARDWARE)

    assert len(candidates) / (time.perf_counter() - start) > 5_000


def test_a_producer_inside_the_element_loop_is_told_from_one_beside_the_rows() -> None:
    """A decision names a loop; what it costs depends on how many loops the anchor's spatial axes are."""
    sketch = Sketch((SampledChoice((0, 16)), SampledLocation(), SampledLocation()))
    workload = replace(matmul(4, 8, 16), sketches=(sketch,))

    def depths(*locations: int) -> list[float]:
        candidate = Candidate(workload, Schedule(sketch, (0, *locations)), "fallback")
        X = encode(workload, [candidate], HARDWARE)
        return [float(column(X, f"schedule.location_depth_{n}")[0]) for n in ("first", "second", "third")]

    beside_rows, inside = depths(1, 0), depths(2, 0)
    assert (beside_rows[0], inside[0]) == (0.0, 1.0)
    inlined, root, absent = depths(-1, -2)
    assert len({inlined, root, absent}) == 3
    assert max(inlined, root, absent) < depths(0, 0)[0]
