"""Features of a repaired schedule: what its loop nest asks of registers, caches and cores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recommender.features.nest import LEVELS, Nest, inner_extents, is_tiled, loop_nests, scalar_decisions
from recommender.vocabulary import Candidate, Hardware, Workload

_CACHE_LINE_BYTES = 64
_VECTOR_REGISTERS = 32
_MAX_AXES = 7

NAMES = (
    "is_tiled",
    "unroll_limit",
    "epilogue_level",
    "rfactor_loop",
    "location_first",
    "location_second",
    "location_is_inlined",
    "location_is_root",
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
    "accumulator_registers",
    "accumulator_share",
    "register_tile_rows",
    "inner_reduction",
    "body_log2",
    "body_over_unroll_log2",
    "parallel_chunks_log2",
    "parallel_chunks_two_levels_log2",
    "parallel_imbalance",
    "chunk_flops_log2",
    "weight_line_use",
    "weight_reads_log2",
    "input_reads_log2",
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
    tiled = {s.sketch: is_tiled(s.sketch, workload) for s in schedules}
    scalars = scalar_decisions(candidates)
    columns = [
        np.array([tiled[s.sketch] for s in schedules], dtype=np.float32),
        *scalars.T,
        scalars[:, 3] == -1,
        scalars[:, 3] == -2,
        *_memory(workload, inner, hardware),
        *_registers(workload, nests, scalars[:, 0], hardware),
        *_parallelism(workload, nests, hardware),
        *_streams(workload, nests, inner),
        *_factors(workload, nests),
    ]
    return np.column_stack(columns).astype(np.float32)


def footprints(workload: Workload, inner: Nest) -> NDArray[np.float64]:
    """Bytes that each access touches inside each level: [accesses, candidates, 6].

    An index with step c over n iterations spans 1 + |c| (n - 1) elements, at most the dimension.
    """
    axes = len(workload.extents)
    spans = inner[:, :axes, :].astype(np.float64) - 1
    result = np.ones((len(workload.accesses), inner.shape[0], LEVELS))
    for row, access in enumerate(workload.accesses):
        steps = np.abs(np.array(access.coefficients, dtype=np.float64).reshape(-1, axes))
        for dimension, extent in enumerate(access.shape):
            reach = 1 + np.einsum("a,nal->nl", steps[dimension], spans)
            result[row] *= np.minimum(reach, extent)
        result[row] *= access.item_bytes
    return result


def _memory(workload: Workload, inner: Nest, hardware: Hardware) -> list[NDArray[np.float64]]:
    touched = footprints(workload, inner)
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
) -> list[NDArray[np.float64]]:
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
        accumulators,
        accumulators / _VECTOR_REGISTERS,
        rows,
        reduction,
        np.log2(body),
        np.log2(body / vector / np.maximum(unroll, 1)),
    ]


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


def _streams(workload: Workload, nests: Nest, inner: Nest) -> list[NDArray[np.float64]]:
    """How often the two inputs are read again, and how much of a cache line of weights is used."""
    n_spatial = len(workload.spatial_extents)
    touched = footprints(workload, inner)
    reads = [row for row, access in enumerate(workload.accesses) if not access.is_write]
    calls = np.prod(nests[:, :, :3].astype(np.float64), axis=(1, 2))
    traffic = [np.log2(touched[row, :, 3] * calls / np.maximum(touched[row, :, 0], 1)) for row in reads[:2]]
    traffic += [np.zeros(len(nests))] * (2 - len(traffic))
    line: NDArray[np.float64] = np.ones(len(nests))
    if n_spatial:
        line = np.minimum(inner[:, n_spatial - 1, 3] * 4 / _CACHE_LINE_BYTES, 1.0)
    return [line, traffic[1], traffic[0]]


def _factors(workload: Workload, nests: Nest) -> list[NDArray[np.float64]]:
    """Factors of the last four spatial and last three reduction axes; absent axes count as 1."""
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
