"""Imports TVM the only way that works: right versions, all cores, and without its slowest import.

Call `prepare` before anything else of `recommender.compiler` is imported.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import platform
import re
import shutil
import sys
import types
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from recommender.errors import SetupError, UsageError

TVM_VERSION = "0.27.0.post1"
FFI_BELOW = (0, 1, 15)
CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores() -> int:
    """Cores this process may use: the affinity mask, cut down by a cgroup quota if there is one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_quota()
    return cores if quota is None else max(1, min(cores, int(quota + 0.5)))


def cgroup_quota() -> float | None:
    """Cores that a cgroup (a container) allows, or None when it sets no limit."""
    try:
        limit, period = CGROUP_QUOTA.read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError):
        return None


def c_compiler() -> str | None:
    """The name of a C compiler on PATH, which TVM links with."""
    return next((n for n in ("g++", "gcc", "clang++", "clang", "cc", "c++") if shutil.which(n)), None)


def check_versions() -> None:
    """Refuse a TVM or tvm-ffi that is missing, or known to crash.

    tvm-ffi 0.1.15 changed the type of a native hook, so that TVM 0.27 dies with SIGSEGV on saving any
    workload; nothing in its wheel's metadata forbids the pair.

    Raises:
        SetupError: with the command that mends it.
    """
    mend = f"run: pip install 'apache-tvm=={TVM_VERSION}' 'apache-tvm-ffi>=0.1.14.post0,<0.1.15'"
    try:
        tvm, ffi = metadata.version("apache-tvm"), metadata.version("apache-tvm-ffi")
    except metadata.PackageNotFoundError as exc:
        raise SetupError(f"{exc.name} is not installed; {mend}") from exc
    if not tvm.startswith("0.27."):
        raise SetupError(f"apache-tvm 0.27 is needed, but {tvm} is installed; {mend}")
    if tuple(map(int, re.findall(r"\d+", ffi)[:3])) >= FFI_BELOW:
        raise SetupError(f"apache-tvm-ffi {ffi} crashes TVM {tvm}; {mend}")


def prepare(threads: int | None = None) -> int:
    """Check versions, set TVM's thread count and import TVM. Return the number of threads.

    TVM's runtime reads TVM_NUM_THREADS once, when it starts its pool, and takes half of the cores
    when it is not set.

    Raises:
        UsageError: fewer than one thread, or more than there are cores.
        SetupError: a version that does not work.
    """
    cores = usable_cores()
    threads = cores if threads is None else threads
    if not 1 <= threads <= cores:
        raise UsageError(f"--threads must be from 1 to the {cores} usable cores, but got {threads}")
    check_versions()
    os.environ["TVM_NUM_THREADS"] = str(threads)
    _register_cpu_intrinsics()
    return threads


@contextlib.contextmanager
def native_silence() -> Iterator[None]:
    """Keep what TVM's C++ side prints on stderr (warnings about rules it has not got) from the user.

    What Python prints there is still heard: another thread may be reporting.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        if sys.stderr is not sys.__stderr__:  # not what C++ writes to: captured, or silenced already
            yield
        else:
            with os.fdopen(os.dup(kept), "w", buffering=1) as heard, contextlib.redirect_stderr(heard):
                yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _register_cpu_intrinsics() -> None:
    """Register the tensor intrinsics of this machine's architecture and no others.

    Every `TuneContext` imports `tvm.s_tir.tensor_intrin`, which parses hundreds of them: 9 s in every process
    for CUDA's, 0.8 s for Arm's, 0.2 s for those that the schedule rules of an x86 CPU ask for.
    """
    name = "tvm.s_tir.tensor_intrin"
    if name in sys.modules:
        return
    import tvm.s_tir

    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.submodule_search_locations is not None
    package = types.ModuleType(name)
    package.__path__ = list(spec.submodule_search_locations)
    package.__spec__ = spec
    sys.modules[name] = package
    tvm.s_tir.tensor_intrin = package
    part = "x86" if platform.machine().lower() in ("x86_64", "amd64") else "arm_cpu"
    importlib.import_module(f"{name}.{part}")
