"""The subjects of `recommender study`: each replays stored outcomes and says what they show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from recommender.errors import UsageError
from recommender.studies.amounts import study_data
from recommender.studies.features import study_features
from recommender.studies.frontier import study_k
from recommender.studies.machines import study_hardware
from recommender.studies.rankers import study_objectives, study_rankers
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


def named_subjects(names: Sequence[str]) -> list[str]:
    """Subjects in the order named, each once; `all` is all but hardware, which is about several machines.

    Raises:
        UsageError: there is no such subject.
    """
    of_one_machine = [subject for subject in SUBJECTS if subject != "hardware"]
    found = [s for name in names for s in (of_one_machine if name == "all" else [name])]
    if unknown := [name for name in found if name not in SUBJECTS]:
        raise UsageError(
            f"no study is called {', '.join(unknown)}; there are: {', '.join(SUBJECTS)}; or: all"
        )
    return list(dict.fromkeys(found))


def run_study(subject: str, given: StudyInput) -> Study:
    """Run one study.

    Raises:
        UsageError: no such subject.
        DataError: the outcomes are not enough for it.
    """
    (name,) = named_subjects([subject])
    study = SUBJECTS[name](given)
    return study if study.source else replace(study, source=given.source)
