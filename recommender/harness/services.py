"""What the worker offers on its pipe. Each public method is one call of `WorkerClient.call`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from tvm.s_tir import Schedule as TirSchedule

from recommender.harness.bench import Bench, Built
from recommender.harness.contestant import Array, Run, come_to_rest, open_library, open_onnx, time_runs
from recommender.harness.load import LoadMeter
from recommender.harness.search import search, silence
from recommender.harness.timing import TimingRule
from recommender.vocabulary import Json, Outcome, Schedule, Workload

_LOSER_RATIO = 4.0
"""A search samples a candidate once that takes this many times as long as the best so far."""


class Services:
    """The worker's state: the bench of the target it was opened for."""

    def __init__(self, connection: Connection) -> None:
        """Reports go out on `connection` while a call runs."""
        self._connection = connection
        self._bench: Bench | None = None
        self._model: Run | None = None
        silence()

    @property
    def bench(self) -> Bench:
        """The bench that `open` made."""
        if self._bench is None:
            raise RuntimeError("the worker was not opened")
        return self._bench

    def open(self, target: Json) -> None:
        """Make the bench for a target."""
        self._bench = Bench(target)

    def load(self, key: str, module_json: str) -> None:
        """See `Bench.load`."""
        self.bench.load(key, module_json)

    def describe(self, module_json: str) -> Workload | None:
        """See `Bench.describe`."""
        return self.bench.describe(module_json)

    def unload(self, key: str) -> None:
        """See `Bench.unload`."""
        self.bench.unload(key)

    def build(self, key: str, schedule: Schedule) -> int | Outcome:
        """See `Bench.build`."""
        return self.bench.build(key, schedule)

    def build_all(self, key: str, schedules: list[Schedule], threads: int) -> list[int | Outcome]:
        """See `Bench.build_all`."""
        return self.bench.build_all(key, schedules, threads)

    def time(self, tokens: list[int], rule: TimingRule) -> tuple[list[list[float]], float]:
        """Raw seconds of each, and how many cores something else kept busy meanwhile."""
        meter = LoadMeter()
        seconds = self.bench.time(tokens, rule)
        return seconds, meter.cores()

    def search(
        self,
        key: str,
        trials: int,
        seed: int,
        rule: TimingRule,
        known: list[tuple[Schedule, Outcome]],
        threads: int,
    ) -> int:
        """Search a loaded workload; report ("trying", schedules) and ("measured", schedule, outcome).

        The schedules of a batch are compiled together, by all threads; with one thread each is tried alone.
        """
        settled = {schedule.id: outcome for schedule, outcome in known}
        best = min((outcome.median_seconds for outcome in settled.values()), default=math.inf)

        def measure(batch: Sequence[tuple[TirSchedule, Schedule]]) -> list[Outcome]:
            nonlocal best
            new = list({s.id: (replayed, s) for replayed, s in batch if s.id not in settled}.values())
            at_once = len(new) if threads > 1 else 1
            for start in range(0, len(new), max(at_once, 1)):
                together = new[start : start + at_once]
                self._report("trying", [schedule for _, schedule in together])
                compiled = self.bench.compile_all(key, [replayed for replayed, _ in together], threads)
                for (_, schedule), code in zip(together, compiled, strict=True):
                    self._report("trying", [schedule])
                    outcome = self._try(code, replace(rule, loser_seconds=_LOSER_RATIO * best))
                    best = min(best, outcome.median_seconds)
                    settled[schedule.id] = outcome
                    self._report("measured", schedule, outcome)
            return [settled[schedule.id] for _, schedule in batch]

        space = self.bench.space(key)
        return search(space, measure, trials=trials, seed=seed, known=known)

    def _try(self, code: Built | Outcome, rule: TimingRule) -> Outcome:
        token = self.bench.admit(code)
        if isinstance(token, Outcome):
            return token
        seconds, load = self.time([token], rule)
        self.bench.drop(token)
        return Outcome.of_times(seconds[0], load)

    def open_library(self, path: str, inputs: dict[str, Array]) -> list[Array]:
        """Open a compiled model for `time_model`, and return its outputs."""
        self._model = open_library(path, inputs)
        return self._model()

    def open_onnx(self, path: str, inputs: dict[str, Array], threads: int) -> list[Array]:
        """Open an ONNX model for `time_model`, and return its outputs."""
        self._model = open_onnx(path, inputs, threads)
        return self._model()

    def run_unoptimised(self, path: str, inputs: dict[str, Array], threads: int) -> list[Array]:
        """What ONNX Runtime makes of the inputs without optimising the model; nothing stays open."""
        return open_onnx(path, inputs, threads, optimised=False)()

    def time_model(self, count: int) -> list[float]:
        """See `contestant.time_runs`."""
        assert self._model is not None, "no model was opened"
        return time_runs(self._model, count)

    def come_to_rest(self, within_seconds: float) -> None:
        """See `contestant.come_to_rest`."""
        come_to_rest(within_seconds)

    def _report(self, *event: Any) -> None:
        self._connection.send(("event", event))
