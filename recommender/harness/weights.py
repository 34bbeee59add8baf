"""Weights as a kernel meets them in a model: out of the caches, because other kernels' came between.

A kernel called again and again on the same weights reads them from the caches, and schedules that read
them several times, or in jumps, look better than they are (docs/decisions.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tvm
from numpy.typing import NDArray

from recommender.harness.guarded import ALIGNMENT, aligned

COLD_WEIGHT_BYTES = 64 << 20
"""Weights that pass between two readings of the same: about those of a model of middling size."""
_MOST_COPIES = 64
"""Weights of less than a megabyte stay in the last cache, as those of a small model do."""
_PATTERN = 1 << 16


class PassingWeights:
    """Memory that stands in for the weights of other kernels. What is in it does not matter for times."""

    def __init__(self) -> None:
        """Take `COLD_WEIGHT_BYTES` of memory, full of normal numbers: others may be slow to compute with."""
        numbers = np.random.default_rng(2).standard_normal(_PATTERN, dtype=np.float32)
        self._memory: NDArray[np.float32] = aligned(COLD_WEIGHT_BYTES).view(np.float32)
        self._memory.reshape(-1, _PATTERN)[:] = numbers

    def arguments(
        self, tensors: Sequence[tvm.runtime.Tensor], weights: Sequence[int]
    ) -> list[list[tvm.runtime.Tensor]]:
        """Lists of arguments to call a kernel with in turn: those at `weights` are elsewhere in each.

        The one list given, if there are no weights, if they are not float32, or if not even two copies fit
        (then they do not stay in a cache either).
        """
        size = sum(_aligned(tensors[i]) for i in weights)
        number = min(COLD_WEIGHT_BYTES // (4 * size), _MOST_COPIES) if size else 0
        if number < 2 or any(tensors[i].dtype != "float32" for i in weights):
            return [list(tensors)]
        return [self._copy(tensors, weights, turn * size) for turn in range(number)]

    def _copy(
        self, tensors: Sequence[tvm.runtime.Tensor], weights: Sequence[int], start: int
    ) -> list[tvm.runtime.Tensor]:
        copy = list(tensors)
        for i in weights:
            shape = tuple(int(n) for n in tensors[i].shape)
            place = self._memory[start : start + int(np.prod(shape))].reshape(shape)
            copy[i] = tvm.runtime.from_dlpack(place)
            start += _aligned(tensors[i])
        return copy


def _aligned(tensor: tvm.runtime.Tensor) -> int:
    """Numbers from the start of one tensor to the next one."""
    step = ALIGNMENT // 4
    return -(-int(np.prod([int(n) for n in tensor.shape])) // step) * step
