"""The main job on a small real model, end to end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
from tvm.ir import IRModule
from tvm.s_tir import meta_schedule as ms

from recommender.compiler.hardware import target_from_json
from recommender.compiler.sketches import DesignSpace
from recommender.datasets.store import Store
from recommender.job import measure_kernels, recommend
from recommender.progress import Reporter
from recommender.ranking import LOST, Knowledge, rank_kernel
from recommender.report import Report, report_json
from recommender.run import Clock, Options, Run
from recommender.session import Machine, PreparedModel
from recommender.vocabulary import Schedule
from tests.recommender.harness.test_measurer import aborting

pytestmark = [pytest.mark.tvm, pytest.mark.usefixtures("short_latencies")]


@pytest.fixture
def report(convnet_path: Path, library: Path, tmp_path: Path) -> Report:
    options = Options(top_k=2, output=tmp_path / "out", store=library, baselines=("ort",))
    return recommend(convnet_path, options, Reporter(0))


def test_the_whole_run(report: Report, library: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    # what is handed over computes the right thing and loses to nothing that was measured
    assert report.latencies["chosen"].difference <= 1e-4
    for kernel in report.kernels:
        assert kernel.best is not None
        assert kernel.fallback is not None
        assert kernel.best.median_seconds <= kernel.fallback.median_seconds
        assert all(tried.outcome.ok for tried in kernel.tried)
        assert len(kernel.tried) <= 2

    # the database opens in TVM and has a record for every kernel
    database = ms.database.JSONDatabase(work_dir=str(out))
    assert len(database.get_all_tuning_records()) == len(report.kernels)

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

    # the measurements are in the user's store
    with Store(library) as store:
        kept = {m.schedule.id for m in store.measurements() if m.source == "recommend"}
    assert {t.candidate.schedule.id for k in report.kernels for t in k.tried} & kept


def test_a_second_run_starts_from_the_winners_of_the_first(
    convnet_path: Path, library: Path, tmp_path: Path
) -> None:
    def run(top_k: int) -> Report:
        options = Options(top_k=top_k, output=tmp_path / f"top-{top_k}", store=library)
        return recommend(convnet_path, options, Reporter(0))

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
    reports = []
    for _ in range(2):
        command = [
            *(sys.executable, "-c", "from recommender.cli import recommend_main; recommend_main()"),
            *(str(small_path), "--store", str(library), "--no-measure", "-q"),
            *("-o", str(tmp_path / "same"), "--force"),
        ]
        subprocess.run(command, check=True, capture_output=True)
        reports.append((tmp_path / "same" / "report.json").read_bytes())

    assert reports[0] == reports[1]


def test_leaving_out_the_only_donor_leaves_no_library(
    convnet_path: Path, library: Path, tmp_path: Path
) -> None:
    from recommender.errors import DataError

    options = Options(output=tmp_path / "out", store=library, exclude_models=("donor",), target="host")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recommender.ranking.SHIPPED", tmp_path / "no-such-store.db")
        with pytest.raises(DataError, match="library"):
            recommend(convnet_path, options)
    assert not (tmp_path / "out").exists()
