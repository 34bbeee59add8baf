"""What a store holds: measurements, and the searches that are finished."""

from __future__ import annotations

from dataclasses import dataclass

from recommender.vocabulary import Outcome, Schedule


@dataclass(frozen=True)
class Measurement:
    """An outcome with everything that says where it came from.

    `source` is the command that made it (tune, collect, recommend, calibrate), `donor` the
    `Donor.id` of the library schedule it descends from, `policy` the rule that adapted it.
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


@dataclass(frozen=True)
class KernelUse:
    """That a model calls a workload `calls` times."""

    model: str
    workload: str
    name: str
    calls: int
    pipeline: str
