"""Why a schedule was chosen, in words that name features and their worth."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from recommender.explaining import explain
from recommender.features import FEATURE_NAMES
from recommender.job import recommend
from recommender.knowledge import Knowledge
from recommender.progress import Reporter
from recommender.ranking import candidate_pool, rank
from recommender.report import Tried, explanation_lines
from recommender.run import Choice, Options
from recommender.session import Machine, PreparedModel
from recommender.vocabulary import Outcome

pytestmark = pytest.mark.tvm


def test_each_chosen_schedule_is_explained(convnet_path: Path, library: Path, tmp_path: Path) -> None:
    options = Options(top_k=2, output=tmp_path / "out", store=library, measure=False, explain=True)
    report = recommend(convnet_path, options, Reporter(0))

    spoken = {name.replace(".", " ").replace("_", " ") for name in FEATURE_NAMES}
    explained = [k for k in report.kernels if k.explanation]
    assert explained
    for kernel in explained:
        first, second = kernel.explanation
        assert first.startswith("spoke for it: ")
        assert second.startswith("held the runner-up back: ")
        for phrase in re.findall(r"(\w[\w ]*?) -?[\d.e+naif-]+ \(", first):
            assert phrase in spoken, phrase
    assert len(explanation_lines(report)) == 3 * len(explained)
    saved = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [k["explanation"] for k in saved["kernels"]] == [list(k.explanation) for k in report.kernels]
    assert "spoke for it" in (tmp_path / "out" / "report.md").read_text()


def test_features_are_credited_only_where_a_prediction_decided(
    model: PreparedModel, knowledge: Knowledge, machine: Machine
) -> None:
    kernel = max(model.kernels, key=lambda k: len(candidate_pool(k, knowledge, machine).candidates))
    last = rank(candidate_pool(kernel, knowledge, machine), knowledge.ranker).candidates[-1]
    measured = {kernel.workload.key: {last.schedule: Outcome.of_times([1.0])}}
    pool = candidate_pool(kernel, replace(knowledge, measured=measured), machine)
    ranked = rank(pool, knowledge.ranker)

    def why(place: int) -> tuple[str, ...]:
        return explain(Choice(ranked, ranked.candidates[place], None, None), knowledge.ranker, pool)

    assert ranked.candidates[0] == last
    assert why(0) == ("spoke for it: it was the fastest when the kernel was measured before",)
    assert ranked.candidates[1].donor is not None
    (nearest,) = why(1)
    assert "nearest in shape" in nearest
    predicted, _ = why(2)
    assert re.search(r" \(\d+ % of the best speed\)|nothing in particular", predicted)
    best = Outcome.of_times([1.0])
    stayed = Choice(
        replace(ranked, fallback=ranked.candidates[2]),
        ranked.candidates[2],
        best,
        best,
        (Tried(ranked.candidates[1], 2, 0.0, best),),
    )
    (reason,) = explain(stayed, knowledge.ranker, pool)
    assert reason == "spoke for it: it is the fallback, and nothing that was measured beat it"
