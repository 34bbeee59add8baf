"""What tiling brings to kernels that TVM does not tile: pools, and means over images.

    python benchmarks/tiled_reductions.py [--hardware ID] [--store own.db]

Of every kernel with measurements of both kinds, the best time of TVM's own sketches and of the tiled ones,
and the geometric mean of their ratios by kernel class. Reads stored measurements; nothing is measured.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from statistics import geometric_mean

from recommender.datasets.layers import SHIPPED, load_data
from recommender.features.nest import is_tiled
from recommender.vocabulary import Workload

SEARCHED_ANEW = "emeraldrapids-2t-3933cc01"


def is_left_untiled(workload: Workload) -> bool:
    """Whether TVM does not tile it: it reduces one input, which no convolution and no product does."""
    reads = sum(not access.is_write for access in workload.accesses)
    return reads == 1 and bool(workload.reduction_extents)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hardware", default=SEARCHED_ANEW, help=f"hardware id [default: {SEARCHED_ANEW}]")
    parser.add_argument("--store", type=Path, default=SHIPPED, help="[default: the shipped one]")
    options = parser.parse_args()
    data = load_data(options.store)
    best: dict[str, dict[bool, float]] = defaultdict(dict)
    for m in data.measurements:
        workload = data.workloads[m.workload]
        if m.hardware == options.hardware and m.outcome.ok and is_left_untiled(workload):
            kinds, kind = best[m.workload], is_tiled(m.schedule.sketch, workload)
            kinds[kind] = min(kinds.get(kind, float("inf")), m.outcome.median_seconds)
    ratios: dict[str, list[float]] = defaultdict(list)
    for key, kinds in sorted(best.items(), key=lambda item: -min(item[1].values())):
        if len(kinds) == 2:
            workload, ratio = data.workloads[key], kinds[False] / kinds[True]
            ratios[workload.kernel_class].append(ratio)
            shape = "x".join(map(str, workload.argument_shapes[0]))
            microseconds = f"{1e6 * kinds[False]:9.1f} us, tiled {1e6 * kinds[True]:9.1f} us"
            print(f"{workload.kernel_class:20} {shape:16} {microseconds} {ratio:6.2f} x")
    for kernel_class, of_class in ratios.items():
        print(
            f"{kernel_class}: {len(of_class)} kernels, {geometric_mean(of_class):.2f} x in the geometric "
            f"mean, {min(of_class):.2f} to {max(of_class):.2f}"
        )


if __name__ == "__main__":
    main()
