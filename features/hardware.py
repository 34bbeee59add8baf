"""Features of the hardware, so that outcomes of several machines can train one ranker."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from recommender.vocabulary import Hardware

NAMES = (
    "threads",
    "simd_lanes",
    "l1_log2_bytes",
    "l2_log2_bytes",
    "l3_log2_bytes",
    "has_fma",
    "cold_weights",
)


def encode_hardware(hardware: Hardware) -> NDArray[np.float32]:
    """One row: [len(NAMES)]."""
    values = [
        hardware.threads,
        hardware.simd_lanes,
        math.log2(hardware.l1_bytes),
        math.log2(hardware.l2_bytes),
        math.log2(hardware.l3_bytes),
        "fma" in hardware.features or "avx512f" in hardware.features,
        hardware.cold_weight_bytes > 0,
    ]
    return np.array(values, dtype=np.float32)
