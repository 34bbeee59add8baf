"""The versions that work, and all cores."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from tvm.support import cc

from recommender.compiler import setup
from recommender.errors import SetupError, UsageError


@pytest.mark.parametrize(
    ("tvm", "ffi", "problem"),
    [
        ("0.27.0.post1", "0.1.15.post2", "crashes TVM"),
        ("0.27.0.post1", "0.2.0", "crashes TVM"),
        ("0.27.0.post1", "0.1.15rc0", "crashes TVM"),
        ("0.27.0.post1", "0.1.14", r"0\.1\.14 .*too old"),
        ("0.27.0.post1", "0.1.9.post3", "too old"),
        ("0.26.0", "0.1.14", r"0\.26\.0 is installed"),
        ("0.27.0", "0.1.14.post0", r"0\.27\.0\.post1 is needed, but 0\.27\.0 is installed"),
    ],
)
def test_versions_that_do_not_work_are_refused_with_the_command_that_mends_them(
    tvm: str, ffi: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "version", {"apache-tvm": tvm, "apache-tvm-ffi": ffi}.__getitem__)

    with pytest.raises(SetupError, match=f"{problem}.*pip install"):
        setup.check_versions()


@pytest.mark.parametrize("ffi", ["0.1.14.post0", "0.1.14.post12"])
def test_versions_that_the_package_asks_for_are_taken(ffi: str, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"apache-tvm": "0.27.0.post1", "apache-tvm-ffi": ffi}
    monkeypatch.setattr(metadata, "version", versions.__getitem__)

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
    ("groups", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "max 100000"}, None),
        ("0::/\n", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/\n", {"cpu.max": ""}, None),
        ("0::/\n", {"cpu.max": "x y"}, None),
        ("0::/a/b\n", {"cpu.max": "max 100000", "a/cpu.max": "2 1", "a/b/cpu.max": "max 1"}, 2.0),
        ("0::/a/b\n", {"a/cpu.max": "4 1", "a/b/cpu.max": "3 1", "c/cpu.max": "1 1"}, 3.0),
        ("0::/a\n", {"a/cpu.max": "8 1", "cpu.max": "5 1"}, 5.0),
        (
            "5:cpu,cpuacct:/box\n4:cpuset:/other\n0::/\n",
            {"cpu/box/cpu.cfs_quota_us": "250000\n", "cpu/box/cpu.cfs_period_us": "100000\n"},
            2.5,
        ),
        (
            "5:cpu,cpuacct:/seen/from/outside\n",  # a container sees its own group as the topmost
            {"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"},
            1.0,
        ),
        ("5:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ("4:cpuset:/\n", {"cpu/cpu.cfs_quota_us": "1\n", "cpu/cpu.cfs_period_us": "1\n"}, None),
        (None, {"cpu.max": "1 1"}, None),
    ],
)
def test_the_smallest_quota_of_a_process_and_of_what_it_is_in_counts(
    groups: str | None, files: dict[str, str], cores: float | None, tmp_path: Path
) -> None:
    written = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    if groups is not None:
        written["proc/self/cgroup"] = groups
    for name, text in written.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    assert setup.cgroup_quota(tmp_path) == cores


def test_a_quota_cuts_down_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "cgroup_quota", lambda: 0.5)

    assert setup.usable_cores() == 1


def programs(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch(mode=0o755)


def test_the_compiler_is_the_one_that_tvm_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs(tmp_path, "my-cxx", "my-cc", "clang")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CC", "")
    for variable, value in (("CXX", ""), ("CC", "my-cc"), ("CXX", str(tmp_path / "my-cxx"))):
        monkeypatch.setenv(variable, value)
        assert setup.c_compiler() == (value or "clang")
        assert (cc.get_cc() or "").endswith(value or "/clang")


@pytest.mark.parametrize(
    ("variable", "value"), [("CXX", "/no/such/c++"), ("CC", "no-such-cc"), ("CC", "my-cache my-cc")]
)
def test_a_variable_that_names_no_compiler_is_said(
    variable: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs(tmp_path, "my-cache", "my-cc", "g++")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv(variable, value)

    with pytest.raises(SetupError, match=f"^{variable} is '{re.escape(value)}', .* or unset it$"):
        setup.c_compiler()
