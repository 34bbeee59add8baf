"""Finds, adapts, ranks and measures TVM schedules for the kernels of an ONNX model.

from recommender import Options, recommend
report = recommend("model.onnx", Options(top_k=5))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recommender.job import Options, recommend
    from recommender.report import Report

__all__ = ["Options", "Report", "recommend"]


def __getattr__(name: str) -> Any:
    """Import the main job when it is asked for: workers need the package without it."""
    if name == "Report":
        from recommender.report import Report

        return Report
    if name in __all__:
        from recommender import job

        return getattr(job, name)
    raise AttributeError(name)
