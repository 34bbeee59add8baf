"""Scores of whole models: five builds that are right, each of its own schedules."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from recommender import model_scores
from recommender.datasets.layers import load_data
from recommender.errors import DataError, UsageError, VerificationError
from recommender.harness.latency import Latency
from recommender.knowledge import Knowledge
from recommender.model_scores import BUILDS, percent_of_maximum, score_models, stored_searches
from recommender.progress import Reporter
from recommender.session import Machine, PreparedModel, prepare_named
from recommender.vocabulary import Json
from tests.conftest import small_convnet

pytestmark = pytest.mark.tvm
Score = Callable[..., Json]


@pytest.fixture
def donor(machine: Machine, tmp_path: Path) -> PreparedModel:
    """The model that the small library was searched for."""
    onnx.save(small_convnet(channels=8, size=12), str(tmp_path / "donor.onnx"))
    return prepare_named(str(tmp_path / "donor.onnx"), machine)


@pytest.fixture
def score(
    donor: PreparedModel,
    machine: Machine,
    library: Path,
    knowledge: Knowledge,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Score:
    """Scores that model as if it were one of the zoo, without training a ranker for it."""
    monkeypatch.setattr(model_scores, "prepare_named", lambda name, machine: donor)
    monkeypatch.setattr(model_scores, "gather_knowledge", lambda run, forget: knowledge)
    monkeypatch.setattr(model_scores, "_BUDGET_SECONDS", 0.5)

    def run(name: str = "donor", machine: Machine = machine, seed: int = 0) -> Json:
        folder = tmp_path / "scores"
        score_models([name], machine, folder, store=library, top_k=2, seed=seed, reporter=Reporter(0))
        return json.loads((folder / f"{name}.json").read_text())

    return run


def test_a_score_has_every_build_and_is_kept(score: Score, donor: PreparedModel) -> None:
    page = score()

    assert page["latencies"].keys() == {*BUILDS, "ort"}
    assert all(latency["difference_from_ort"] <= 1e-4 for latency in page["latencies"].values())
    assert page["kernels"] == page["searched_kernels"] == len(donor.kernels)
    assert page["invalid"] == page["slower_kernels"] == 0
    assert percent_of_maximum(page, "tuned") == pytest.approx(100)
    assert score() == page  # not measured again
    with pytest.raises(DataError, match="is of seed 0, not 1"):
        score(seed=1)


@pytest.mark.parametrize(
    "wrong", [Latency((1e-3,), 0.1), Latency((), float("inf"))], ids=["wrong", "not-a-number"]
)
def test_a_build_that_computes_something_else_gives_no_score(
    wrong: Latency, score: Score, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = {build: Latency((1e-3,)) for build in (*BUILDS, "ort")} | {"tuned": wrong}
    monkeypatch.setattr(model_scores, "compare_builds", lambda *_, **__: compared)

    with pytest.raises(VerificationError, match="the tuned build does not compute"):
        score()

    assert list((tmp_path / "scores").iterdir()) == []


def test_the_maximum_is_of_searches_on_this_machine(
    score: Score, donor: PreparedModel, machine: Machine, library: Path
) -> None:
    searched = stored_searches(load_data(library), donor, machine)
    assert searched.best.keys() == set(donor.spaces)
    assert searched.trials == 8 * len(donor.kernels)

    elsewhere = replace(machine, hardware=replace(machine.hardware, l2_bytes=1))
    assert stored_searches(load_data(library), donor, elsewhere).best == {}
    with pytest.raises(DataError, match="never searched on"):
        score(machine=elsewhere)
    with pytest.raises(UsageError, match="takes models of the library"):
        score("nobody")
