"""The versions that work, and all cores."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from recommender.compiler import setup
from recommender.errors import SetupError, UsageError


@pytest.mark.parametrize(
    ("tvm", "ffi", "problem"),
    [
        ("0.27.0.post1", "0.1.15.post2", "crashes TVM"),
        ("0.27.0.post1", "0.2.0", "crashes TVM"),
        ("0.27.0.post1", "0.1.15rc0", "crashes TVM"),
        ("0.26.0", "0.1.14", r"0\.26\.0 is installed"),
    ],
)
def test_versions_that_do_not_work_are_refused_with_the_command_that_mends_them(
    tvm: str, ffi: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "version", {"apache-tvm": tvm, "apache-tvm-ffi": ffi}.__getitem__)

    with pytest.raises(SetupError, match=f"{problem}.*pip install"):
        setup.check_versions()


def test_a_missing_tvm_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)

    with pytest.raises(SetupError, match="apache-tvm is not installed"):
        setup.check_versions()


def test_all_usable_cores_are_used() -> None:
    assert setup.prepare() == setup.usable_cores()
    assert os.environ["TVM_NUM_THREADS"] == str(setup.usable_cores())


def test_native_code_is_silenced_and_python_is_heard() -> None:
    script = (
        "import os, sys\n"
        "from recommender.compiler.setup import native_silence\n"
        "with native_silence():\n"
        "    os.write(2, b'from C++ ')\n"
        "    print('from Python', file=sys.stderr)\n"
        "os.write(2, b'after')\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stderr == "from Python\nafter"


@pytest.mark.parametrize("threads", [0, -1, 10_000])
def test_other_numbers_of_threads_are_refused(threads: int) -> None:
    with pytest.raises(UsageError, match="--threads"):
        setup.prepare(threads)


@pytest.mark.parametrize(
    ("text", "cores"), [("max 100000", None), ("150000 100000", 1.5), ("", None), ("x y", None)]
)
def test_a_cgroup_quota_limits_the_cores(
    text: str, cores: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cpu.max"
    path.write_text(text)
    monkeypatch.setattr(setup, "CGROUP_QUOTA", path)

    assert setup.cgroup_quota() == cores
