"""What the documents tell people to type does what they say."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STUDIES = (ROOT / "docs" / "studies.md").read_text()


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", STUDIES, re.DOTALL))
def test_snippets_run(code: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_first_study_of_the_walk_through_runs(tmp_path: Path) -> None:
    command = re.findall(r"^recommender (study .*)$", STUDIES, re.MULTILINE)[0]
    run = "from recommender.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", run, *command.split(), "-o", "results"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"k: Measuring 2 candidates .*\.", done.stdout)
    assert {p.name for p in (tmp_path / "results").iterdir()} == {
        "k.md",
        "k.json",
        *(f"k-{theme}.{suffix}" for theme in ("light", "dark") for suffix in ("png", "svg")),
    }


@pytest.mark.tvm
def test_the_example_recommends_and_the_lines_of_the_readme_run_what_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "use_the_api.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"ms with (chosen|fallback) schedules, in example\.rec$", done.stdout.strip())

    report = json.loads((tmp_path / "example.rec" / "report.json").read_text())
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    for theirs, ours in (
        ("resnet18.rec", "example.rec"),
        ("(1, 3, 224, 224)", str(tuple(report["inputs"][0]["shape"]))),
    ):
        assert theirs in code
        code = code.replace(theirs, ours)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TVM_NUM_THREADS", "1")  # the lines set it
    names: dict[str, object] = {}
    exec(code, names)

    assert names["output"].shape == (1, 10)  # type: ignore[attr-defined]
