"""SIGKILL at random moments: nothing finished is lost, the next run completes, nothing is left running.

`RECOMMENDER_KILLS=50 pytest tests/faults/test_kill.py` tries more moments.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import onnx
import pytest

from recommender.datasets.store import Store
from recommender.models import registry
from recommender.models.artefact import load_ranker
from tests.conftest import two_convolutions

pytestmark = [pytest.mark.tvm, pytest.mark.faults]
KILLS = int(os.environ.get("RECOMMENDER_KILLS", "2"))
TRIALS = 6


@pytest.fixture
def donor(tmp_path: Path) -> Path:
    path = tmp_path / "donor.onnx"
    onnx.save(two_convolutions(channels=8, size=10), str(path))
    return path


def start(command: str, *arguments: str | Path, cwd: Path) -> subprocess.Popen[bytes]:
    call = f"from recommender.cli import {command}; {command}()"
    return subprocess.Popen(
        [sys.executable, "-c", call, *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def orphans() -> list[str]:
    """Workers whose parent is gone."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = stat.read_text().rpartition(")")[2].split()[1]
            command = (stat.parent / "cmdline").read_text()
        except OSError:
            continue
        if "recommender.harness.forkserver" in command and parent == "1":
            found.append(stat.parent.name)
    return found


def measured(store: Path) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(store)) as db, db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with Store(store) as opened:
        return {(m.workload, m.schedule.id) for m in opened.measurements()}


def killed_at_random_moments(
    command: str, *arguments: str | Path, cwd: Path, store: Path, seconds: float
) -> Iterator[set[tuple[str, str]]]:
    """Kill the command at `KILLS` moments of its first `seconds`, and yield what the store holds."""
    moments = random.Random(7)
    for _ in range(KILLS):
        process = start(command, *arguments, cwd=cwd)
        time.sleep(moments.uniform(1, seconds))
        process.send_signal(signal.SIGKILL)
        process.wait()
        deadline = time.monotonic() + 5
        while orphans() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert orphans() == []
        yield measured(store) if store.exists() else set()


def test_a_killed_search_loses_nothing_and_is_finished_by_the_next(donor: Path, tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    arguments = ("tune", "--cold", donor, "--store", store, "--trials", str(TRIALS))
    before: set[tuple[str, str]] = set()
    for kept in killed_at_random_moments("main", *arguments, cwd=tmp_path, store=store, seconds=9):
        assert before <= kept
        before = kept

    assert start("main", *arguments, cwd=tmp_path).wait(240) == 0

    assert before <= measured(store)
    with Store(store) as opened:
        finished = {s.workload: s for s in opened.searches()}
        assert set(finished) == {use.workload for use in opened.kernels()}
        assert {s.trials for s in finished.values()} == {TRIALS}
        for key in finished:
            assert len(list(opened.measurements(key))) <= TRIALS


def test_a_killed_recommendation_leaves_no_folder_and_the_next_completes(
    small_path: Path, library: Path, tmp_path: Path
) -> None:
    arguments = (small_path, "--store", library, "--top-k", "2", "-o", "out")
    before = measured(library)
    for kept in killed_at_random_moments(
        "recommend_main", *arguments, cwd=tmp_path, store=library, seconds=9
    ):
        assert before <= kept
        assert not (tmp_path / "out").exists()
        before = kept

    assert start("recommend_main", *arguments, cwd=tmp_path).wait(240) == 0

    assert (tmp_path / "out" / "model.so").exists()
    assert not list(tmp_path.glob(".out-*"))
    assert before <= measured(library)


def test_a_killed_collection_loses_nothing_and_ends_like_an_undisturbed_one(
    small_path: Path, library: Path, tmp_path: Path
) -> None:
    undisturbed = tmp_path / "undisturbed.db"
    shutil.copyfile(library, undisturbed)
    arguments = ("collect", small_path, "--per-kernel", "4", "-q", "--store")
    beside = start("main", *arguments, undisturbed, cwd=tmp_path)

    before = measured(library)
    for kept in killed_at_random_moments("main", *arguments, library, cwd=tmp_path, store=library, seconds=6):
        assert before <= kept
        before = kept
    assert start("main", *arguments, library, cwd=tmp_path).wait(240) == 0

    assert beside.wait(240) == 0
    assert measured(library) == measured(undisturbed)


def test_a_killed_training_leaves_a_ranker_that_can_be_used(
    library: Path, tmp_path: Path, own_data_folder: Path
) -> None:
    arguments = ("train", "--only-mine", "--force", "-q", "--store", library)
    for _ in killed_at_random_moments("main", *arguments, cwd=tmp_path, store=library, seconds=6):
        load_ranker(registry.ranker_stem(registry.active_name()))
    assert start("main", *arguments, cwd=tmp_path).wait(240) == 0

    assert registry.active_name() != "shipped"
    load_ranker(registry.ranker_stem(registry.active_name()))
    leftovers = [p.name for p in own_data_folder.rglob("*") if "partial" in p.name]
    assert leftovers == []
