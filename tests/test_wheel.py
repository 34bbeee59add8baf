"""What the wheel holds: the code, the zoo, the library and the ranker, and nothing else."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_wheel_holds_what_a_run_needs(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())

    assert {
        "recommender/cli.py",
        "recommender/py.typed",
        "recommender/features/encoder.py",
        "recommender/models/shipped/ranker.ubj",
        "recommender/models/shipped/ranker.json",
        "recommender/datasets/shipped/outcomes.db",
        "recommender/datasets/skeletons/resnet50.onnx",
    } <= names


def test_wheel_holds_one_package_and_no_tests(wheel: Path) -> None:
    roots = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}

    assert {root for root in roots if not root.endswith(".dist-info")} == {"recommender"}


def test_wheel_is_at_most_20_megabytes(wheel: Path) -> None:
    assert wheel.stat().st_size <= 20e6
