"""`recommender doctor`: what a run depends on, and how to mend what is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from recommender.errors import RecommenderError


class Verdict(str, Enum):
    """Fine, worth knowing, or in the way of every run."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Finding:
    """One check's result; `mend` says what to do unless it is fine."""

    check: str
    verdict: Verdict
    what: str
    mend: str = ""


def examine() -> list[Finding]:
    """Run all checks. None of them changes anything."""
    return [finding for check in _CHECKS for finding in check()]


def _versions() -> Iterator[Finding]:
    from recommender.compiler import setup

    try:
        setup.check_versions()
    except RecommenderError as exc:
        yield Finding("versions", Verdict.FAILURE, str(exc), str(exc).rpartition("; ")[2])
        return
    # The pair of libraries that crashes does so on this line, so it runs in a process of its own.
    line = "import tvm; tvm.ir.save_json(tvm.ir.PrimType('float32'))"
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, check=False)
    if done.returncode:
        mend = "pip install --force-reinstall 'apache-tvm-ffi>=0.1.14.post0,<0.1.15'"
        yield Finding("versions", Verdict.FAILURE, "TVM dies on saving a type", mend)
    else:
        yield Finding("versions", Verdict.OK, f"apache-tvm {setup.TVM_VERSION} works")


def _compiler() -> Iterator[Finding]:
    from recommender.compiler import setup

    try:
        found = setup.c_compiler()
    except RecommenderError as exc:
        what, _, mend = str(exc).rpartition("; ")
        yield Finding("C compiler", Verdict.FAILURE, what, mend)
        return
    if found is None:
        yield Finding("C compiler", Verdict.FAILURE, "none on PATH", "apt-get install g++")
    else:
        yield Finding("C compiler", Verdict.OK, found)


def _cores() -> Iterator[Finding]:
    from recommender.compiler import setup

    cores, threads = setup.usable_cores(), os.environ.get("TVM_NUM_THREADS")
    if threads is None or threads == str(cores):
        yield Finding("cores", Verdict.OK, f"{cores} usable")
    else:
        mend = f"export TVM_NUM_THREADS={cores} where the compiled model runs"
        yield Finding("cores", Verdict.WARNING, f"{cores} usable, TVM_NUM_THREADS is {threads}", mend)


def _quiet() -> Iterator[Finding]:
    load = os.getloadavg()[0]
    if load > 0.5:
        yield Finding("load", Verdict.WARNING, f"{load:.1f}", "stop other work before measuring")
    else:
        yield Finding("load", Verdict.OK, f"{load:.1f}")
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    if governor.exists() and governor.read_text().strip() != "performance":
        mend = "cpupower frequency-set -g performance"
        yield Finding("frequency", Verdict.WARNING, f"governor {governor.read_text().strip()}", mend)


def _data() -> Iterator[Finding]:
    from recommender.datasets import layers
    from recommender.models.artefact import load_ranker
    from recommender.models.registry import active_name, ranker_stem
    from recommender.session import this_machine

    folder = layers.data_folder()
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    if os.access(existing, os.W_OK):
        yield Finding("data folder", Verdict.OK, str(folder))
    else:
        yield Finding("data folder", Verdict.FAILURE, f"{folder} is not writable", "set RECOMMENDER_DATA")
    try:
        machine = this_machine()
        data = layers.load_data(layers.SHIPPED, layers.user_store_path())
        donors = data.donors(machine.hardware, machine.pipeline)
        if donors:
            yield Finding("library", Verdict.OK, f"{len(donors)} schedules for {machine.hardware.id}")
        else:
            what = f"no schedules for {machine.hardware.id}"
            yield Finding("library", Verdict.WARNING, what, "recommender tune --cold resnet18 mobilenet_v2")
        _, card = load_ranker(ranker_stem(active_name()))
        yield Finding(
            "ranker", Verdict.OK, f"{active_name()}, trained on {card.rows} outcomes, {card.trained_at}"
        )
    except RecommenderError as exc:
        yield Finding("library and ranker", Verdict.FAILURE, str(exc), str(exc).rpartition("; ")[2])


_CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (_versions, _compiler, _cores, _quiet, _data)
