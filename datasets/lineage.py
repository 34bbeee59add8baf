"""Where schedules come from: the models of their own kernel and of every donor that they descend from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from recommender.datasets.records import KernelUse, Measurement
from recommender.vocabulary import Donor, Workload


@dataclass(frozen=True)
class Lineage:
    """The donors of every measured schedule ("workload/schedule"), and the models of every workload.

    It is made from everything that is known, whatever the hardware or outcome, before anything is left
    out: a chain must not end where one of its links was filtered away.
    """

    parents: Mapping[str, frozenset[str]]
    origins: Mapping[str, frozenset[str]]
    _found: dict[tuple[str, str | None], frozenset[str]] = field(
        default_factory=dict, compare=False, repr=False
    )
    _others: dict[frozenset[str], frozenset[str]] = field(default_factory=dict, compare=False, repr=False)
    """By models: the workloads that other models have too."""

    @classmethod
    def of(cls, measurements: Iterable[Measurement], kernels: Iterable[KernelUse]) -> Lineage:
        """The lineage of all measurements.

        A workload belongs to the models that it was searched or collected for. One that merely uses it, and
        got a recommendation, gave nothing: else excluding a model would end with a copy under another name.
        """
        parents: dict[str, set[str]] = defaultdict(set)
        givers: set[str] = set()
        for m in measurements:
            if m.source != "recommend":
                givers.add(m.run)
            if m.donors:
                parents[m.donor_id].update(m.donors)
        models: dict[str, set[str]] = defaultdict(set)
        for use in kernels:
            models[use.workload].add(use.model)
        return cls(_frozen(parents), _frozen({key: uses & givers or uses for key, uses in models.items()}))

    def workloads(self, measurement: Measurement) -> frozenset[str]:
        """Keys of the measurement's own workload and of those that its schedule descends from."""
        start = measurement.donor_id
        if not measurement.donor and start not in self.parents:  # of a search: most are
            return frozenset((measurement.workload,))
        place = (start, measurement.donor)
        if place not in self._found:
            self._found[place] = self._reachable([start, *measurement.donors])
        return self._found[place]

    def _reachable(self, waiting: list[str]) -> frozenset[str]:
        seen, found = set(waiting), set()
        while waiting:
            current = waiting.pop()
            found.add(current.partition("/")[0])
            new = sorted(self.parents.get(current, frozenset()) - seen)
            seen.update(new)
            waiting += new
        return frozenset(found)

    def donor(self, measurement: Measurement, workload: Workload, rank: int) -> Donor:
        """A measured schedule of a workload as a donor; `rank` is its place among those of its kernel."""
        own = self.origins.get(workload.key, frozenset())
        seconds = measurement.outcome.median_seconds
        return Donor(measurement.schedule, workload, seconds, own, self.models(measurement), rank)

    def models(self, measurement: Measurement) -> frozenset[str]:
        """All models that a measurement's schedule owes something to."""
        return self.models_of([measurement])

    def models_of(self, measurements: Iterable[Measurement]) -> frozenset[str]:
        """All models that one of the schedules owes something to."""
        keys = frozenset().union(*(self.workloads(m) for m in measurements))
        return frozenset().union(*(self.origins.get(key, frozenset()) for key in keys))

    def allowed(self, measurement: Measurement, excluded: Collection[str]) -> bool:
        """Whether no workload in its line belongs to excluded models only.

        A workload that nothing is known of any more is not allowed where anything is excluded.
        """
        left_out = frozenset(excluded)
        if not left_out:
            return True
        if left_out not in self._others:
            self._others[left_out] = frozenset(key for key, uses in self.origins.items() if uses - left_out)
        return self.workloads(measurement) <= self._others[left_out]

    def is_transfer(self, measurement: Measurement) -> bool:
        """Whether a schedule has donors, and they would be left if its own kernel's models were left out."""
        own = self.origins.get(measurement.workload, frozenset())
        line = self._reachable([*measurement.donors])
        return bool(line) and all(self.origins.get(key, frozenset()) - own for key in line)


def _frozen(sets: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    return {key: frozenset(values) for key, values in sets.items()}
