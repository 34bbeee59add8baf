"""Imports TVM the only way that works: right versions, all cores, and without its slowest import.

Call `prepare` before anything else of `recommender.compiler` is imported.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import platform
import shutil
import sys
import types
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path, PurePosixPath

from recommender.errors import SetupError, UsageError

TVM_VERSION = "0.27.0.post1"
FFI_SERIES = "0.1.14.post"


def usable_cores() -> int:
    """Cores this process may use: the affinity mask, cut down by a cgroup quota if there is one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_quota()
    return cores if quota is None else max(1, min(cores, int(quota + 0.5)))


def cgroup_quota(root: Path = Path("/")) -> float | None:
    """Cores that the control groups of this process allow (its container's, its service's), or None.

    Of all groups from its own up to the topmost, of version 1 and 2, the smallest limit counts. `root` is
    where /proc and /sys are.
    """
    limits = (_limit(folder) for folder in _control_groups(root))
    return min((cores for cores in limits if cores is not None), default=None)


def _control_groups(root: Path) -> Iterator[Path]:
    """Where limits of this process's cores may be: a container often sees but the topmost of them."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for _, controllers, path in (line.split(":", 2) for line in lines):
        if not controllers or "cpu" in controllers.split(","):  # of version 2; of version 1
            top = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
            own = PurePosixPath(path)
            yield from (top / group.relative_to("/") for group in (own, *own.parents))


def _limit(group: Path) -> float | None:
    """The cores that one control group allows, or None: no limit is written as "max", or as -1."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None


def c_compiler() -> str | None:
    """What TVM links with: CXX or CC of the environment, else the first compiler on PATH, or None.

    Raises:
        SetupError: the variable names no program that can be found.
    """
    for variable in ("CXX", "CC"):
        if command := os.environ.get(variable):
            if shutil.which(command) is None:
                raise SetupError(
                    f"{variable} is {command!r}, and there is no such program for TVM to link with; "
                    f"set {variable} to a compiler without options, or unset it"
                )
            return command
    return next((n for n in ("g++", "gcc", "clang++", "clang", "c++", "cc") if shutil.which(n)), None)


def check_versions() -> None:
    """Refuse a TVM or tvm-ffi that is missing, or of another version than this package needs.

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
    if tvm != TVM_VERSION:
        raise SetupError(f"apache-tvm {TVM_VERSION} is needed, but {tvm} is installed; {mend}")
    if not ffi.startswith(FFI_SERIES):
        raise SetupError(f"apache-tvm-ffi {ffi} crashes TVM {tvm} or is too old for it; {mend}")


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
