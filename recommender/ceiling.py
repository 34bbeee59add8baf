"""How good the library is, whatever the ranker: the best of all measured transfers against full tuning."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recommender.datasets.layers import Data
from recommender.models.metrics import bootstrap_interval
from recommender.models.training import training_set
from recommender.vocabulary import Hardware, Workload

_FAMILIES = ("group_conv2d", "conv2d", "matmul", "pool", "softmax")
MIN_TRANSFERS = 8
"""Kernels with fewer measured transfers say nothing about the library."""


@dataclass(frozen=True)
class KernelCeiling:
    """Best seconds of one kernel by its own search and by transfers from other models."""

    workload: str
    family: str
    calls: int
    tuned_seconds: float
    transferred_seconds: float


@dataclass(frozen=True)
class FamilyCeiling:
    """Transferred over tuned time of a family's kernels, summed over calls, with its 95 % interval."""

    family: str
    kernels: int
    ratio: float
    interval: tuple[float, float]
    within_5_percent: float


def kernel_ceilings(data: Data, hardware: Hardware, pipeline: str) -> list[KernelCeiling]:
    """Every kernel of today's that has a finished search and enough transfers from models it is not in."""
    rows, here = training_set(data, [hardware], pipeline), (hardware.id, pipeline)
    calls: dict[str, int] = defaultdict(int)
    for use in data.kernels:
        if use.pipeline == pipeline:
            calls[use.workload] += use.calls
    tuned = {key: m.outcome.median_seconds for key, m in data.best_searched(here).items()}
    # Older rows that a search found after a transfer had are the transfer's: it may have nothing of its own.
    searched = {s.workload for s in data.searches if s.setting == here and s.workload in tuned}
    found = []
    for group, key in enumerate(rows.workloads):
        transfers = rows.seconds[(rows.groups == group) & rows.is_transfer]
        if calls[key] and key in searched and np.isfinite(transfers).sum() >= MIN_TRANSFERS:
            best = float(np.min(transfers))
            found.append(KernelCeiling(key, family(data.workloads[key]), calls[key], tuned[key], best))
    return found


def family(workload: Workload) -> str:
    """The operator that does the work of a kernel: the first of a few that it contains."""
    known = (name for name in _FAMILIES if any(op.startswith(name) for op in workload.operators))
    return next(known, "other")


def family_ceilings(kernels: Sequence[KernelCeiling]) -> list[FamilyCeiling]:
    """One line for each family of kernels, and one for all of them."""
    groups: Mapping[str, list[KernelCeiling]] = {
        name: [k for k in kernels if k.family == name] for name in (*_FAMILIES, "other")
    }
    return [_line(name, group) for name, group in {**groups, "all": list(kernels)}.items() if group]


def _line(name: str, group: Sequence[KernelCeiling]) -> FamilyCeiling:
    weights = np.array([k.calls * k.tuned_seconds for k in group])
    ratios = np.array([k.transferred_seconds / k.tuned_seconds for k in group])
    return FamilyCeiling(
        family=name,
        kernels=len(group),
        ratio=float(np.average(ratios, weights=weights)),
        interval=bootstrap_interval(ratios.tolist(), weights.tolist()),
        within_5_percent=float(np.mean(ratios <= 1.05)),
    )
