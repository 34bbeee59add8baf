"""The main job's figures: latency against ONNX Runtime, time to recommend, validity, never worse.

    python benchmarks/main_job.py resnet50 [mobilenet_v2 ...] [-o docs/results/main_job.json]

Recommends with top-k 5 for zoo models, without what only the model itself gave (--exclude-model), and
prints for each: the latency's ratio to ONNX Runtime's in the same run (interleaved), to the build with
fallback schedules, the wall time from the import to the finished output and of the stages in it, invalid
candidates and kernels slower than their fallback. Takes one to two minutes a model; run nothing beside it.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from recommender.datasets.layers import SHIPPED
from recommender.datasets.store import Store
from recommender.job import recommend
from recommender.progress import Reporter
from recommender.report import KernelReport
from recommender.run import Options
from recommender.vocabulary import Json

_HEAVIEST = 8


def figures(model: str, **options: Any) -> Json:
    """What came out of one run, with a store of its own; `options` are those of `recommend`."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        asked = Options(
            top_k=5, output=place / "out", baselines=("ort",), store=place / "outcomes.db", **options
        )
        start = time.monotonic()
        report = recommend(model, asked, Reporter(1))
        total_seconds = time.monotonic() - start
    with Store(SHIPPED, read_only=True) as store:
        shipped = store.workloads()
    tried = [t for k in report.kernels for t in k.tried]
    medians = {k: v.median_seconds for k, v in report.latencies.items()}
    return {
        "model": Path(model).stem,
        "date": time.strftime("%Y-%m-%d"),
        "hardware": report.hardware.id,
        "latency_ms": {k: round(v * 1e3, 3) for k, v in medians.items()},
        "ort_ratio": round(medians["chosen"] / medians["ort"], 3),
        "fallback_ratio": round(medians["chosen"] / medians["fallback"], 3),
        "output_difference": report.latencies["chosen"].difference,
        "stages_seconds": {k: round(v, 2) for k, v in report.stages_seconds.items()},
        "total_seconds": round(total_seconds, 1),
        "measured": len(tried),
        "invalid": sum(not t.outcome.ok for t in tried),
        "slower_than_fallback": sum(bool(k.speedup and k.speedup < 1) for k in report.kernels),
        "sum_of_kernels_ms": round(sum(map(_milliseconds, report.kernels)), 3),
        "kernels": len(report.kernels),
        "known": sum(k.workload in shipped for k in report.kernels),
        "heaviest": [
            {
                "kernel": k.name,
                "class": k.kernel_class,
                "extents": k.extents,
                "ms": round(_milliseconds(k), 3),
                "speedup": k.speedup and round(k.speedup, 2),
                "donor": k.donor_name,
            }
            for k in sorted(report.kernels, key=_milliseconds, reverse=True)[:_HEAVIEST]
        ],
    }


def _milliseconds(kernel: KernelReport) -> float:
    """Of all calls of a kernel in one run of the model."""
    return kernel.calls * kernel.best.median_seconds * 1e3 if kernel.best else 0.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", default=["resnet50"])
    parser.add_argument("-o", type=Path, help="write the figures to this file too")
    options = parser.parse_args()
    results = [figures(name, exclude_models=(name,)) for name in options.models]
    for r in results:
        print(
            f"{r['model']}: {r['latency_ms']['chosen']} ms, {r['ort_ratio']} x ONNX Runtime, "
            f"{r['total_seconds']} s in all (import {r['stages_seconds']['import']}, ranking "
            f"{r['stages_seconds']['rank']}), {r['invalid']} of {r['measured']} invalid, "
            f"{r['slower_than_fallback']} kernels slower than the fallback, outputs within "
            f"{r['output_difference']:.0e}"
        )
    print(json.dumps(results))
    if options.o:
        options.o.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
