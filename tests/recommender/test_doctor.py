"""The doctor finds what is wrong and says how to mend it."""

from pathlib import Path

import pytest

from recommender.doctor import Verdict, examine
from recommender.models import active

pytestmark = pytest.mark.tvm


def test_this_installation_is_fit() -> None:
    findings = examine()

    assert {"versions", "C compiler", "cores", "load", "data folder", "ranker"} <= {f.check for f in findings}
    assert [f for f in findings if f.verdict is Verdict.FAILURE] == []


def test_what_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch, own_data_folder: Path) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("TVM_NUM_THREADS", "999")
    active.own_ranker_path().parent.mkdir(parents=True)
    active.own_ranker_path().with_suffix(".json").write_text("{}")

    wrong = {f.check: f.mend for f in examine() if f.verdict is not Verdict.OK}

    assert "apt-get" in wrong["C compiler"]
    assert "export" in wrong["cores"]
    assert "recommender train" in wrong["library and ranker"]
