"""`recommender tune`: search schedules for the kernels of models, and keep every trial.

A search starts from what the ranker thinks best for a kernel, or cold, from nothing: cold searches are
the reference that transfer is measured against. Kernels that are searched already are skipped, also when
another model asked for them; a search that was cut off goes on from its stored trials.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from recommender.datasets.records import Measurement, Search
from recommender.errors import NothingMeasuredError
from recommender.harness.client import WorkerFailure
from recommender.harness.measurer import Task
from recommender.knowledge import Knowledge
from recommender.progress import Reporter
from recommender.ranking import rank_kernel
from recommender.session import PreparedModel, named_kernels
from recommender.vocabulary import Candidate, Kernel, Outcome, Schedule
from recommender.workspace import Workspace

WARM_SHARE = 0.25
"""The part of the trials that a warm search spends on the first of the ranking."""

HEAVY_SHARE = 0.8
"""The part of a model's time that its heavy kernels make up."""

Work: TypeAlias = Sequence[tuple[PreparedModel, Kernel]]


def tune(
    models: Sequence[PreparedModel],
    trials: int,
    workspace: Workspace,
    reporter: Reporter,
    knowledge: Knowledge | None = None,
    heavy_trials: int = 0,
    names: Sequence[str] = (),
) -> int:
    """Spend `trials` on every kernel that has not had them yet. Return the number of trials spent.

    Then the heavy kernels get the rest of `heavy_trials`, if that is more. With knowledge, searches start
    warm, and are stored as such. A kernel that the worker cannot take is reported and left out. With `names`,
    which are patterns as a shell has them, all others are left out too.

    Raises:
        UsageError: no kernel has such a name.
        NothingMeasuredError: not one kernel could be searched.
    """
    for model in models:
        workspace.register(model)
    everything = named_kernels(models, names)
    spent = _tune(everything, _Tuner(trials, workspace, reporter, knowledge), reporter)
    if heavy_trials > trials:
        heavy = [(m, k) for m in models for k in heavy_kernels(m.kernels, _best_seconds(m, workspace))]
        wanted = {(m.name, k.name) for m, k in everything}
        named = [(m, k) for m, k in heavy if (m.name, k.name) in wanted]
        spent += _tune(named, _Tuner(heavy_trials, workspace, reporter, knowledge), reporter)
    return spent


def heavy_kernels(kernels: Sequence[Kernel], seconds: Mapping[str, float]) -> list[Kernel]:
    """The fewest kernels that make up `HEAVY_SHARE` of the time, heaviest first.

    Args:
        kernels: the kernels of a model, with their calls.
        seconds: of one call, by workload key; kernels without are left out.
    """
    time_of = {k: k.calls * seconds[k.workload.key] for k in kernels if k.workload.key in seconds}
    heavy, left = [], HEAVY_SHARE * sum(time_of.values())
    for kernel in sorted(time_of, key=lambda k: -time_of[k]):
        if left <= 0:
            break
        heavy.append(kernel)
        left -= time_of[kernel]
    return heavy


def _best_seconds(model: PreparedModel, workspace: Workspace) -> dict[str, float]:
    keys = [kernel.workload.key for kernel in model.kernels]
    ran = {key: [m.outcome.median_seconds for m in workspace.kept(key) if m.outcome.ok] for key in keys}
    return {key: min(seconds) for key, seconds in ran.items() if seconds}


def _tune(kernels: Work, tuner: _Tuner, reporter: Reporter) -> int:
    work = [(model, kernel) for model, kernel in kernels if not tuner.is_done(kernel)]
    spent = failed = 0
    with reporter.steps("tuning", len(work)) as steps:
        for model, kernel in work:
            if not tuner.is_done(kernel):  # another model may have asked for it meanwhile
                try:
                    spent += tuner.search(model, kernel)
                except WorkerFailure as exc:
                    failed += 1
                    reporter.say(f"{model.name} {kernel.name}: the search was given up ({exc})")
            steps.advance(f"{model.name} {kernel.name}")
    if work and failed == len(work):
        raise NothingMeasuredError("no kernel could be searched; run: recommender doctor")
    return spent


