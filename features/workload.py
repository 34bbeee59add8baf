"""Features of a workload alone: its shape, its work and the kind of its anchor."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from recommender.vocabulary import Workload

_SPATIAL, _REDUCTION = 4, 3

NAMES = (
    *(f"spatial_log2_{axis}" for axis in range(_SPATIAL)),
    *(f"reduction_log2_{axis}" for axis in range(_REDUCTION)),
    "n_spatial",
    "n_reduction",
    "flops_log2",
    "bytes_log2",
    "intensity_log2",
    "output_log2",
    "reduction_log2",
    "n_operators",
    "n_arguments",
    "stride",
    "channel_is_reduced",
    "has_padding",
    "has_transcendental",
)
_TRANSCENDENTAL = frozenset({"exp", "tanh", "erf", "sigmoid"})


def encode_workload(workload: Workload) -> NDArray[np.float32]:
    """One row: [len(NAMES)], sizes in log2."""
    flops, size = max(workload.flops, 1.0), max(workload.argument_bytes, 1)
    values = [
        *_logs(workload.spatial_extents, _SPATIAL),
        *_logs(workload.reduction_extents, _REDUCTION),
        len(workload.spatial_extents),
        len(workload.reduction_extents),
        math.log2(flops),
        math.log2(size),
        math.log2(flops / size),
        math.log2(max(math.prod(workload.spatial_extents), 1)),
        math.log2(max(math.prod(workload.reduction_extents), 1)),
        len(workload.operators),
        len(workload.argument_shapes),
        _stride(workload),
        _channel_is_reduced(workload),
        "pad_temp" in workload.operators,
        any(not _TRANSCENDENTAL.isdisjoint(_words(operator)) for operator in workload.operators),
    ]
    return np.array(values, dtype=np.float32)


def _words(operator: str) -> list[str]:
    """The words of an operator's name, without the number that tells it from others of its kind."""
    return operator.rstrip("0123456789").split("_")


def _logs(extents: tuple[int, ...], width: int) -> list[float]:
    """log2 of the last `width` extents, padded with 0 in front."""
    kept = [math.log2(max(e, 1)) for e in extents[-width:]]
    return [0.0] * (width - len(kept)) + kept


def _stride(workload: Workload) -> int:
    """The largest step with which the anchor walks an input along a spatial axis."""
    n = len(workload.spatial_extents)
    steps = [abs(s) for a in workload.accesses if not a.is_write for row in a.coefficients for s in row[:n]]
    return max(steps, default=1)


def _channel_is_reduced(workload: Workload) -> bool:
    """False for depthwise convolutions and poolings, which keep the innermost spatial axis apart."""
    n = len(workload.spatial_extents)
    reads = [a for a in workload.accesses if not a.is_write and a.coefficients]
    return not (reads and n and all(any(row[n - 1] for row in a.coefficients) for a in reads))
