"""Cost-model studies on stored outcomes: which ranker, which features, how much data. Nothing is measured."""

from __future__ import annotations

from recommender.studies.subjects import SUBJECTS, run_study
from recommender.studies.table import Study, StudyInput

__all__ = ["SUBJECTS", "Study", "StudyInput", "run_study"]
