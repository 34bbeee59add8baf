"""Where the result goes: complete or not there, and nothing of anybody else is replaced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recommender.errors import OutputError
from recommender.output_folder import OutputFolder


def written(folder: Path, report: str) -> Path:
    """A folder as a run leaves it."""
    folder.mkdir()
    for name in ("model.so", "run.py"):
        (folder / name).touch()
    (folder / "report.json").write_text(report)
    return folder


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("content", ["thesis.tex", "report.json"])
def test_a_folder_that_is_not_ours_is_refused_at_once(content: str, force: bool, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / content).write_text("")

    with pytest.raises(OutputError, match="was not written by recommend") as refused:
        OutputFolder.claim("m.onnx", tmp_path / "thesis", force)

    assert "--force" not in str(refused.value)


def test_a_folder_of_ours_is_replaced_if_forced(tmp_path: Path) -> None:
    written(tmp_path / "out", "old")

    with pytest.raises(OutputError, match="--force"):
        OutputFolder.claim("m.onnx", tmp_path / "out", force=False)
    folder = OutputFolder.claim("m.onnx", tmp_path / "out", force=True)
    staged = folder.stage()
    (staged / "report.json").write_text("new")
    folder.put(staged)

    assert [p.name for p in tmp_path.iterdir() if p.name != "data"] == ["out"]
    assert (tmp_path / "out" / "report.json").read_text() == "new"


def test_an_old_result_is_put_back_if_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = written(tmp_path / "out", "old")
    folder = OutputFolder.claim("m.onnx", out, force=True)
    staged, rename = folder.stage(), Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if path == staged:
            raise PermissionError("not here")
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OutputError, match="not here"):
        folder.put(staged)

    assert (out / "report.json").read_text() == "old"
    assert {p.name for p in tmp_path.iterdir() if p.name != "data"} == {"out", staged.name}


@pytest.mark.parametrize("name", ["net.rec", "net[v2].rec", "net*.rec"])
def test_what_a_killed_run_left_beside_the_folder_is_removed(name: str, tmp_path: Path) -> None:
    dead, alive = (tmp_path / f".{name}-{pid}-abcd_123" for pid in (2**30, os.getpid()))
    other = tmp_path / f".net2.rec-{2**30}-abcd_123"
    for folder in (dead, alive, other):
        folder.mkdir()

    OutputFolder.claim("m.onnx", tmp_path / name, force=False)

    assert not dead.exists()
    assert alive.exists()
    assert other.exists()


def test_what_another_run_is_writing_stays_though_its_name_begins_alike(tmp_path: Path) -> None:
    other = tmp_path / f".net-{2**30}-{os.getpid()}-abcd_123"  # of -o net-1073741824
    other.mkdir()

    OutputFolder.claim("m.onnx", tmp_path / "net", force=False)

    assert other.exists()


def test_an_old_result_is_put_back_after_a_kill_between_the_two_renames(tmp_path: Path) -> None:
    written(tmp_path / f".net-{2**30}-abcd_123-replaced", "old")
    (tmp_path / f".net-{2**30}-abcd_123").mkdir()

    with pytest.raises(OutputError, match="--force"):
        OutputFolder.claim("m.onnx", tmp_path / "net", force=False)

    assert (tmp_path / "net" / "report.json").read_text() == "old"
    assert {p.name for p in tmp_path.iterdir() if p.name != "data"} == {"net"}
