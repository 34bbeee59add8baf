"""What everything that measures works with: a machine, an open store, a measurer."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from recommender.datasets.layers import user_store_path
from recommender.datasets.records import KernelUse, Measurement
from recommender.datasets.store import Store
from recommender.errors import SetupError
from recommender.harness.client import WorkerFailure
from recommender.harness.measurer import Measurer, Task
from recommender.harness.timing import IN_TURNS
from recommender.session import Machine, PreparedModel
from recommender.vocabulary import Candidate, Outcome

AT_ONCE = 8
"""Candidates that are timed in turns together: each holds arguments of its own in memory."""
_EVERY_TURN = replace(IN_TURNS, loser_ratio=math.inf)
"""For a second bank of times, however slow a first call seemed."""


@dataclass(frozen=True)
class Workspace:
    """Measures candidates on a machine and keeps every outcome as soon as it is known.

    `source` is the command that measures, `seed` its seed; both are stored with each outcome.
    """

    machine: Machine
    store: Store
    measurer: Measurer
    source: str
    seed: int = 0

    def register(self, model: PreparedModel) -> None:
        """Remember the kernels of a model as it is lowered now."""
        name, pipeline = model.name, self.machine.pipeline
        self.store.add_hardware(self.machine.hardware)
        self.store.replace_model(
            name,
            pipeline,
            [(KernelUse(name, k.workload.key, k.name, k.calls, pipeline), k.workload) for k in model.kernels],
        )

    def keep(self, candidate: Candidate, outcome: Outcome, model: str, lineage: str | None = None) -> None:
        """Commit an outcome that was measured on behalf of a model.

        `lineage` names the donors of a candidate that descends from several, ids with commas between.
        """
        self.store.add(
            Measurement(
                workload=candidate.workload.key,
                schedule=candidate.schedule,
                outcome=outcome,
                source=self.source,
                hardware=self.machine.hardware.id,
                pipeline=self.machine.pipeline,
                policy=candidate.policy,
                donor=candidate.donor.id if candidate.donor else lineage,
                seed=self.seed,
                run=model,
                measured_at=time.time(),
            )
        )

    @contextmanager
    def loaded(self, task: Task) -> Iterator[None]:
        """A kernel in the worker, and what is built of it, until the end of the block.

        Raises:
            WorkerFailure: it cannot be loaded. Its candidates are not to blame, and must not be measured.
        """
        self.measurer.load(task)
        try:
            yield
        finally:
            self.measurer.unload(task)

    def measure_all(self, run: str, task: Task, candidates: Sequence[Candidate]) -> list[Outcome]:
        """Measure and keep candidates of one loaded kernel, some at a time, in turns; they stay built.

        `run` is the model that they are measured for.
        """
        outcomes: list[Outcome] = []
        for start in range(0, len(candidates), AT_ONCE):
            batch = candidates[start : start + AT_ONCE]
            measured = self.measurer.measure_all(task, [c.schedule for c in batch], IN_TURNS)
            for candidate, outcome in zip(batch, measured, strict=True):
                self.keep(candidate, outcome, run)
            outcomes += measured
        return outcomes

    def measure_again(
        self, run: str, task: Task, measured: Sequence[tuple[Candidate, Outcome]]
    ) -> list[Outcome]:
        """Time candidates of a loaded kernel once more, each in every turn, and keep these times too.

        The store has one row for a candidate, and both banks go into it: no raw time is lost, and its median
        leans less on the luck that made the candidate the fastest of the first bank. What fails now ran a
        moment ago: the machine is to blame, and the row stays as it is.
        """
        again = self.measurer.measure_all(task, [c.schedule for c, _ in measured], _EVERY_TURN)
        for (candidate, first), second in zip(measured, again, strict=True):
            if second.ok:
                self.keep(candidate, _pooled(first, second), run)
        return again

    def kept(self, workload: str) -> list[Measurement]:
        """What was measured of a workload on this hardware, whichever command did."""
        return [m for m in self.store.measurements(workload) if m.setting == self.machine.setting]


def _pooled(first: Outcome, second: Outcome) -> Outcome:
    """All times of two banks; as unsure as the busier one."""
    return Outcome.of_times([*first.seconds, *second.seconds], max(first.load, second.load))


@contextmanager
def open_workspace(machine: Machine, store: Path | None, source: str, seed: int = 0) -> Iterator[Workspace]:
    """Open a store, the user's own by default, and start a worker.

    Raises:
        DataError: the store cannot be used.
        SetupError: no worker process can be started.
    """
    with Store(store or user_store_path()) as opened, ExitStack() as stack:
        try:
            measurer = stack.enter_context(Measurer(machine.target, machine.threads))
        except WorkerFailure as exc:
            raise SetupError(f"no worker can be started ({exc}); run: recommender doctor") from exc
        yield Workspace(machine, opened, measurer, source, seed)
