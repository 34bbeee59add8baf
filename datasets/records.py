"""What a store holds: measurements, the kernels of models, and the searches that are finished."""

from __future__ import annotations

from dataclasses import dataclass, replace

from recommender.vocabulary import Outcome, Schedule

Setting = tuple[str, str]
"""Hardware id and lowering pipeline: times can be compared only within one."""

COLD_SEARCH = "tune"
"""The `source` of what a search finds that knows nothing but the kernel."""


@dataclass(frozen=True)
class Measurement:
    """An outcome with everything that says where it came from.

    `source` is the command that made it (tune, warm-tune, collect, recommend, import, calibrate),
    `donor` the `Donor.id` of the library schedule it descends from (several with commas between, for a
    search that started from them), `policy` the rule that adapted it.
    `measured_at` is in seconds since 1970.
    """

    workload: str
    schedule: Schedule
    outcome: Outcome
    source: str
    hardware: str
    pipeline: str
    policy: str = ""
    donor: str | None = None
    seed: int = 0
    run: str = ""
    measured_at: float = 0.0

    @property
    def setting(self) -> Setting:
        """Where it was measured."""
        return self.hardware, self.pipeline

    @property
    def donors(self) -> tuple[str, ...]:
        """The `Donor.id` of each library schedule that it descends from."""
        return tuple(self.donor.split(",")) if self.donor else ()

    @property
    def donor_id(self) -> str:
        """The `Donor.id` of this schedule where it is a donor itself."""
        return f"{self.workload}/{self.schedule.id}"

    def measured_after(self, first: Measurement | None) -> Measurement:
        """This measurement of a candidate that was measured before: where it came from stays as it was.

        But what a cold search finds too is the search's, whichever came first: it owes nothing to a donor.
        A time stays, if the machine and not the candidate may be to blame that there is none now.
        """
        if first is None:
            return self
        if first.outcome.ok and self.outcome.is_transient:
            return first
        if self.source == COLD_SEARCH:
            return self
        return replace(first, outcome=self.outcome, measured_at=self.measured_at)


@dataclass(frozen=True)
class KernelUse:
    """That a model calls a workload `calls` times an inference, or did: 0 once it is lowered to others.

    Then it is a kernel that nothing has to be fast for, but schedules may descend from it.
    """

    model: str
    workload: str
    name: str
    calls: int
    pipeline: str


@dataclass(frozen=True)
class Search:
    """That a search of a workload ended after `trials` trials and `seconds` of wall time."""

    workload: str
    hardware: str
    pipeline: str
    trials: int
    seconds: float

    @property
    def setting(self) -> Setting:
        """Where it searched."""
        return self.hardware, self.pipeline
