"""The model zoo: eleven models of Gibson and Cano (2022) as ONNX skeletons, weights drawn from a seed.

A skeleton holds a model's structure and the shapes of its weights, but not their values: schedules
depend on shapes alone, and so a model of 500 MB takes 600 KB here.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path

import numpy as np
import onnx

from recommender.errors import UsageError

_FOLDER = Path(__file__).parent / "skeletons"


def zoo_names() -> list[str]:
    """Names of the models that `zoo_model` knows."""
    return sorted(path.stem for path in _FOLDER.glob("*.onnx"))


def zoo_model(name: str, seed: int = 0) -> onnx.ModelProto:
    """A model of the zoo with random weights, the same for the same seed.

    Raises:
        UsageError: no such model; the message lists those there are.
    """
    if name not in zoo_names():
        raise UsageError(f"the zoo has no model {name!r}; it has {', '.join(zoo_names())}")
    model = onnx.load(str(_FOLDER / f"{name}.onnx"), load_external_data=False)
    fill_weights(model, seed)
    return model


def fill_weights(model: onnx.ModelProto, seed: int = 0) -> int:
    """Fill every float initializer that has a shape but no data. Return how many were filled.

    Deviations follow He et al. 2015 (section 2.2) for convolutions, so that activations keep their
    size through the layers; scales of normalisation layers are about 1.
    """
    filled = 0
    for tensor in model.graph.initializer:
        size = math.prod(tensor.dims)
        if tensor.data_type != onnx.TensorProto.FLOAT or size == 0:
            continue
        if tensor.raw_data or tensor.float_data or tensor.external_data:
            continue
        rng = np.random.default_rng([seed, zlib.crc32(tensor.name.encode())])
        values = rng.standard_normal(size, dtype=np.float32) * np.float32(_deviation(tensor))
        if len(tensor.dims) == 1 and tensor.name.endswith("weight"):
            values += np.float32(1)
        tensor.raw_data = values.tobytes()
        filled += 1
    return filled


def _deviation(tensor: onnx.TensorProto) -> float:
    if len(tensor.dims) > 2:
        return math.sqrt(2 / math.prod(tensor.dims[1:]))
    if len(tensor.dims) == 2:
        return math.sqrt(1 / max(tensor.dims))
    return 0.02
