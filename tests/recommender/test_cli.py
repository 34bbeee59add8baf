"""The command line by table: what is typed, what comes out, with which exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import helper
from typer.testing import CliRunner

from recommender.cli import app
from recommender.datasets.store import Store
from tests.conftest import model_of, small_convnet

RECOMMEND = [sys.executable, "-c", "from recommender.cli import recommend_main; recommend_main()"]
RECOMMENDER = [sys.executable, "-c", "from recommender.cli import main; main()"]
OF_ONE_MACHINE = Path(__file__).parents[1] / "assets" / "store-v1.db"


def run(
    *arguments: str | Path, env: dict[str, str] | None = None, cwd: Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RECOMMEND, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        timeout=240,
    )


def invoke(*arguments: str | Path) -> Any:
    """The command in this process: many cases without importing TVM for each."""
    return CliRunner().invoke(app, [*map(str, arguments)])


def test_bad_input_is_one_line_with_a_code_and_leaves_nothing(
    tmp_path: Path, convnet_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.onnx").write_bytes(b"nope")
    (tmp_path / "cut.onnx").write_bytes(convnet_path.read_bytes()[: convnet_path.stat().st_size // 2])
    onnx.save(small_convnet(batch="batch"), "open.onnx")
    odd = [helper.make_node("Foo", ["x"], ["f"]), helper.make_node("Bar", ["f"], ["y"])]
    onnx.save(model_of(odd, {"x": [2]}, "y", []), "odd.onnx")
    odd = [helper.make_node("Det", ["x"], ["d"]), helper.make_node("Relu", ["d"], ["y"])]
    onnx.save(model_of(odd, {"x": [2, 2]}, "y", []), "det.onnx")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken-with-work").mkdir()
    (tmp_path / "taken-with-work" / "thesis.tex").write_text("")
    good, store = str(convnet_path), str(library)
    cases: list[tuple[list[str], int, str]] = [
        (["none.onnx"], 3, "does not exist"),
        (["broken.onnx"], 3, "not an ONNX file"),
        (["cut.onnx"], 3, "cut short"),
        (["taken"], 3, "is a folder"),
        (["open.onnx"], 3, "--input-shape x:1,4,8,8"),
        (["odd.onnx"], 3, "these operators: Bar, Foo;"),
        (["det.onnx"], 3, "these operators: Det;"),
        ([good, "--top-k", "0"], 2, "--top-k must be 1 or more"),
        ([good, "--top-k", "-3"], 2, "--top-k must be 1 or more"),
        ([good, "--target", "nonsense"], 2, "--target"),
        ([good, "--target", "cuda"], 2, "--target"),
        ([good, "--threads", "0"], 2, "--threads"),
        ([good, "--threads", "9999"], 2, "--threads"),
        ([good, "--baseline", "fast"], 2, "--baseline"),
        ([good, "--budget-seconds", "0"], 2, "--budget-seconds"),
        ([good, "--input-shape", "x"], 2, "--input-shape"),
        ([good, "--input-shape", "z:1,2"], 2, "no input 'z'"),
        ([good, "--input-shape", f"x:{10**20}"], 2, "--input-shape"),
        ([good, "--dim", "batch"], 2, "--dim"),
        (["open.onnx", "--dim", f"batch={10**20}"], 2, "--dim"),
        (["open.onnx", "--dim", "batch=²"], 2, "--dim"),
        ([good, "-o", "taken"], 8, "--force"),
        ([good, "-o", "taken-with-work", "--force"], 8, "was not written by recommend"),
        ([good, "-o", ".", "--force"], 8, "was not written by recommend"),
        ([good, "--no-measure", "--baseline", "ort"], 2, "--baseline is timed"),
        ([good, "-o", "no/such/folder"], 8, "is not a folder that can be written"),
        ([good, "--store", "broken.onnx"], 7, "cannot be opened"),
        ([good, "--store", store, "--budget-seconds", "0.01"], 4, "no time was left"),
        ([good, "--store", store, "--target", "llvm -mcpu=cortex-a72"], 2, "--target"),
    ]
    before = sorted(p.name for p in tmp_path.iterdir())
    for arguments, code, text in cases:
        result = invoke("recommend", *arguments)

        lines = [line for line in result.stderr.splitlines() if "kernels" not in line]
        assert (result.exit_code, result.stdout) == (code, ""), (arguments, result.stderr)
        assert len(lines) == 1, (arguments, result.stderr)
        assert lines[0].startswith("error: ")
        assert text in lines[0]
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "data") == before
    assert (tmp_path / "taken-with-work" / "thesis.tex").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["models", "use", "nonesuch"], 2, "no ranker is called nonesuch"),
        (["models", "import", "none.zip"], 7, "no exported ranker"),
        (["library", "import", "."], 7, "is no MetaSchedule work directory"),
        (["library", "export", "x.db"], 7, "there is no store"),
        (["library", "add", "none.db"], 7, "there is no store"),
        (["evaluate", "--store", "none.db"], 7, "there is no store"),
        (["evaluate", "--measure", "resnet18"], 2, "name it with -o"),
        (["study", "weather"], 2, "no study is called weather"),
        (["study", "k", "--model", "nonesuch"], 7, "no outcomes of nonesuch"),
        (["study", "hardware", "--store", str(OF_ONE_MACHINE)], 2, "calibrate"),
        (["study", "k", "--backend", "carrier-pigeon"], 2, "--backend"),
        (["train", "--hardware", "another"], 7, "no outcomes are left"),
        (["train", "--seed", "-1"], 2, "--seed"),
        (["zoo", "export", "resnet18", "-o", "no/such/x.onnx"], 8, "no/such"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_of_the_other_commands(
    arguments: list[str], code: int, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    done = invoke(*arguments)

    assert done.exit_code == code, done.stderr
    assert text in done.stderr


def test_usage_errors_of_the_parser_have_code_2(tmp_path: Path) -> None:
    assert run(cwd=tmp_path).returncode == 2
    assert run("m.onnx", "--no-such-flag", cwd=tmp_path).returncode == 2


def test_no_c_compiler_is_said_before_any_work(tmp_path: Path, convnet_path: Path) -> None:
    result = run(convnet_path, env={"PATH": str(tmp_path), "CXX": "", "CC": ""}, cwd=tmp_path)

    assert result.returncode == 5
    assert "no C compiler" in result.stderr


def test_a_compiler_that_is_not_there_is_said_before_any_work(
    tmp_path: Path, convnet_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CXX", "/no/such/c++")
    monkeypatch.setattr("recommender.job.this_machine", None)  # would be the next step

    done = invoke("recommend", convnet_path)

    assert (done.exit_code, done.stdout) == (5, "")
    assert done.stderr.startswith("error: CXX is '/no/such/c++'")
    assert done.stderr.count("\n") == 1


@pytest.mark.tvm
def test_ctrl_c_keeps_what_was_measured(tmp_path: Path, library: Path, convnet_path: Path) -> None:
    command = [*RECOMMEND, str(convnet_path), "--top-k", "100", "--store", str(library), "-o", "out"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    kept = 0
    while time.monotonic() < deadline and kept < 3:
        time.sleep(0.1)
        with Store(library) as store:
            kept = sum(m.source == "recommend" for m in store.measurements())
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)

    assert kept >= 3
    assert process.returncode == 130, errors
    assert "interrupted" in errors
    assert not (tmp_path / "out").exists()
    with Store(library) as store:
        assert sum(m.source == "recommend" for m in store.measurements()) >= kept


def test_zoo_export_writes_a_runnable_model(tmp_path: Path) -> None:
    import onnx

    subprocess.run(
        [*RECOMMENDER, "zoo", "export", "mnasnet1_0"], cwd=tmp_path, check=True, capture_output=True
    )

    onnx.checker.check_model(onnx.load(tmp_path / "mnasnet1_0.onnx"))


ZOO_EXPORT = ("zoo", "export", "mnasnet1_0", "-o", "kept.onnx")
RANKER_EXPORT = ("models", "export", "shipped", "-o", "kept.zip")


@pytest.mark.parametrize("command", [ZOO_EXPORT, RANKER_EXPORT], ids=["zoo", "models"])
def test_an_export_replaces_a_file_only_when_told(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    kept = tmp_path / command[-1]
    kept.write_text("old")

    refused = invoke(*command)
    assert refused.exit_code == 8
    assert "exists; " in refused.stderr
    assert "--force" in refused.stderr
    assert kept.read_text() == "old"

    assert invoke(*command, "--force").exit_code == 0
    assert kept.stat().st_size > 1000
    assert list(tmp_path.glob("*kept*")) == [kept]


def write_half_a_model(model: onnx.ModelProto, path: str) -> None:
    Path(path).write_text("half")
    raise KeyboardInterrupt


def write_no_member(*arguments: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("command", "writer", "cut_off"),
    [
        (ZOO_EXPORT, "onnx.save", write_half_a_model),
        (RANKER_EXPORT, "zipfile.ZipFile.write", write_no_member),
    ],
    ids=["zoo", "models"],
)
def test_an_export_that_is_cut_off_leaves_what_was_there(
    command: tuple[str, ...], writer: str, cut_off: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(writer, cut_off)
    kept = tmp_path / command[-1]
    kept.write_text("old")

    assert invoke(*command, "--force").exit_code == 130
    assert kept.read_text() == "old"
    assert list(tmp_path.glob("*kept*")) == [kept]


COMMANDS = "tune collect remeasure calibrate train evaluate study doctor recommend models library zoo"


@pytest.mark.parametrize("command", COMMANDS.split())
def test_every_command_has_help(command: str) -> None:
    result = invoke(command, "--help")

    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) > 5
