"""Features of a repaired schedule: what its loop nest asks of registers, caches and cores."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recommender.features.nest import (
    LEVELS,
    Nest,
    inner_extents,
    innermost_loops,
    is_tiled,
    loop_nests,
    scalar_decisions,
)
from recommender.vocabulary import Access, Candidate, Hardware, Workload

_CACHE_LINE_BYTES = 64
_MAX_AXES = 7
_L1_SETS = 64
"""On x86 the sets of the first-level cache hold one page, so that a page's offset names the set."""

NAMES = (
    "is_tiled",
    "unroll_limit",
    "epilogue_level",
    "rfactor_loop",
    "locations",
    *(f"location_depth_{place}" for place in ("first", "second", "third")),
    *(f"working_set_log2_bytes_{level}" for level in range(1, LEVELS)),
    *(f"output_tile_log2_bytes_{level}" for level in range(1, LEVELS)),
    *(f"intensity_log2_{level}" for level in range(1, LEVELS)),
    *(f"iterations_log2_{level}" for level in range(1, LEVELS)),
    "l1_use_log2",
    "l2_use_log2",
    "l3_use_log2",
    "inner_vector",
    "inner_vector_registers",
    "inner_vector_waste",
    "inner_fused_vector",
    "inner_vector_pieces",
    "accumulator_registers",
    "accumulator_share",
    "register_tile_rows",
    "inner_reduction",
    "body_log2",
    "body_over_unroll_log2",
    "innermost_extent_log2",
    *(f"innermost_{access}_stride_log2" for access in ("output", "input", "weight")),
    "parallel_chunks_log2",
    "parallel_chunks_two_levels_log2",
    "parallel_imbalance",
    "chunk_flops_log2",
    "weight_line_use",
    "weight_reads_log2",
    "input_reads_log2",
    "input_conflicts_log2",
    "weight_conflicts_log2",
    *(f"inner_factor_log2_{axis}" for axis in range(_MAX_AXES)),
    *(f"second_factor_log2_{axis}" for axis in range(_MAX_AXES)),
    *(f"outer_factor_log2_{axis}" for axis in range(_MAX_AXES)),
)
"""In the order of the columns of `encode_schedules`."""

Matrix = NDArray[np.float32]


def encode_schedules(workload: Workload, candidates: Sequence[Candidate], hardware: Hardware) -> Matrix:
    """Encode candidates of one workload: [candidates, len(NAMES)], sizes in log2."""
    schedules = [c.schedule for c in candidates]
    nests = loop_nests(workload, schedules)
    inner = inner_extents(nests)
    touched = footprints(workload, inner)
    tiled = {s.sketch: is_tiled(s.sketch, workload) for s in schedules}
    scalars = scalar_decisions(candidates)
    columns = [
        np.array([tiled[s.sketch] for s in schedules], dtype=np.float32),
        *scalars[:, :4].T,
        *_location_depths(workload, scalars[:, 4:]).T,
        *_memory(workload, inner, touched, hardware),
        *_registers(workload, nests, scalars[:, 0], hardware),
        *_innermost(workload, nests),
        *_parallelism(workload, nests, hardware),
        *_streams(workload, nests, inner, touched),
        *_conflicts(workload, inner, hardware),
        *_factors(workload, nests),
    ]
    return np.column_stack(columns).astype(np.float32)


def _location_depths(workload: Workload, locations: Matrix) -> Matrix:
    """How many loops a producer is computed in beyond those of the spatial axes: [candidates, LOCATIONS].

    A reduction that is computed in more is computed again for each element: in layer norms a thousand times.
    """
    elsewhere = locations - 10  # inlined, at the root or not sampled: below what any loop gives
    return np.where(locations < 0, elsewhere, locations + 1 - len(workload.spatial_extents))


def footprints(workload: Workload, inner: Nest) -> NDArray[np.float64]:
    """Bytes that each access touches inside each level: [accesses, candidates, 6].

    An index with step c over n iterations spans 1 + |c| (n - 1) elements, at most the dimension.
    """
    touched = [access.item_bytes * np.prod(_reaches(access, inner), axis=0) for access in workload.accesses]
    return np.array(touched).reshape(len(touched), len(inner), LEVELS)


