"""The main job on a small real model, end to end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import tvm
from tvm import relax
from tvm.ir import IRModule
from tvm.s_tir import meta_schedule as ms
from typer.testing import CliRunner

from recommender.candidates import fallback_candidates
from recommender.cli import app
from recommender.compiler.hardware import target_from_json
from recommender.compiler.sketches import DesignSpace
from recommender.datasets.store import Store
from recommender.harness.client import WorkerClient
from recommender.harness.measurer import Measurer, Task
from recommender.harness.processes import WorkerProcess
from recommender.harness.timing import TimingRule
from recommender.job import measure_kernels, recommend
from recommender.knowledge import Knowledge
from recommender.progress import Reporter, Steps
from recommender.ranking import LOST, rank_kernel
from recommender.report import Report, report_json
from recommender.run import Choice, Clock, Options, Ranked, Run, chosen_schedules, fallback_schedules
from recommender.session import Machine, PreparedModel, prepare_named
from recommender.vocabulary import Outcome, Schedule, Sketch, Status
from tests.conftest import small_convnet, time_models_briefly
from tests.recommender.harness.test_measurer import aborting

pytestmark = [pytest.mark.tvm, pytest.mark.usefixtures("short_latencies")]


class Listener(Reporter):
    """Keeps what was said, and which steps were begun."""

    def __init__(self) -> None:
        super().__init__(0)
        self.said: list[str] = []
        self.begun: list[str] = []
        self.total = self.done = 0

    def say(self, text: str, level: int = 1) -> None:
        self.said += [text] if level == 1 else []

    @contextmanager
    def steps(self, title: str, total: int) -> Iterator[Steps]:
        listener = self

        class Heard(Steps):
            def begin(self, what: str) -> None:
                listener.begun.append(what)

            def advance(self, what: str = "", count: int = 1) -> None:
                listener.done += count

        self.total = total
        yield Heard(title, total)


@dataclass(frozen=True)
class WholeRun:
    """A run with everything on, and what it left."""

    model: Path
    out: Path
    store: Path
    report: Report
    listener: Listener


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tuned_store: Path) -> WholeRun:
    folder, listener = tmp_path_factory.mktemp("whole"), Listener()
    model, store = folder / "convnet.onnx", folder / "library.db"
    onnx.save(small_convnet(), str(model))
    shutil.copyfile(tuned_store, store)
    options = Options(top_k=2, output=folder / "out", store=store, baselines=("ort",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECOMMENDER_DATA", str(folder / "data"))
        time_models_briefly(patch)
        report = recommend(model, options, listener)
    return WholeRun(model, folder / "out", store, report, listener)


def test_the_whole_run(whole: WholeRun) -> None:
    report, out = whole.report, whole.out

    # what is handed over computes the right thing and loses to nothing that was measured
    assert report.latencies["chosen"].difference <= 1e-4
    for kernel in report.kernels:
        assert kernel.best is not None
        assert kernel.fallback is not None
        assert kernel.best.median_seconds <= kernel.fallback.median_seconds
        assert all(tried.outcome.ok for tried in kernel.tried)
        assert len(kernel.tried) <= 2
        assert kernel.explanation == ()  # nobody asked

    # the lines that run it run
    run = subprocess.run([sys.executable, str(out / "run.py")], capture_output=True, text=True, check=True)
    assert "(1, 10)" in run.stdout

    # the report on disk is the report returned, and the folder holds nothing else
    assert json.loads((out / "report.json").read_text()) == json.loads(json.dumps(report_json(report)))
    assert {path.name for path in out.iterdir()} == {
        "model.so",
        "run.py",
        "report.json",
        "report.md",
        "database_workload.json",
        "database_tuning_record.json",
    }


def test_the_database_gives_its_schedules_to_every_kernel_of_the_model(
    whole: WholeRun, machine: Machine
) -> None:
    """As somebody uses it who compiles the model without this project, but lowers it the same way."""
    model, target = prepare_named(str(whole.model), machine), target_from_json(machine.target)
    database = ms.database.JSONDatabase(work_dir=str(whole.out))
    assert len(database.get_all_tuning_records()) == len(model.kernels)

    with target, database, tvm.transform.PassContext(opt_level=3):
        scheduled = relax.transform.MetaScheduleApplyDatabase()(model.lowered)

    def is_scheduled(module: IRModule) -> dict[str, bool]:
        return {
            name.name_hint: bool(function.attrs.get("tirx.is_scheduled"))
            for name, function in module.functions.items()
            if isinstance(function, tvm.tirx.PrimFunc)
        }

    assert set(is_scheduled(model.lowered).values()) == {False}
    assert set(is_scheduled(scheduled).values()) == {True}
    for kernel in whole.report.kernels:
        space = model.spaces[kernel.workload]
        taken_up = space.schedule_of(database.query_tuning_record(space.module, target, kernel.name).trace)
        is_chosen = whole.report.delivered == "chosen"
        assert taken_up == (kernel.chosen.schedule if is_chosen else kernel.fallback_schedule)


def test_every_raw_time_is_in_the_report_and_in_the_store(whole: WholeRun) -> None:
    page = json.loads((whole.out / "report.json").read_text())
    kept: dict[str, dict[str, tuple[float, ...]]] = defaultdict(dict)
    with Store(whole.store) as store:
        for m in store.measurements():
            kept[m.workload][m.schedule.id] = m.outcome.seconds

    for kernel in page["kernels"]:
        times = {t["schedule"]: t["outcome"]["seconds"] for t in kernel["tried"]}
        times[kernel["fallback_schedule"]] = kernel["first_fallback"]["seconds"]
        if second := kernel["second_bank"]:
            times[second["challenger"]] += second["outcome"]["seconds"]
            times[kernel["fallback_schedule"]] += second["fallback"]["seconds"]
        assert kept[kernel["workload"]] == {s: tuple(map(rounded, t)) for s, t in times.items()}
    assert any(kernel["second_bank"] for kernel in page["kernels"])


def rounded(seconds: float) -> float:
    """As the store keeps it."""
    return float(f"{seconds:.6g}")


def test_a_run_says_its_stage_and_the_kernel_that_it_measures(whole: WholeRun) -> None:
    stages = ["importing", "ranking", "measuring", "compiling", "comparing", "writing"]
    heard = whole.listener
    begun = [text.split()[0] for text in heard.said]
    assert [word for word in begun if word in stages] == stages
    assert list(whole.report.stages_seconds) == ["import", "rank", "measure", "compile", "verify", "write"]

    candidates = {
        k.name: len({k.fallback_schedule, *(t.candidate.schedule for t in k.tried)})
        for k in whole.report.kernels
    }
    assert set(heard.begun) == {
        f"{name} ({count} candidate{'s' if count > 1 else ''})" for name, count in candidates.items()
    }
    assert heard.done == heard.total == sum(candidates.values())


FIRST = {"fallback": Outcome.of_times([2.0] * 3), "other": Outcome.of_times([1.0] * 3, load=0.2)}
CONFIRMED = {"fallback": Outcome.of_times([2.2] * 4, load=0.1), "other": Outcome.of_times([1.1] * 4)}
REFUTED = {"fallback": Outcome.of_times([2.1] * 4), "other": Outcome.of_times([2.3] * 4, load=0.3)}
BROKEN = {"fallback": Outcome.of_times([2.1] * 4), "other": Outcome.failure(Status.CRASHED, "SIGSEGV")}


@pytest.mark.parametrize(
    ("second", "wins", "stored", "load"),
    [
        (CONFIRMED, True, [1.0] * 3 + [1.1] * 4, 0.2),
        (REFUTED, False, [1.0] * 3 + [2.3] * 4, 0.3),
        (BROKEN, False, [1.0] * 3, 0.2),
    ],
    ids=["confirmed", "refuted", "broken"],
)
def test_the_times_that_decide_are_kept_beside_the_first(
    second: dict[str, Outcome],
    wins: bool,
    stored: list[float],
    load: float,
    model: PreparedModel,
    machine: Machine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kernel = model.kernels[0]
    fallback, other, *_ = fallback_candidates(kernel.workload, machine.hardware)
    ranked = Ranked(kernel, fallback, (other,), (0.0,))
    banks = iter([FIRST, second])

    def measure_all(_: Measurer, __: Task, schedules: Sequence[Schedule], ___: TimingRule) -> list[Outcome]:
        bank = next(banks)
        return [bank["fallback" if s == fallback.schedule else "other"] for s in schedules]

    monkeypatch.setattr(Measurer, "measure_all", measure_all)
    options = Options(top_k=1, store=tmp_path / "own.db")
    (choice,) = measure_kernels(model, [ranked], Run(machine, options, Reporter(0), Clock()))

    assert choice.chosen == (other if wins else fallback)
    assert choice.first_fallback == FIRST["fallback"]
    assert [t.outcome for t in choice.tried] == [FIRST["other"]]
    assert choice.second_bank is not None
    assert choice.second_bank.challenger == other
    assert choice.second_bank.outcome == second["other"]
    assert choice.second_bank.fallback == second["fallback"]
    with Store(tmp_path / "own.db") as store:
        kept = {m.schedule: m.outcome for m in store.measurements(kernel.workload.key)}
    assert kept[other.schedule] == Outcome.of_times(stored, load)
    assert kept[fallback.schedule].seconds == (2.0,) * 3 + second["fallback"].seconds


def test_a_second_run_starts_from_the_winners_of_the_first(
    small_path: Path, library: Path, tmp_path: Path
) -> None:
    def run(top_k: int) -> Report:
        options = Options(top_k=top_k, output=tmp_path / f"top-{top_k}", store=library)
        return recommend(small_path, options, Reporter(0))

    first = run(6)
    known: dict[str, dict[Schedule, float]] = defaultdict(dict)
    unsure: set[tuple[str, Schedule]] = set()
    with Store(library) as store:
        for m in store.measurements():
            known[m.workload][m.schedule] = m.outcome.median_seconds
            if m.outcome.is_unsure:
                unsure.add((m.workload, m.schedule))
    second = run(2)

    for kernel in second.kernels:
        seconds = known[kernel.workload]
        assert seconds[kernel.tried[0].candidate.schedule] == min(seconds.values())
        sure = {s: t for s, t in seconds.items() if (kernel.workload, s) not in unsure}
        again = [sure[t.candidate.schedule] for t in kernel.tried if t.candidate.schedule in sure]
        assert max(again, default=0.0) <= LOST * min(seconds.values())  # what lost is not measured again
    # with a third of the candidates, the kernels are as fast
    assert gain(second) > 0.8 * gain(first)


def gain(report: Report) -> float:
    """Time of all fallbacks over time of all chosen schedules, both from the second bank."""
    pairs = [(k.calls * k.fallback.median_seconds, k.calls * k.best.median_seconds) for k in report.kernels]
    return sum(slow for slow, _ in pairs) / sum(fast for _, fast in pairs)


def test_a_kernel_that_cannot_be_run_keeps_its_fallback_and_blames_no_candidate(
    model: PreparedModel, knowledge: Knowledge, machine: Machine, tmp_path: Path
) -> None:
    key = model.kernels[0].workload.key
    space = DesignSpace.of(IRModule({"main": aborting}), target_from_json(machine.target))
    broken = replace(model, spaces={**model.spaces, key: space})
    ranked = [rank_kernel(kernel, knowledge, machine) for kernel in model.kernels]
    store = tmp_path / "own.db"

    choices = measure_kernels(
        broken, ranked, Run(machine, Options(top_k=1, store=store), Reporter(0), Clock())
    )

    first, *others = choices
    assert "SIGABRT" in first.problem
    assert first.chosen == ranked[0].fallback
    assert not first.tried
    assert all(choice.best for choice in others)
    with Store(store) as opened:
        assert list(opened.measurements(key)) == []


def test_without_measuring_two_processes_agree(small_path: Path, library: Path, tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-c", "from recommender.cli import recommend_main; recommend_main()"),
        *(str(small_path), "--store", str(library), "--no-measure", "-q", "-o", "same"),
    ]
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    running = [subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE) for folder in folders]

    assert [process.communicate()[1] for process in running] == [b"", b""]  # -q
    assert [process.returncode for process in running] == [0, 0]
    one, two = ((folder / "same" / "report.json").read_bytes() for folder in folders)
    assert one == two


def test_with_one_thread_quietly_and_as_json(
    small_path: Path,
    library: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TVM_NUM_THREADS", os.environ["TVM_NUM_THREADS"])  # a run sets it
    start, call = WorkerProcess.start, WorkerClient.call
    workers: list[int] = []
    sessions: list[int] = []

    def start_heard(pipe: Any, threads: int, memory_bytes: int) -> WorkerProcess:
        workers.append(threads)
        return start(pipe, threads, memory_bytes)

    def call_heard(client: WorkerClient, method: str, *arguments: Any, **rest: Any) -> Any:
        sessions.extend(arguments[2:3] if method == "open_onnx" else ())
        return call(client, method, *arguments, **rest)

    monkeypatch.setattr(WorkerProcess, "start", staticmethod(start_heard))
    monkeypatch.setattr(WorkerClient, "call", call_heard)
    arguments = [
        *("recommend", str(small_path), "--store", str(library), "-o", str(tmp_path / "out")),
        *("--top-k", "1", "--threads", "1", "--baseline", "untuned", "--json", "--quiet"),
    ]
    done = CliRunner().invoke(app, arguments)

    assert done.exit_code == 0, done.stderr
    page = json.loads(done.stdout)  # one document and nothing else
    assert done.stderr == ""
    assert tuple(capfd.readouterr()) == ("", "")  # nor did TVM print anything past Python
    assert page["hardware"]["threads"] == 1
    assert set(workers) == set(sessions) == {1}
    assert 'setdefault("TVM_NUM_THREADS", "1")' in (tmp_path / "out" / "run.py").read_text()
    untuned = page["latencies"]["untuned"]
    assert untuned["seconds"]
    assert untuned["difference_from_ort"] <= 1e-4


def test_leaving_out_the_only_donor_leaves_no_library(
    convnet_path: Path, library: Path, tmp_path: Path
) -> None:
    from recommender.errors import DataError

    options = Options(output=tmp_path / "out", store=library, exclude_models=("donor",), target="host")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recommender.knowledge.SHIPPED", tmp_path / "no-such-store.db")
        with pytest.raises(DataError, match="library"):
            recommend(convnet_path, options)
    assert not (tmp_path / "out").exists()


def test_what_is_trusted_unmeasured_can_at_least_be_replayed(
    model: PreparedModel, machine: Machine, knowledge: Knowledge
) -> None:
    first, *others = [rank_kernel(kernel, knowledge, machine) for kernel in model.kernels]
    bad = replace(first.fallback, schedule=Schedule(Sketch(()), ()))
    good = replace(first, fallback=bad)
    hopeless = replace(first, fallback=bad, candidates=(bad,), scores=(0.0,))
    options = Options(measure=False)
    key, keys = first.kernel.workload.key, {r.kernel.workload.key for r in (first, *others)}

    def choices(tried: Ranked) -> list[Choice]:
        return measure_kernels(model, [tried, *others], Run(machine, options, Reporter(0), Clock()))

    assert chosen_schedules(choices(good)).keys() == keys
    assert fallback_schedules(choices(good)).keys() == keys - {key}
    assert chosen_schedules(choices(hopeless)).keys() == keys - {key}  # it stays as TVM leaves it
