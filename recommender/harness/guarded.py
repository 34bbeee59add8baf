"""Memory of kernels under test: aligned as TVM wants it, with margins that show who wrote past the end."""

from __future__ import annotations

import numpy as np
import tvm
from numpy.typing import NDArray

ALIGNMENT = 64
"""Bytes: TVM's code relies on it."""
_MARGIN = 4096
_UNTOUCHED = 0xA5


def aligned(size: int) -> NDArray[np.uint8]:
    """Memory of `size` bytes that starts where TVM wants a tensor to start; it is not initialised."""
    spare = np.empty(size + ALIGNMENT, np.uint8)
    start = -spare.ctypes.data % ALIGNMENT
    return spare[start : start + size]


class Guarded:
    """A tensor with a margin before and behind it."""

    def __init__(self, values: NDArray[np.generic]) -> None:
        """Copy `values` to guarded memory."""
        end = _MARGIN + values.nbytes
        self._memory = aligned(end + _MARGIN)
        self._margins = self._memory[:_MARGIN], self._memory[end:]
        for margin in self._margins:
            margin[:] = _UNTOUCHED
        inside = self._memory[_MARGIN:end].view(values.dtype).reshape(values.shape)
        inside[...] = values
        self.tensor: tvm.runtime.Tensor = tvm.runtime.from_dlpack(inside)

    @property
    def is_intact(self) -> bool:
        """Whether nobody wrote to the margins."""
        return all(bool((margin == _UNTOUCHED).all()) for margin in self._margins)