def _reaches(access: Access, inner: Nest) -> NDArray[np.float64]:
    """How many indices of each dimension are touched inside each level: [dimensions, candidates, 6]."""
    steps = np.abs(
        np.array(access.coefficients, dtype=np.float64).reshape(len(access.shape), -1 if access.shape else 0)
    )
    reach = 1 + np.einsum("da,nal->dnl", steps, inner[:, : steps.shape[1]].astype(np.float64) - 1)
    limit = np.array(access.shape, dtype=np.float64)[:, None, None]
    return np.asarray(np.minimum(reach, limit))


def lines_per_set(access: Access, inner: Nest) -> NDArray[np.float64]:
    """Lines that each level touches in the fullest set of a first-level cache: [candidates, 6].

    Rows at a distance that shares a large power of two with the page fall in few sets, and evict each other
    however small they are together (Lam, Rothberg and Wolf, ASPLOS 1991). Dimensions count as independent.
    """
    page = _L1_SETS * _CACHE_LINE_BYTES
    strides = [access.item_bytes * math.prod(access.shape[d + 1 :]) for d in range(len(access.shape))]
    lines, sets = np.ones((2, len(inner), LEVELS))
    for stride, reach in zip(strides, _reaches(access, inner), strict=True):
        own = np.maximum(reach * min(stride / _CACHE_LINE_BYTES, 1.0), 1.0)
        lines, sets = lines * own, sets * np.minimum(own, page // math.gcd(stride, page))
    return np.asarray(lines / np.minimum(sets, _L1_SETS))


def _memory(
    workload: Workload, inner: Nest, touched: NDArray[np.float64], hardware: Hardware
) -> list[NDArray[np.float64]]:
    total = touched.sum(axis=0)
    writes = [row for row, access in enumerate(workload.accesses) if access.is_write]
    output = touched[writes].sum(axis=0)
    iterations = np.prod(inner.astype(np.float64), axis=1)
    logs = np.log2(total), np.log2(np.maximum(output, 1)), np.log2(iterations / total), np.log2(iterations)
    columns = [log[:, level] for log in logs for level in range(1, LEVELS)]
    caches = ((3, hardware.l1_bytes), (2, hardware.l2_bytes), (1, hardware.l3_bytes))
    return columns + [np.log2(total[:, level] / size) for level, size in caches]


def _registers(
    workload: Workload, nests: Nest, unroll: Matrix, hardware: Hardware
) -> list[NDArray[np.float64] | NDArray[np.int64]]:
    n_spatial, axes = len(workload.spatial_extents), len(workload.extents)
    inner = nests[:, :n_spatial, 5].astype(np.float64)
    vector = inner[:, -1] if n_spatial else np.ones(len(nests))
    registers = np.ceil(vector / hardware.simd_lanes)
    fused = np.cumprod(inner[:, ::-1], axis=1)
    fused_vector = np.max(np.where(fused <= 64, fused, 1), axis=1) if n_spatial else vector
    rows = np.prod(inner, axis=1) / vector
    accumulators = rows * registers
    reduction = np.prod(nests[:, n_spatial:axes, 4], axis=1).astype(np.float64)
    body = np.prod(inner, axis=1) * reduction
    return [
        vector,
        registers,
        registers * hardware.simd_lanes / vector,
        fused_vector,
        _pieces(vector.astype(np.int64), hardware.simd_lanes),
        accumulators,
        accumulators / hardware.vector_registers,
        rows,
        reduction,
        np.log2(body),
        np.log2(body / vector / np.maximum(unroll, 1)),
    ]


def _pieces(vector: NDArray[np.int64], lanes: int) -> NDArray[np.int64]:
    """How many vectors of powers of two LLVM cuts one of any length into: 15 is 8 + 4 + 2 + 1."""
    bits = np.arange(lanes.bit_length())
    return np.asarray(vector // lanes + ((vector % lanes)[:, None] >> bits & 1).sum(axis=1))


def _innermost(workload: Workload, nests: Nest) -> list[NDArray[np.float64]]:
    """How far the innermost loop steps through the output and the first two inputs, in log2 of 1 + elements.

    TVM vectorises it if it steps by one; else LLVM may, or the kernel is computed in scalars.
    """
    axis, extent = innermost_loops(nests, len(workload.spatial_extents))
    writes = [access for access in workload.accesses if access.is_write]
    reads = [access for access in workload.accesses if not access.is_write]
    strides = [np.log2(1 + _strides(access, nests.shape[1])[axis]) for access in writes[:1] + reads[:2]]
    return [np.log2(extent), *strides] + [np.full(len(nests), -1.0)] * (3 - len(strides))


def _strides(access: Access, axes: int) -> NDArray[np.float64]:
    """Elements from one step of each axis to the next: [axes]."""
    strides = np.zeros(axes)
    for dimension, steps in enumerate(access.coefficients):
        strides[: len(steps)] += np.abs(steps) * math.prod(access.shape[dimension + 1 :])
    return strides


def _parallelism(workload: Workload, nests: Nest, hardware: Hardware) -> list[NDArray[np.float64]]:
    n_spatial = len(workload.spatial_extents)
    chunks = np.prod(nests[:, :n_spatial, 0], axis=1).astype(np.float64)
    both = chunks * np.prod(nests[:, :n_spatial, 1], axis=1)
    rounds = np.ceil(chunks / hardware.threads)
    return [
        np.log2(chunks),
        np.log2(both),
        rounds * hardware.threads / chunks,
        np.log2(max(workload.flops, 1.0) / chunks),
    ]


def _streams(
    workload: Workload, nests: Nest, inner: Nest, touched: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """How often the two inputs are read again, and how much of a cache line of weights is used."""
    n_spatial = len(workload.spatial_extents)
    reads = [row for row, access in enumerate(workload.accesses) if not access.is_write]
    calls = np.prod(nests[:, :, :3].astype(np.float64), axis=(1, 2))
    traffic = [np.log2(touched[row, :, 3] * calls / np.maximum(touched[row, :, 0], 1)) for row in reads[:2]]
    traffic += [np.zeros(len(nests))] * (2 - len(traffic))
    line: NDArray[np.float64] = np.ones(len(nests))
    if n_spatial:
        line = np.minimum(inner[:, n_spatial - 1, 3] * 4 / _CACHE_LINE_BYTES, 1.0)
    return [line, traffic[1], traffic[0]]


def _conflicts(workload: Workload, inner: Nest, hardware: Hardware) -> list[NDArray[np.float64]]:
    """What the two inputs ask of a set of the first-level cache, over its ways, in log2.

    In one step of the outer reduction loop, as its lines are used again in the next.
    """
    ways = hardware.l1_bytes / (_L1_SETS * _CACHE_LINE_BYTES)
    reads = [access for access in workload.accesses if not access.is_write][:2]
    wanted = [np.log2(lines_per_set(access, inner)[:, 3] / ways) for access in reads]
    return wanted + [np.full(len(inner), -np.log2(ways))] * (2 - len(wanted))


def _factors(workload: Workload, nests: Nest) -> list[NDArray[np.float64]]:
    """Factors of the last four spatial and last three reduction axes; absent axes count as 1.

    A reduction has two levels only, so that its outer factors stand twice: trees draw them twice as often,
    and choose worse without the copy (docs/decisions.md).
    """
    n_spatial, axes = len(workload.spatial_extents), len(workload.extents)
    padded = np.ones((len(nests), _MAX_AXES, LEVELS))
    spatial, reduction = nests[:, :n_spatial][:, -4:], nests[:, n_spatial:axes][:, -3:]
    padded[:, 4 - spatial.shape[1] : 4] = spatial
    padded[:, 7 - reduction.shape[1] : 7] = reduction
    logs = np.log2(padded)
    innermost = np.concatenate([logs[:, :4, 5], logs[:, 4:, 4]], axis=1)
    second = np.concatenate([logs[:, :4, 3], logs[:, 4:, 2]], axis=1)
    outer = np.concatenate([logs[:, :4, 0], logs[:, 4:, 2]], axis=1)
    return [*innermost.T, *second.T, *outer.T]
