"""The layout that pyproject.toml promises: real folders at the top, one import name when installed."""

import ast
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


@pytest.mark.parametrize(
    ("folder", "may_import"),
    [
        ("features", {"features", "vocabulary", "repair"}),
        ("datasets", {"datasets", "vocabulary", "errors", "traces"}),
        ("models", {"models", "datasets", "features", "vocabulary", "errors", "repair"}),
    ],
)
def test_what_is_below_knows_nothing_of_what_is_above(folder: str, may_import: set[str]) -> None:
    """The product imports these; they import each other in one direction only."""
    imported = {
        f"{path.name}: {name}"
        for path in (ROOT / folder).glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in _modules_of(node)
        if name.startswith("recommender.") and name.split(".")[1] not in may_import
    }

    assert imported == set()


def _modules_of(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
