"""The subjects of `recommender study`: each replays stored outcomes and says what they show."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from recommender.errors import UsageError
from recommender.studies.amounts import study_data
from recommender.studies.features import study_features
from recommender.studies.machines import study_hardware
from recommender.studies.rankers import study_k, study_objectives, study_rankers
from recommender.studies.table import Study, StudyInput
from recommender.studies.transfer import study_transfer

SUBJECTS: Mapping[str, Callable[[StudyInput], Study]] = {
    "rankers": study_rankers,
    "objectives": study_objectives,
    "features": study_features,
    "data": study_data,
    "k": study_k,
    "transfer": study_transfer,
    "hardware": study_hardware,
}


def run_study(subject: str, given: StudyInput) -> Study:
    """Run one study.

    Raises:
        UsageError: no such subject.
        DataError: the outcomes are not enough for it.
    """
    if subject not in SUBJECTS:
        raise UsageError(f"no study is called {subject}; there are: {', '.join(SUBJECTS)}")
    return SUBJECTS[subject](given)
