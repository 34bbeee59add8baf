"""The doctor finds what is wrong and says how to mend it."""

from pathlib import Path

import pytest

from recommender.doctor import Verdict, _compiler, examine

pytestmark = pytest.mark.tvm


def test_this_installation_is_fit() -> None:
    findings = examine()

    assert {"versions", "C compiler", "cores", "load", "data folder", "ranker"} <= {f.check for f in findings}
    assert [f for f in findings if f.verdict is Verdict.FAILURE] == []


def test_what_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch, own_data_folder: Path) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("CXX", "")
    monkeypatch.setenv("CC", "")
    monkeypatch.setenv("TVM_NUM_THREADS", "999")
    (own_data_folder / "rankers" / "own").mkdir(parents=True)
    (own_data_folder / "rankers" / "own" / "mine.json").write_text("{}")
    (own_data_folder / "rankers" / "active").write_text("mine")

    wrong = {f.check: f.mend for f in examine() if f.verdict is not Verdict.OK}

    assert "apt-get" in wrong["C compiler"]
    assert "export" in wrong["cores"]
    assert "recommender train" in wrong["library and ranker"]


def test_a_variable_that_names_no_compiler_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "/no/such/c++")

    (finding,) = _compiler()

    assert finding.verdict is Verdict.FAILURE
    assert "CXX is '/no/such/c++'" in finding.what
    assert "unset it" in finding.mend
