"""The layout that pyproject.toml promises: real folders at the top, one import name when installed."""

from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", ["features", "models", "datasets"])
def test_package_link_leads_to_the_top_level_folder(name: str) -> None:
    link = ROOT / "recommender" / name

    assert link.is_symlink()
    assert link.resolve() == ROOT / name


def test_datasets_does_not_shadow_hugging_face() -> None:
    assert not (ROOT / "datasets" / "__init__.py").exists()


def test_only_recommender_is_importable_once_installed() -> None:
    top_level = metadata.distribution("tvm-schedule-recommender").read_text("top_level.txt")

    assert top_level is not None
    assert top_level.split() == ["recommender"]
