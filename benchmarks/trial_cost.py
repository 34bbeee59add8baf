"""Where the time of a search's trials goes: compiling, checking, timing, and TVM's evolution.

    python benchmarks/trial_cost.py alexnet fused_matmul_add4_relu4 --trials 32

Searches the first kernel of a zoo model whose name begins so, in this process, and prints seconds of each
step. Run nothing beside it.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from recommender.harness.timing import TimingRule
from recommender.session import prepare_named, this_machine
from recommender.vocabulary import Outcome, Schedule

if TYPE_CHECKING:
    from tvm.s_tir import Schedule as TirSchedule

    from recommender.harness.bench import Bench


@dataclass
class Watch:
    """Measures what a search asks for, and adds up the seconds of each step."""

    bench: Bench
    key: str
    threads: int
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    best_seconds: float = math.inf

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Add the time of a block to a step."""
        start = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - start

    def measure(self, batch: Sequence[tuple[TirSchedule, Schedule]]) -> list[Outcome]:
        """Outcomes of a batch, as the search wants them."""
        with self.step("compiling"):
            compiled = self.bench.compile_all(self.key, [replayed for replayed, _ in batch], self.threads)
        outcomes = []
        for code in compiled:
            with self.step("checking"):
                token = self.bench.admit(code)
            if isinstance(token, Outcome):
                outcomes.append(token)
                continue
            with self.step("timing"):
                samples = self.bench.time([token], TimingRule())
            self.bench.drop(token)
            outcomes.append(Outcome.of_times(samples[0]))
        self.best_seconds = min([self.best_seconds, *(o.median_seconds for o in outcomes)])
        return outcomes


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("kernel")
    parser.add_argument("--trials", type=int, default=32)
    options = parser.parse_args()
    machine = this_machine()
    from recommender.harness.bench import Bench
    from recommender.harness.search import search, silence

    silence()
    model = prepare_named(options.model, machine)
    kernel = next((k for k in model.kernels if k.name.startswith(options.kernel)), None)
    if kernel is None:
        parser.error(f"{options.model} has {', '.join(k.name for k in model.kernels)}")
    task, bench = model.task(kernel), Bench(machine.target)
    watch = Watch(bench, task.key, machine.threads)
    with watch.step("reference"):
        bench.load(task.key, task.module_json)
    with watch.step("evolution"):
        search(bench.space(task.key), watch.measure, trials=options.trials, seed=0)
    watch.seconds["evolution"] -= sum(watch.seconds[step] for step in ("compiling", "checking", "timing"))
    print(f"{kernel.name} {kernel.workload.extents}")
    print(f"{options.trials} trials, best {watch.best_seconds * 1e3:.3f} ms")
    for name, seconds in watch.seconds.items():
        print(f"{name:10}{seconds:7.1f} s")


if __name__ == "__main__":
    main()
