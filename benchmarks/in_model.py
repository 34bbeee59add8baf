"""Where a compiled model's time goes, kernel by kernel, beside each kernel's time alone.

    recommend resnet50 -o resnet50.rec
    python benchmarks/in_model.py resnet50.rec

Times every call of the virtual machine in 60 runs and prints, for each function, the sum over its calls
of the median and of the least time, and what the report says of the kernel alone. The clock around each
call costs about a microsecond, which shows on the machine's own small calls.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

RUNS, WARM_UP = 60, 5


def profile(folder: Path, report: dict[str, Any]) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Calls, median microseconds and least microseconds by function."""
    import tvm
    from tvm import relax

    machine = relax.VirtualMachine(tvm.runtime.load_module(str(folder / "model.so")), tvm.cpu())
    rng = np.random.default_rng(0)
    inputs = [
        tvm.runtime.tensor(rng.standard_normal(shape, dtype=np.float32))
        if dtype == "float32"
        else tvm.runtime.tensor(np.zeros(shape, dtype))
        for shape, dtype in ((i["shape"], i["dtype"]) for i in report["inputs"])
    ]
    calls: list[tuple[str, float]] = []
    start = 0.0

    def clock(function: object, name: str, before: bool, result: object, *arguments: object) -> int:
        nonlocal start
        if before:
            start = time.perf_counter()
        else:
            calls.append((name, time.perf_counter() - start))
        return 0

    machine.set_instrument(clock)
    runs = []
    for _ in range(WARM_UP + RUNS):
        calls.clear()
        machine["main"](*inputs)
        runs.append(list(calls))
    seconds = np.array([[s for _, s in run] for run in runs[WARM_UP:]]) * 1e6
    number: Counter[str] = Counter()
    medians: Counter[str] = Counter()
    least: Counter[str] = Counter()
    for (name, _), middle, low in zip(runs[0], np.median(seconds, axis=0), seconds.min(axis=0), strict=True):
        number[name] += 1
        medians[name] += middle
        least[name] += low
    return number, medians, least


def _possible_names(function: str) -> list[str]:
    """Names that the report may have for a compiled function: passes append `_prepacked` and digits."""
    plain = function.removesuffix("_prepacked")
    return [function, plain, plain.removesuffix("1")]


def main() -> None:
    folder = Path(sys.argv[1])
    report = json.loads((folder / "report.json").read_text())
    os.environ.setdefault("TVM_NUM_THREADS", str(report["hardware"]["threads"]))
    number, medians, least = profile(folder, report)
    alone = {
        k["name"]: k["calls"] * k["best"]["median_seconds"] * 1e6 for k in report["kernels"] if k["best"]
    }
    print(f"{'function':58} calls  median us   least us  alone us")
    for name, total in medians.most_common():
        known = next((alone[k] for k in _possible_names(name) if k in alone), 0.0)
        print(f"{name:58} {number[name]:5} {total:10.1f} {least[name]:10.1f} {known:9.1f}")
    totals = f"{medians.total():10.1f} {least.total():10.1f} {sum(alone.values()):9.1f}"
    print(f"{'all':58} {number.total():5} {totals}")


if __name__ == "__main__":
    main()
