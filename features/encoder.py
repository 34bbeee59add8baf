"""Puts the groups of features side by side, with their names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recommender.features import hardware as hardware_features
from recommender.features import pair, schedule
from recommender.features import workload as workload_features
from recommender.vocabulary import Candidate, Hardware, Workload, digest

_GROUPS = {
    "workload": workload_features.NAMES,
    "schedule": schedule.NAMES,
    "pair": pair.NAMES,
    "hardware": hardware_features.NAMES,
}
FEATURE_NAMES: tuple[str, ...] = tuple(f"{group}.{n}" for group, names in _GROUPS.items() for n in names)
"""Names of the columns of `encode`, each behind its group."""
FEATURES_HASH = digest(["2", *FEATURE_NAMES])
"""Identity of the features: a ranker trained on others is refused. Raise the first item when the
meaning of a feature changes but not its name."""


def feature_groups() -> dict[str, slice]:
    """The columns of each group."""
    starts = np.cumsum([0, *(len(names) for names in _GROUPS.values())])
    return {g: slice(int(a), int(b)) for g, a, b in zip(_GROUPS, starts, starts[1:], strict=False)}


def encode(workload: Workload, candidates: Sequence[Candidate], hardware: Hardware) -> NDArray[np.float32]:
    """Features of one workload's candidates: float32 [candidates, len(FEATURE_NAMES)]."""
    if not candidates:
        return np.empty((0, len(FEATURE_NAMES)), dtype=np.float32)
    n = len(candidates)
    return np.hstack(
        [
            np.tile(workload_features.encode_workload(workload), (n, 1)),
            schedule.encode_schedules(workload, candidates, hardware),
            pair.encode_pairs(workload, candidates),
            np.tile(hardware_features.encode_hardware(hardware), (n, 1)),
        ]
    )
