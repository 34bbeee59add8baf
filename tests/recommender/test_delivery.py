"""What is handed over, and where: the better of the builds that are right, in a folder of ours."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import onnx
import pytest
from tvm.s_tir import meta_schedule as ms

from recommender.candidates import fallback_candidates
from recommender.compiler import export
from recommender.delivery import deliver
from recommender.errors import VerificationError
from recommender.harness.latency import Latency
from recommender.output_folder import OutputFolder
from recommender.progress import Reporter
from recommender.report import Report
from recommender.run import Choice, Clock, Options, Ranked, Run
from recommender.session import Machine, PreparedModel, prepare_named
from recommender.vocabulary import Outcome, Schedule
from tests.conftest import two_convolutions

SLOW, FAST = Latency((2e-3,)), Latency((1e-3,))
WRONG, NOT_FINITE, DEAD = (
    Latency((1e-3,), 0.1),
    Latency((), math.inf),
    Latency((), math.inf, reason="the worker died with SIGSEGV\nsomewhere"),
)
AMPLIFIED = Latency((1e-3,), 8e-4, allowed=1e-3)
FALLBACK_SECONDS, CHOSEN_SECONDS = 4e-4, 2e-4
Deliver = Callable[[Latency, Latency], Report]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, machine: Machine) -> PreparedModel:
    path = tmp_path_factory.mktemp("model") / "small.onnx"
    onnx.save(two_convolutions(), str(path))
    return prepare_named(str(path), machine)


@pytest.fixture
def delivered(
    prepared: PreparedModel, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Deliver:
    """Delivers builds, each a file that holds its name, as if they had been compared already."""

    def compile_builds(
        folder: Path, model: PreparedModel, wanted: Mapping[str, Mapping[str, Schedule]], run: Run
    ) -> dict[str, Path]:
        builds = {name: folder / f"build-{name}.so" for name in wanted}
        for name, path in builds.items():
            path.write_text(name)
        return builds

    def call(chosen: Latency, fallback: Latency) -> Report:
        latencies = {"chosen": chosen, "fallback": fallback}
        monkeypatch.setattr("recommender.delivery.compile_builds", compile_builds)
        monkeypatch.setattr("recommender.delivery.compare_builds", lambda *_, **__: latencies)
        run = Run(machine, Options(), Reporter(0), Clock())
        return deliver(OutputFolder(tmp_path / "out"), prepared, choices(prepared, machine), run)

    return call


def choices(model: PreparedModel, machine: Machine) -> Sequence[Choice]:
    """For each kernel another schedule than the fallback, where it has another."""
    made = []
    for kernel in model.kernels:
        fallback, *others = fallback_candidates(kernel.workload, machine.hardware)
        chosen = others[0] if others else fallback
        made.append(
            Choice(
                Ranked(kernel, fallback, (chosen,), (0.0,)),
                chosen,
                Outcome.of_times([FALLBACK_SECONDS]),
                Outcome.of_times([CHOSEN_SECONDS]),
            )
        )
    return made


@pytest.mark.tvm
@pytest.mark.parametrize(
    ("chosen", "fallback", "better", "said"),
    [
        (FAST, SLOW, "chosen", "takes 0.500 x this time"),
        (SLOW, FAST, "fallback", "was faster, and was handed over"),
        (WRONG, SLOW, "fallback", "computes something else: the one with fallback schedules was handed over"),
        (NOT_FINITE, SLOW, "fallback", "computes something else: the one with fallback"),
        (AMPLIFIED, SLOW, "chosen", "takes 0.500 x this time"),
        (DEAD, SLOW, "fallback", "could not be used: the one with fallback schedules was handed over"),
        (SLOW, WRONG, "chosen", "recommended"),
        (SLOW, DEAD, "chosen", "could not be used"),
    ],
    ids=["faster", "slower", "wrong", "not-finite", "amplified", "dead", "fallback-wrong", "fallback-dead"],
)
def test_the_better_build_that_is_right_is_handed_over(
    chosen: Latency, fallback: Latency, better: str, said: str, delivered: Deliver, tmp_path: Path
) -> None:
    report = delivered(chosen, fallback)

    out = tmp_path / "out"
    assert report.delivered == json.loads((out / "report.json").read_text())["delivered"] == better
    assert (out / "model.so").read_text() == better
    assert said in (out / "report.md").read_text()
    records = ms.database.JSONDatabase(work_dir=str(out)).get_all_tuning_records()
    seconds = {float(record.run_secs[0]) for record in records}
    assert seconds == {CHOSEN_SECONDS if better == "chosen" else FALLBACK_SECONDS}
    assert [p.name for p in tmp_path.iterdir() if p.name != "data"] == ["out"]


@pytest.mark.tvm
@pytest.mark.parametrize(
    ("build", "text"),
    [
        (WRONG, r"differs from ONNX Runtime by 1\.0e-01"),
        (NOT_FINITE, "differs from ONNX Runtime in values that are not finite"),
        (DEAD, r"cannot be used \(the worker died with SIGSEGV\)"),
    ],
    ids=["wrong", "not-finite", "dead"],
)
def test_what_is_wrong_both_ways_is_refused_and_leaves_nothing(
    build: Latency, text: str, delivered: Deliver, tmp_path: Path
) -> None:
    with pytest.raises(VerificationError, match=text) as refused:
        delivered(build, build)

    assert refused.value.exit_code == 6
    assert [p.name for p in tmp_path.iterdir() if p.name != "data"] == []


@pytest.mark.tvm
def test_the_time_of_a_run_includes_writing_its_output(
    delivered: Deliver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = export.write_database

    def slowly(*arguments: object) -> None:
        time.sleep(0.3)
        write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(export, "write_database", slowly)

    assert delivered(FAST, SLOW).stages_seconds["write"] > 0.3
    assert json.loads((tmp_path / "out" / "report.json").read_text())["total_seconds"] > 0.3
