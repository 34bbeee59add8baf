"""Studies replay stored outcomes: a table, a sentence and a plot, the same however many jobs."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from recommender.datasets.layers import SHIPPED, Data, load_data
from recommender.errors import DataError, UsageError
from recommender.studies import SUBJECTS, StudyInput, run_study
from recommender.studies.drawing import draw
from recommender.studies.table import Backend
from recommender.studies.training import ranker_of
from recommender.vocabulary import Outcome, Status


@pytest.mark.parametrize("subject", [s for s in SUBJECTS if s not in ("hardware", "rankers")])
def test_a_study_finds_something_and_draws_it(
    subject: str, shipped_of_two_models: Data, tmp_path: Path
) -> None:
    study = run_study(subject, StudyInput(shipped_of_two_models, jobs=2))

    assert study.finding.endswith(".")
    assert len(study.rows) >= 2
    assert study.finding in study.markdown()
    assert json.loads(json.dumps(study.rows, allow_nan=False))
    paths = draw(study, tmp_path)
    assert {p.suffix for p in paths} == {".png", ".svg"}
    assert all(p.stat().st_size > 5000 for p in paths)


def test_the_ranker_beats_chance_and_more_tries_never_hurt() -> None:
    # Of two models one is learned from, and two of 31 kernels decide the first pick; three give 88 kernels.
    data = load_data(SHIPPED).of_models(["resnet18", "mobilenet_v2", "googlenet"])
    rows = run_study("k", StudyInput(data)).rows
    curve = {name: [r["regret %"] for r in rows if r["ranker"] == name] for name in ("hedged", "random")}

    assert all(own < chance for own, chance in zip(curve["hedged"], curve["random"], strict=True))
    assert curve["hedged"] == sorted(curve["hedged"], reverse=True)


def test_figures_do_not_depend_on_who_does_the_work(shipped_of_two_models: Data) -> None:
    one = run_study("k", StudyInput(shipped_of_two_models))
    for backend in get_args(Backend):
        two = run_study("k", StudyInput(shipped_of_two_models, jobs=2, backend=backend))
        assert one.rows == two.rows
        assert one.finding == two.finding


def test_every_job_trains_with_one_thread() -> None:
    assert ranker_of("xgboost", 0).threads == 1
    assert ranker_of("hedged", 0).ranker.threads == 1
    assert ranker_of("linear", 0).get_params() == {}


class TestWhatCannotBeStudied:
    def test_no_such_subject(self, shipped_of_two_models: Data) -> None:
        with pytest.raises(UsageError, match="no study is called weather; there are: rankers"):
            run_study("weather", StudyInput(shipped_of_two_models))

    def test_one_model(self, shipped_of_two_models: Data) -> None:
        with pytest.raises(DataError, match=r"needs two with measured transfers.*resnet18; run"):
            run_study("k", StudyInput(shipped_of_two_models.of_models(["resnet18"])))

    def test_an_unknown_model(self, shipped_of_two_models: Data) -> None:
        with pytest.raises(DataError, match="no outcomes of nonesuch; there are of: mobilenet_v2, resnet18"):
            shipped_of_two_models.of_models(["nonesuch"])

    def test_no_outcomes(self) -> None:
        with pytest.raises(DataError, match="no measurements; run"):
            run_study("k", StudyInput(Data((), (), {}, {})))

    def test_nothing_but_failures(self, shipped_of_two_models: Data) -> None:
        failed = Outcome.failure(Status.CRASHED, "signal 11")
        data = replace(
            shipped_of_two_models,
            measurements=tuple(replace(m, outcome=failed) for m in shipped_of_two_models.measurements),
        )
        with pytest.raises(DataError):
            run_study("k", StudyInput(data))

    def test_one_machine(self, shipped_of_two_models: Data) -> None:
        with pytest.raises(UsageError, match=r"all of .*calibrate"):
            run_study("hardware", StudyInput(shipped_of_two_models))

    def test_a_machine_with_a_single_outcome(self, shipped_of_two_models: Data) -> None:
        data = shipped_of_two_models.only(lambda m: int(m.schedule.id, 16) % 8 == 0)
        first = data.measurements[0]
        other = replace(data.hardware[first.hardware], threads=1)
        data = replace(
            data,
            measurements=(*data.measurements, replace(first, hardware=other.id)),
            hardware={**data.hardware, other.id: other},
        )
        with pytest.raises(DataError, match=f"too few candidates were measured on {other.id}"):
            run_study("hardware", StudyInput(data))


def test_outcomes_of_two_machines_can_be_studied(shipped_of_two_models: Data) -> None:
    """The same outcomes on a machine that is twice as slow: what one learns holds for the other."""
    data = shipped_of_two_models.only(lambda m: int(m.schedule.id, 16) % 4 == 0)  # enough, and quicker
    (here,) = {m.hardware for m in data.measurements}
    slower = replace(data.hardware[here], threads=1)
    twice = tuple(
        replace(m, hardware=slower.id, outcome=Outcome.of_times([2 * s for s in m.outcome.seconds]))
        for m in data.measurements
    )
    both = replace(
        data, measurements=data.measurements + twice, hardware={**data.hardware, slower.id: slower}
    )

    rows = run_study("hardware", StudyInput(both)).rows

    assert {row["hardware"] for row in rows} == {here, slower.id}
    assert all(math.isfinite(row["regret@1 %"]) for row in rows)
