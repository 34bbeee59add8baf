"""What was measured of a kernel goes before what is predicted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from recommender.datasets.layers import load_data
from recommender.errors import DataError
from recommender.features import encode
from recommender.knowledge import Knowledge, gather_knowledge, library_for
from recommender.models.hedging import EVERY, shape_distances
from recommender.progress import Reporter
from recommender.ranking import LOST, rank_kernel
from recommender.run import Clock, Options, Run
from recommender.session import Machine, PreparedModel
from recommender.vocabulary import Outcome, Status

pytestmark = pytest.mark.tvm


def test_the_best_measured_is_first_and_losers_are_gone(
    model: PreparedModel, knowledge: Knowledge, machine: Machine
) -> None:
    many = [k for k in model.kernels if len(rank_kernel(k, knowledge, machine).candidates) > 3]
    assert many
    for kernel in many:
        predicted = rank_kernel(kernel, knowledge, machine).candidates
        last, middle, first = (predicted[i].schedule for i in (-1, len(predicted) // 2, 0))
        known = {
            last: Outcome.of_times([1.0]),
            middle: Outcome.of_times([LOST * 1.01]),
            first: Outcome.failure(Status.BUILD_FAILED, "no"),
        }
        informed = replace(knowledge, measured={kernel.workload.key: known})

        ranked = rank_kernel(kernel, informed, machine)

        schedules = [c.schedule for c in ranked.candidates]
        assert schedules[0] == last
        assert set(schedules) == {c.schedule for c in predicted} - {first, middle}
        by_score = [score for place, score in enumerate(ranked.scores) if place and place % EVERY != 1]
        assert by_score == sorted(by_score)
        distances = shape_distances(encode(kernel.workload, ranked.candidates, machine.hardware))
        assert distances[1] == min(distances[1:])


def test_a_kernel_whose_every_candidate_failed_keeps_its_fallback(
    model: PreparedModel, knowledge: Knowledge, machine: Machine
) -> None:
    kernel = model.kernels[0]
    every = rank_kernel(kernel, knowledge, machine)
    failed = {c.schedule: Outcome.failure(Status.CRASHED, "SIGSEGV") for c in every.candidates}

    ranked = rank_kernel(kernel, replace(knowledge, measured={kernel.workload.key: failed}), machine)

    assert [c.schedule for c in ranked.candidates] == [every.fallback.schedule]


def test_what_a_busy_machine_did_is_tried_again(
    model: PreparedModel, knowledge: Knowledge, machine: Machine
) -> None:
    kernel = max(model.kernels, key=lambda k: len(rank_kernel(k, knowledge, machine).candidates))
    predicted = rank_kernel(kernel, knowledge, machine).candidates
    best, slow, late = (c.schedule for c in predicted[:3])
    known = {
        best: Outcome.of_times([1.0]),
        slow: Outcome.of_times([2.0], load=1.5),
        late: Outcome.failure(Status.TIMED_OUT, "no answer within 30 s"),
    }
    ranked = rank_kernel(kernel, replace(knowledge, measured={kernel.workload.key: known}), machine)

    assert {slow, late} <= {c.schedule for c in ranked.candidates}
    assert ranked.candidates[0].schedule == best


def test_measurements_of_an_excluded_model_are_not_known(
    machine: Machine, library: Path, knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recommender.knowledge.ranker_without", lambda *_, **__: knowledge.ranker)

    def known(*exclude: str) -> set[str]:
        options = Options(store=library, exclude_models=exclude)
        return set(gather_knowledge(Run(machine, options, Reporter(0), Clock())).measured)

    assert known() > known("donor")


@pytest.mark.parametrize("left", ["nothing", "another pipeline", "another family"])
def test_a_library_without_a_schedule_for_the_machine_is_said_with_the_next_step(
    left: str, machine: Machine, library: Path
) -> None:
    data = load_data(library)
    if left == "nothing":
        data, message = load_data(), r"the library is empty"
    elif left == "another pipeline":
        machine = replace(machine, pipeline="0")
        message = r"nothing left for .* with pipeline 0; leave out fewer"
    else:
        other = ("neon",) if machine.hardware.family == "x86" else ()
        machine = replace(machine, hardware=replace(machine.hardware, cpu="other", features=other))
        message = r"nothing that other.* could use \(it has .*\)"

    with pytest.raises(DataError, match=rf"{message}.*run: recommender tune --cold MODEL$"):
        library_for(Run(machine, Options(), Reporter(0), Clock()), data)