class _Tuner:
    """Searches one kernel after the other, all with the same number of trials."""

    def __init__(
        self, trials: int, workspace: Workspace, reporter: Reporter, knowledge: Knowledge | None
    ) -> None:
        self._trials, self._workspace, self._reporter = trials, workspace, reporter
        self._knowledge = knowledge
        self._searched: set[str] = set()
        """Kernels that this run is done with: a small space holds fewer programs than there are trials."""

    def is_done(self, kernel: Kernel) -> bool:
        """Whether a search of this kind has spent the trials on a kernel."""
        if self._knowledge is not None:
            key = kernel.workload.key
            return key in self._searched or len(self._own_trials(key)) >= self._trials
        finished = self._finished(kernel)
        return finished is not None and finished.trials >= self._trials

    def _finished(self, kernel: Kernel) -> Search | None:
        here, searches = self._workspace.machine.setting, self._workspace.store.searches()
        return next((s for s in searches if s.setting == here and s.workload == kernel.workload.key), None)

    def _own_trials(self, key: str) -> list[Measurement]:
        return [m for m in self._workspace.kept(key) if m.source == self._workspace.source]

    def search(self, model: PreparedModel, kernel: Kernel) -> int:
        """Search a kernel up to the number of trials. Return those spent now."""
        start, task = time.monotonic(), model.task(kernel)
        with self._workspace.loaded(task):
            return self._search(model, kernel, task, start)

    def _search(self, model: PreparedModel, kernel: Kernel, task: Task, start: float) -> int:
        key, workspace = kernel.workload.key, self._workspace
        own = self._own_trials(key)
        # A warm search knows whatever was measured of the kernel; a cold one only what it did itself.
        known = {m.schedule: m.outcome for m in (workspace.kept(key) if self._knowledge else own)}
        before = len(known)
        lineage = self._start_warm(model, kernel, task, known) if self._knowledge else None

        def keep(schedule: Schedule, outcome: Outcome) -> None:
            known[schedule] = outcome
            workspace.keep(Candidate(kernel.workload, schedule, "search"), outcome, model.name, lineage)

        left, found = self._trials - len(own) - (len(known) - before), 1
        while left > 0 and found:  # what a search proposes again costs it a trial, and us none
            settled = list(known.items())
            workspace.measurer.search(task, trials=left, seed=workspace.seed, known=settled, report=keep)
            found = len(known) - len(settled)
            left -= found
        self._searched.add(key)
        wall = time.monotonic() - start
        if self._knowledge is None:
            earlier = self._finished(kernel)
            total = wall + (earlier.seconds if earlier else 0.0)
            workspace.store.finish_search(Search(key, *workspace.machine.setting, self._trials, total))
        best = min((outcome.median_seconds for outcome in known.values()), default=float("inf"))
        spent = len(known) - before
        self._reporter.say(
            f"{model.name} {kernel.name}: {spent} trials in {wall:.0f} s, best {best * 1e3:.3g} ms"
        )
        return spent

    def _start_warm(
        self, model: PreparedModel, kernel: Kernel, task: Task, known: dict[Schedule, Outcome]
    ) -> str | None:
        """Measure the first of the ranking, for a part of the trials, and return what they descend from."""
        assert self._knowledge is not None
        ranked = rank_kernel(kernel, self._knowledge, self._workspace.machine)
        first = ranked.candidates[: max(1, round(WARM_SHARE * self._trials))]
        kept = self._workspace.kept(kernel.workload.key)  # all of it seeds the search
        earlier = {d for m in kept if m.donor for d in m.donor.split(",")}
        todo = [c for c in first if c.schedule not in known]
        measured = self._workspace.measure_all(model.name, task, todo)
        known |= {c.schedule: outcome for c, outcome in zip(todo, measured, strict=True)}
        return ",".join(sorted(earlier | {c.donor.id for c in first if c.donor})) or None
