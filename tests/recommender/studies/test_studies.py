"""Studies replay stored outcomes: a table, a sentence and a plot, the same however many jobs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
from sklearn.tree import DecisionTreeRegressor

from recommender.datasets.layers import SHIPPED, Data, load_data
from recommender.datasets.records import Measurement
from recommender.errors import DataError, UsageError
from recommender.models.baselines import RandomRanker
from recommender.studies import (
    SUBJECTS,
    RegressorRanker,
    Study,
    StudyInput,
    compare_rankers,
    named_subjects,
    run_study,
    transfer,
)
from recommender.studies.drawing import draw
from recommender.studies.frontier import seconds_per_candidate
from recommender.studies.table import Backend
from recommender.studies.training import ranker_of
from recommender.vocabulary import Outcome, Status


@pytest.fixture(scope="module")
def k_of_two_models(shipped_of_two_models: Data) -> Study:
    return run_study("k", StudyInput(shipped_of_two_models))


@pytest.fixture(scope="module")
def study_of(shipped_of_two_models: Data) -> Callable[[str], Study]:
    """Each subject is studied once."""
    return cache(lambda subject: run_study(subject, StudyInput(shipped_of_two_models, jobs=2)))


@pytest.mark.parametrize("subject", [s for s in SUBJECTS if s not in ("hardware", "rankers")])
def test_a_study_finds_something_and_draws_it(
    subject: str, study_of: Callable[[str], Study], tmp_path: Path
) -> None:
    study = study_of(subject)

    assert study.finding.endswith(".")
    assert len(study.rows) >= 2
    assert study.finding in study.markdown()
    assert study.source.startswith("Outcomes of ")
    assert study.source in study.markdown()
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


def test_figures_do_not_depend_on_who_does_the_work(
    k_of_two_models: Study, shipped_of_two_models: Data
) -> None:
    one = k_of_two_models
    for backend in get_args(Backend):
        two = run_study("k", StudyInput(shipped_of_two_models, jobs=2, backend=backend))
        assert one.rows == two.rows
        assert one.finding == two.finding


def test_what_candidates_cost_is_read_from_when_they_were_stored(shipped_of_two_models: Data) -> None:
    one = shipped_of_two_models.measurements[0]

    def stored(
        workload: str, *times: float, source: str = "collect", run: str = "model"
    ) -> list[Measurement]:
        return [replace(one, workload=workload, measured_at=t, source=source, run=run) for t in times]

    first, second = stored("a", 100.0, 100.1), stored("b", 101.0, 102.1)
    assert seconds_per_candidate(first) is None
    assert seconds_per_candidate(second + first) == pytest.approx(1.0)  # b's two took from 100.1 to 102.1
    night_between = stored("c", 40_000.0)
    search = stored("d", 40_001.0, source="tune")
    other_run = stored("e", 40_003.0, run="other")
    assert seconds_per_candidate([*first, *second, *night_between, *search, *other_run]) == pytest.approx(1.0)


def test_more_candidates_cost_more_time_and_leave_less(k_of_two_models: Study) -> None:
    rows = [row for row in k_of_two_models.rows if row["ranker"] == "nearest-shape"]

    costs = [row["measuring s a kernel"] for row in rows]
    assert costs == pytest.approx([costs[0] * row["k"] for row in rows])
    kernel_times = [row["kernels ms"] for row in rows]
    assert kernel_times == sorted(kernel_times, reverse=True)
    best_possible = {row["kernels ms"] / (1 + row["regret %"] / 100) for row in rows}
    assert max(best_possible) == pytest.approx(min(best_possible))


def test_there_are_curves_over_outcomes_donors_and_models(study_of: Callable[[str], Study]) -> None:
    rows = study_of("data").rows
    curves = {name: [r for r in rows if r["curve"] == name] for name in {r["curve"] for r in rows}}

    assert set(curves) == {"share of outcomes", "share of donors", "models learned from"}
    everything = [curves[name][-1]["regret@1 %"] for name in ("share of outcomes", "share of donors")]
    assert everything[0] == everything[1]  # all donors are all outcomes
    assert curves["share of donors"][0]["regret@1 %"] != everything[0]


class TestTransfer:
    def test_is_from_model_to_model_and_from_class_to_class(self, study_of: Callable[[str], Study]) -> None:
        study = study_of("transfer")

        rows = {(r["by"], r["to"], r["from"]): r for r in study.rows}
        models = {(to, source) for by, to, source in rows if by == "model"}
        assert models >= {("mobilenet_v2", "resnet18"), ("resnet18", "mobilenet_v2")}
        assert all(to != source for to, source in models)
        assert ("class", "pad+conv2d+add", "pad+conv2d+add") in rows
        assert all(0 < r["covered"] <= r["kernels"] for r in study.rows)
        assert all(0 <= r["low %"] <= r["slower %"] <= r["high %"] for r in study.rows)
        assert "own class leave" in study.finding

    def test_all_classes_together_are_as_good_as_the_model(self, shipped_of_two_models: Data) -> None:
        """Of two models, what all classes of donors give to a kernel is what the other model gives."""
        folds = transfer.receivers_by_model(StudyInput(shipped_of_two_models))
        kernels = [kernel for fold in folds for kernel in fold]

        assert kernels
        for kernel in kernels:
            by_class = [
                kernel.best_from(d for d in kernel.donors if d.workload.kernel_class == name)
                for name in {d.workload.kernel_class for d in kernel.donors}
            ]
            assert min(by_class) == kernel.best_from(kernel.donors)
            assert kernel.best_from(kernel.donors) >= kernel.best_seconds


def test_a_ranker_of_ones_own_is_judged_beside_others(shipped_of_two_models: Data) -> None:
    given = StudyInput(shipped_of_two_models)
    shallow, deep = (
        {
            "mine": RegressorRanker(DecisionTreeRegressor(max_depth=d, random_state=0)),
            "random": RandomRanker(),
        }
        for d in (1, 12)
    )
    first, other = compare_rankers(given, shallow), compare_rankers(given, deep)

    assert {row["ranker"] for row in first.rows} == {"mine", "random"}
    assert [r for r in first.rows if r["ranker"] == "random"] == [
        r for r in other.rows if r["ranker"] == "random"
    ]
    assert first.rows != other.rows  # of the same name, but not the same ranker
    assert not hasattr(shallow["mine"], "pipeline_")  # copies were trained, not what was given


def test_every_job_trains_with_one_thread() -> None:
    assert ranker_of("xgboost", 0).threads == 1
    assert ranker_of("hedged", 0).ranker.threads == 1
    assert ranker_of("linear", 0).get_params() == {}


class TestWhatCannotBeStudied:
    def test_no_such_subject(self, shipped_of_two_models: Data) -> None:
        with pytest.raises(UsageError, match="no study is called weather; there are: rankers"):
            run_study("weather", StudyInput(shipped_of_two_models))

    def test_all_is_every_subject_of_one_machine_once(self) -> None:
        assert named_subjects(["k", "all"]) == ["k", *(s for s in SUBJECTS if s not in ("k", "hardware"))]
        with pytest.raises(UsageError, match="no study is called weather, tides;"):
            named_subjects(["k", "weather", "tides"])

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
