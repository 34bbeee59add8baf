"""Scores of whole models: five builds that are right, each of its own schedules."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
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
from recommender.run import Choice, Ranked, Run
from recommender.session import Machine, PreparedModel, prepare_named
from recommender.vocabulary import Json
from tests.conftest import small_convnet

pytestmark = pytest.mark.tvm
Score = Callable[..., Json]


def compared(**others: Latency) -> dict[str, Latency]:
    """Builds as `compare_builds` finds them: each twice as fast as the one before."""
    return {build: Latency((1.0 / 2**n,)) for n, build in enumerate((*BUILDS, "ort"))} | others


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
    """Scores that model as if it were one of the zoo; no ranker is trained for it, and nothing timed."""
    monkeypatch.setattr(model_scores, "prepare_named", lambda name, machine: donor)
    monkeypatch.setattr(model_scores, "gather_knowledge", lambda run, forget: knowledge)
    monkeypatch.setattr(model_scores, "compare_builds", lambda *_, **__: compared())

    def run(name: str = "donor", machine: Machine = machine, seed: int = 0) -> Json:
        folder = tmp_path / "scores"
        score_models([name], machine, folder, store=library, top_k=2, seed=seed, reporter=Reporter(0))
        return json.loads((folder / f"{name}.json").read_text())

    return run


def test_a_score_has_every_build_and_is_kept(
    score: Score, donor: PreparedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = score()

    assert page["latencies"].keys() == {*BUILDS, "ort"}
    assert page["kernels"] == page["searched_kernels"] == len(donor.kernels)
    assert page["invalid"] == page["slower_kernels"] == 0
    assert percent_of_maximum(page, "tuned") == pytest.approx(100)
    assert percent_of_maximum(page, "transferred") == pytest.approx(100 * 7 / 15)
    monkeypatch.setattr(model_scores, "compile_builds", None)
    assert score() == page  # not measured again
    with pytest.raises(DataError, match="is of seed 0, not 1"):
        score(seed=1)


@pytest.mark.parametrize(
    "wrong", [Latency((1e-3,), 0.1), Latency((), float("inf"))], ids=["wrong", "not-a-number"]
)
def test_a_build_that_computes_something_else_gives_no_score(
    wrong: Latency, score: Score, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unmeasured(model: PreparedModel, ranked: Sequence[Ranked], run: Run) -> list[Choice]:
        return [Choice(r, r.fallback, None, None) for r in ranked]

    monkeypatch.setattr(model_scores, "measure_kernels", unmeasured)
    monkeypatch.setattr(model_scores, "compile_builds", lambda *_: {})
    monkeypatch.setattr(model_scores, "compare_builds", lambda *_, **__: compared(tuned=wrong))

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
