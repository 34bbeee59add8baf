"""A file is there when it is complete, and what was there before stays until then."""

from __future__ import annotations

from pathlib import Path

import pytest

from recommender.errors import OutputError
from recommender.writing import new_file


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "model.v1.onnx"

    with new_file(path) as partial:
        partial.write_text("all of it")
        assert not path.exists()
        assert partial.suffix == path.suffix  # which says in what format to write

    assert path.read_text() == "all of it"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_what_is_cut_off_leaves_the_old_file_and_nothing_beside(
    failure: BaseException, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("old")

    with pytest.raises(type(failure)), new_file(path, force=True) as partial:
        partial.write_text("half")
        raise failure

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_replaced_only_when_told_and_a_folder_never(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("old")

    with pytest.raises(OutputError, match=r"model\.onnx exists; .*--force"), new_file(path) as partial:
        partial.write_text("new")
    assert path.read_text() == "old"

    with new_file(path, force=True) as partial:
        partial.write_text("new")
    assert path.read_text() == "new"

    with pytest.raises(OutputError, match="exists"), new_file(tmp_path, force=True):
        pass
