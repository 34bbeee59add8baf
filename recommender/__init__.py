"""Finds, adapts, ranks and measures TVM schedules for the kernels of an ONNX model.

from recommender import Options, recommend
report = recommend("model.onnx", Options(top_k=5))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recommender.datasets.tables import load_outcomes
    from recommender.job import recommend
    from recommender.models.feature_table import load_features
    from recommender.report import Report
    from recommender.run import Options

__all__ = ["Options", "Report", "load_features", "load_outcomes", "recommend"]
_HOME = {
    "Options": "recommender.run",
    "Report": "recommender.report",
    "load_features": "recommender.models.feature_table",
    "load_outcomes": "recommender.datasets.tables",
    "recommend": "recommender.job",
}


def __getattr__(name: str) -> Any:
    """Import the main job when it is asked for: workers need the package without it."""
    if name not in _HOME:
        raise AttributeError(name)
    return getattr(import_module(_HOME[name]), name)
