"""Cost-model studies on stored outcomes: which ranker, which features, how much data. Nothing is measured."""

from __future__ import annotations

from recommender.models.baselines import RegressorRanker
from recommender.studies.rankers import compare_rankers
from recommender.studies.subjects import SUBJECTS, named_subjects, run_study
from recommender.studies.table import Study, StudyInput

__all__ = [
    "SUBJECTS",
    "RegressorRanker",
    "Study",
    "StudyInput",
    "compare_rankers",
    "named_subjects",
    "run_study",
]
