"""Seconds that importing a model takes, step by step, and what lowering takes where TVM folds every constant.

python benchmarks/import_time.py resnet50 efficientnet_b0
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import TypeVar
from unittest import mock

from recommender.session import read_model, this_machine

T = TypeVar("T")


def timed(call: Callable[[], T]) -> tuple[T, float]:
    """What the call gives, and its seconds."""
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="+")
    options = parser.parse_args()
    machine = this_machine()
    import tvm

    from recommender.compiler import lowering
    from recommender.compiler.frontend import fold, import_model
    from recommender.compiler.hardware import target_from_json

    target = target_from_json(machine.target)
    steps = ("read", "fold", "import", "lower", "kernels", "lower, TVM alone")
    print("| model | " + " | ".join(steps) + " |\n|---|" + "---|" * len(steps))
    for name in options.models:
        proto, read = timed(lambda name=name: read_model(name))
        folded, fold_seconds = timed(lambda proto=proto: fold(proto))
        module, imported = timed(lambda folded=folded: import_model(folded))
        lowered, lower = timed(lambda module=module: lowering.lower(module, target))
        _, kernels = timed(lambda lowered=lowered: lowering.kernels_of(lowered, target))
        with mock.patch.object(lowering, "MoveConstants", lambda: tvm.transform.Sequential([])):
            _, alone = timed(lambda module=module: lowering.lower(module, target))
        seconds = (read, fold_seconds, imported, lower, kernels, alone)
        print(f"| {name} | " + " | ".join(f"{s:.2f}" for s in seconds) + " |", flush=True)


if __name__ == "__main__":
    main()
