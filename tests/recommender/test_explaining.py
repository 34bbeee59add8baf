"""Why a schedule was chosen, in words that name features and their worth."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from recommender.features import FEATURE_NAMES
from recommender.job import recommend
from recommender.progress import Reporter
from recommender.report import explanation_lines
from recommender.run import Options

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


def test_nothing_is_explained_unasked(convnet_path: Path, library: Path, tmp_path: Path) -> None:
    options = Options(top_k=2, output=tmp_path / "out", store=library, measure=False)
    assert all(k.explanation == () for k in recommend(convnet_path, options, Reporter(0)).kernels)
