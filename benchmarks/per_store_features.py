"""What TVM's per-store features of replayed candidates would cost as a second stage of the ranking.

    python benchmarks/per_store_features.py [MODEL] [CANDIDATES]

Replays the first candidates (default 20) of each of a zoo model's kernels (default resnet50) in the order of
the shipped ranker, and extracts the features that MetaSchedule's own cost model learns from (Zheng et al.
2020, appendix B), with all cores. Nothing is built or measured. Run nothing beside it.
"""

from __future__ import annotations

import sys
import time

from recommender.candidates import transfer_candidates
from recommender.compiler.sketches import ReplayError
from recommender.datasets.layers import SHIPPED, load_data
from recommender.features import encode
from recommender.models.artefact import SHIPPED as SHIPPED_RANKER
from recommender.models.artefact import load_ranker
from recommender.session import prepare_named, this_machine


def main() -> None:
    from tvm.s_tir import meta_schedule as ms

    machine = this_machine()
    model = prepare_named(sys.argv[1] if len(sys.argv) > 1 else "resnet50", machine)
    wanted = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    donors = load_data(SHIPPED).donors(machine.hardware, machine.pipeline)
    ranker, _ = load_ranker(SHIPPED_RANKER)
    extractor = ms.feature_extractor.PerStoreFeature()
    replaying = extracting = 0.0
    replayed = 0
    for kernel in model.kernels:
        candidates = transfer_candidates(kernel.workload, donors, machine.hardware)
        if not candidates:
            continue
        order = ranker.predict(encode(kernel.workload, candidates, machine.hardware)).argsort()[:wanted]
        space = model.spaces[kernel.workload.key]
        start = time.perf_counter()
        schedules = []
        for place in order:
            try:
                schedules.append(space.replay(candidates[place].schedule))
            except ReplayError:
                continue
        middle = time.perf_counter()
        extractor.extract_from(space.context, [ms.MeasureCandidate(s, []) for s in schedules])
        replaying += middle - start
        extracting += time.perf_counter() - middle
        replayed += len(schedules)
    print(f"{replayed} candidates of {len(model.kernels)} kernels")
    print(f"replaying  {1e3 * replaying / replayed:8.2f} ms a candidate, {replaying:6.1f} s in all")
    print(f"extracting {1e3 * extracting / replayed:8.2f} ms a candidate, {extracting:6.1f} s in all")


if __name__ == "__main__":
    main()
