"""Which kernels' schedules suit which kernels: from model to model, and from class to class."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recommender.candidates import transfer_candidates
from recommender.errors import DataError
from recommender.models.metrics import bootstrap_interval
from recommender.studies.table import Plot, Study, StudyInput, said
from recommender.vocabulary import Donor, Hardware, Json, Schedule, Workload

_OWN = "own or other class"


@dataclass(frozen=True)
class Receiver:
    """A kernel of a model, its calls, what was measured of it on a hardware, and donors of other models."""

    model: str
    workload: Workload
    calls: int
    seconds: Mapping[Schedule, float]
    donors: Sequence[Donor]
    hardware: Hardware

    @property
    def best_seconds(self) -> float:
        """Of all that was measured."""
        return min(self.seconds.values())

    def best_from(self, donors: Iterable[Donor]) -> float:
        """Seconds of the fastest measured candidate that these donors give; infinite without one."""
        given = transfer_candidates(self.workload, list(donors), self.hardware)
        return min((self.seconds[c.schedule] for c in given if c.schedule in self.seconds), default=math.inf)


@dataclass(frozen=True)
class _Gift:
    """The fastest that a source of donors gave to a kernel: a model, a class, its own class, all others."""

    by: str
    source: str
    kernel: Receiver
    seconds: float

    @property
    def to(self) -> str:
        """Where the kernel stands in the table."""
        return self.kernel.model if self.by == "model" else _class_name(self.kernel.workload)

    @property
    def weight(self) -> float:
        """Seconds of the kernel in its model."""
        return self.kernel.calls * self.kernel.best_seconds

    @property
    def regret(self) -> float:
        """How much longer than the best that is known."""
        return self.seconds / self.kernel.best_seconds - 1


def study_transfer(given: StudyInput) -> Study:
    """How much slower kernels get if only one model, or one class of kernels, gives schedules to them.

    Of a source's schedules only those count that were measured, and a ranker chose which.

    Raises:
        DataError: no model's schedules were measured on another's kernels.
    """
    receivers = list(receivers_by_model(given))
    gifts = [gift for part in given.spread(_gifts, [(kernels,) for kernels in receivers]) for gift in part]
    kernels = [kernel for part in receivers for kernel in part]
    by_model, by_class = (list(_rows(by, kernels, gifts)) for by in ("model", "class"))
    useful = [row for row in by_model if row["covered"] >= row["kernels"] / 2] or by_model
    if not useful:
        raise DataError(
            "no model's schedules were measured on another's kernels; run: recommender collect MODEL ..."
        )
    best = min(useful, key=lambda row: row["slower %"])
    finding = (
        f"{_own_or_other_class(gifts)} The best single donor of what was measured is {best['from']} for "
        f"{best['to']}: its schedules leave {said(best, 'slower %')} against the best known, on "
        f"{best['covered']} of {best['kernels']} kernels."
    )
    plot = Plot("heat", "from", "to", "schedules of", "kernels of", value="slower %", panel="by")
    return Study("transfer", finding, by_model + by_class, plot, [_raw(gift) for gift in gifts])


def receivers_by_model(given: StudyInput) -> Iterator[list[Receiver]]:
    """The judged kernels of each model, with the donors that other models have for them."""
    measured: dict[str, dict[Schedule, float]] = defaultdict(dict)
    for m in given.data.measurements:
        if m.setting == (given.hardware.id, given.pipeline):
            measured[m.workload][m.schedule] = m.outcome.median_seconds
    for fold in given.folds:
        library = given.data.without_workloads(fold.calls.keys())
        others = library.donors(given.hardware, given.pipeline, [fold.model])
        keys = [fold.test.workloads[g] for g in np.unique(fold.test.groups)]
        workloads = given.data.workloads
        yield [
            Receiver(fold.model, workloads[key], fold.calls[key], measured[key], others, given.hardware)
            for key in keys
        ]


def _gifts(kernels: Sequence[Receiver]) -> list[_Gift]:
    """What every source gave to every kernel."""
    found = []
    for kernel in kernels:
        sources: dict[tuple[str, str], list[Donor]] = defaultdict(list)
        for donor in kernel.donors:
            for model in donor.origins:
                sources["model", model].append(donor)
            sources["class", _class_name(donor.workload)].append(donor)
            is_own = donor.workload.kernel_class == kernel.workload.kernel_class
            sources[_OWN, "own" if is_own else "other"].append(donor)
        for (by, source), donors in sources.items():
            seconds = kernel.best_from(donors)
            if math.isfinite(seconds):
                found.append(_Gift(by, source, kernel, seconds))
    return found


def _rows(by: str, kernels: Sequence[Receiver], gifts: Sequence[_Gift]) -> Iterator[dict[str, Json]]:
    """A row for each two that share something; which kernels that is differs from row to row."""
    pairs: dict[tuple[str, str], list[_Gift]] = defaultdict(list)
    for gift in gifts:
        if gift.by == by:
            pairs[gift.to, gift.source].append(gift)
    sizes = Counter(_Gift(by, "", kernel, math.inf).to for kernel in kernels)
    for (to, source), given in sorted(pairs.items()):
        row = {"by": by, "to": to, "from": source, "kernels": sizes[to], "covered": len(given)}
        yield {**row, **_slower(given)}


def _slower(gifts: Sequence[_Gift]) -> dict[str, Json]:
    """Time-weighted regret of what was given, in percent, with its 95 % interval over kernels."""
    regrets, weights = [g.regret for g in gifts], [g.weight for g in gifts]
    low, high = bootstrap_interval(regrets, weights)
    mean = float(np.average(regrets, weights=weights))
    return {"slower %": 100 * mean, "low %": 100 * low, "high %": 100 * high}


def _own_or_other_class(gifts: Sequence[_Gift]) -> str:
    """What donors of a kernel's own class are worth against all of the others, where there are both."""
    own, other = (
        {(g.kernel.model, g.kernel.workload.key): g for g in gifts if (g.by, g.source) == (_OWN, source)}
        for source in ("own", "other")
    )
    both = sorted(own.keys() & other.keys())
    if not both:
        return "No kernel got schedules both from its own class and from others."
    mine, others = (said(_slower([part[key] for key in both]), "slower %") for part in (own, other))
    return (
        f"Measured schedules of a kernel's own class leave {mine} against the best known, those of all other "
        f"classes {others}, on {len(both)} kernels that got both."
    )


def _class_name(workload: Workload) -> str:
    """The kernel's class without what TVM adds to the names of operators: conv2d+add+add."""
    return "+".join(re.sub(r"^T_|_nhwc$|_temp$|\d+$", "", operator) for operator in workload.operators)


def _raw(gift: _Gift) -> Json:
    return {
        "by": gift.by,
        "to": gift.to,
        "from": gift.source,
        "model": gift.kernel.model,
        "workload": gift.kernel.workload.key,
        "calls": gift.kernel.calls,
        "seconds": gift.seconds,
        "best_seconds": gift.kernel.best_seconds,
    }
