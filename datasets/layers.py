"""Where data lives: what ships with the package is read-only, what the user measures lies over it."""

from __future__ import annotations

import gc
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import platformdirs

from recommender.datasets.library import PER_WORKLOAD, build_library
from recommender.datasets.lineage import Lineage
from recommender.datasets.records import COLD_SEARCH, KernelUse, Measurement, Search, Setting
from recommender.datasets.store import Store
from recommender.errors import DataError
from recommender.vocabulary import Donor, Hardware, Workload

SHIPPED = Path(__file__).parent / "shipped" / "outcomes.db"


def data_folder() -> Path:
    """The user's own folder: RECOMMENDER_DATA, or where the system keeps an application's data."""
    given = os.environ.get("RECOMMENDER_DATA")
    return Path(given) if given else platformdirs.user_data_path("tvm-schedule-recommender")


def user_store_path() -> Path:
    """The store that the user's own measurements are appended to."""
    return data_folder() / "outcomes.db"


@dataclass(frozen=True)
class Data:
    """Everything that is known: shipped and own measurements, their kernels, workloads and searches."""

    measurements: tuple[Measurement, ...]
    kernels: tuple[KernelUse, ...]
    workloads: dict[str, Workload]
    hardware: dict[str, Hardware]
    searches: tuple[Search, ...] = ()
    whole_lineage: Lineage | None = None
    """Made when everything was read; parts of the data keep it. See `Lineage`."""
    _libraries: dict[tuple[str, str, frozenset[str]], list[Donor]] = field(
        init=False, default_factory=dict, compare=False, repr=False
    )
    """What `_library` has built; a part of the data begins anew."""

    @cached_property
    def _by_setting(self) -> Mapping[Setting, Sequence[Measurement]]:
        groups: dict[Setting, list[Measurement]] = defaultdict(list)
        for m in self.measurements:
            groups[m.setting].append(m)
        return groups

    @cached_property
    def lineage(self) -> Lineage:
        """Where every schedule comes from."""
        return self.whole_lineage or Lineage.of(self.measurements, self.kernels)

    def only(self, wanted: Callable[[Measurement], bool]) -> Data:
        """The data with only those measurements."""
        return replace(
            self, measurements=tuple(filter(wanted, self.measurements)), whole_lineage=self.lineage
        )

    def without_workloads(self, keys: Collection[str]) -> Data:
        """The data without measurements of some workloads, and of whatever descends from them."""
        forgotten = frozenset(keys)
        return self.only(lambda m: not forgotten & self.lineage.workloads(m))

    def without_models(self, models: Collection[str]) -> Data:
        """The data without what comes from kernels that only these models have."""
        if not models:
            return self
        return self.only(lambda m: self.lineage.allowed(m, models))

    def donors(self, hardware: Hardware, pipeline: str, exclude_models: Collection[str] = ()) -> list[Donor]:
        """The library for one hardware; see `build_library`.

        For workloads with few schedules of its own, also those of others of its family, nearest first.
        """
        found: dict[str, list[Donor]] = {}
        for other in self.relatives(hardware):
            covered = {key for key, donors in found.items() if len(donors) >= PER_WORKLOAD}
            for donor in self._library(other.id, pipeline, frozenset(exclude_models)):
                own = found.setdefault(donor.workload.key, [])
                if donor.workload.key not in covered and donor.schedule not in [d.schedule for d in own]:
                    own.append(donor)
        return [donor for key in sorted(found) for donor in found[key]]

    def _library(self, hardware: str, pipeline: str, exclude_models: frozenset[str]) -> list[Donor]:
        """The library of what one machine measured. It is kept: that of every related machine contains it."""
        key = (hardware, pipeline, exclude_models)
        if key not in self._libraries:
            measured = self._by_setting.get((hardware, pipeline), ())
            self._libraries[key] = build_library(measured, self.workloads, self.lineage, exclude_models)
        return self._libraries[key]

    def past_donors(
        self,
        candidates: Iterable[Measurement],
        hardware: Hardware,
        pipeline: str,
        exclude_models: Collection[str] = (),
    ) -> dict[str, Donor]:
        """What measured candidates were made from, by `Donor.id`, in the library still or not.

        Timed on that hardware or on its nearest relative; the rank is how many schedules of their kernel the
        library has before them now.
        """
        kept: dict[str, list[float]] = defaultdict(list)
        for donor in self.donors(hardware, pipeline, exclude_models):
            kept[donor.workload.key].append(donor.median_seconds)
        named = {m.donor for m in candidates}
        sources: dict[Setting, list[Measurement]] = defaultdict(list)
        for m in self.measurements:
            is_named = m.donor_id in named and m.outcome.ok and m.workload in self.workloads
            if is_named and self.lineage.allowed(m, exclude_models):
                sources[m.setting].append(m)
        found: dict[str, Donor] = {}
        for other in reversed(self.relatives(hardware)):  # the nearest last: it has the last word
            for m in sources[other.id, pipeline]:
                rank = sum(faster < m.outcome.median_seconds for faster in kept[m.workload])
                found[m.donor_id] = self.lineage.donor(m, self.workloads[m.workload], rank)
        return found

    def of_models(self, models: Collection[str]) -> Data:
        """Only what belongs to some models' kernels.

        Raises:
            DataError: one of the models has no kernels here.
        """
        known = {use.model for use in self.kernels}
        if unknown := sorted(set(models) - known):
            names = ", ".join(sorted(known)) or "no model"
            raise DataError(f"there are no outcomes of {', '.join(unknown)}; there are of: {names}")
        kernels = tuple(use for use in self.kernels if use.model in models)
        keys = {use.workload for use in kernels}
        return replace(
            self.only(lambda m: m.workload in keys),
            kernels=kernels,
            searches=tuple(s for s in self.searches if s.workload in keys),
        )

    def relatives(self, hardware: Hardware) -> list[Hardware]:
        """Measured hardware of the same family: itself, then the most similar."""
        family = [h for h in self.hardware.values() if h.family == hardware.family]
        return sorted(
            family,
            key=lambda h: (
                h.id != hardware.id,
                abs(h.simd_bytes - hardware.simd_bytes),
                abs(h.threads - hardware.threads),
                h.cpu != hardware.cpu,
                abs(h.cold_weight_bytes - hardware.cold_weight_bytes),
                h.id,
            ),
        )

    def best_searched(self, setting: Setting) -> dict[str, Measurement]:
        """The fastest that cold searches found of each workload, by times that are sure if there are."""
        best: dict[str, Measurement] = {}
        for m in self.measurements:
            if m.source == COLD_SEARCH and m.setting == setting and m.outcome.ok:
                best[m.workload] = min(best.get(m.workload, m), m, key=_surest_and_fastest)
        return best

    def most_measured(self) -> tuple[Hardware, str]:
        """The hardware and pipeline with the most measurements: what studies of stored outcomes are about.

        Those of cold searches count only if there are no others: rankers are judged on transfers.

        Raises:
            DataError: there are no measurements.
        """
        transferred = Counter(m.setting for m in self.measurements if m.source != COLD_SEARCH)
        counts = transferred or Counter(m.setting for m in self.measurements)
        if not counts:
            raise DataError("the store holds no measurements; run: recommender tune --cold MODEL")
        hardware, pipeline = counts.most_common(1)[0][0]
        return self.hardware[hardware], pipeline


def _surest_and_fastest(m: Measurement) -> tuple[bool, float]:
    return m.outcome.is_unsure, m.outcome.median_seconds


def must_exist(path: Path) -> Path:
    """A store that someone named, to be read.

    Raises:
        DataError: there is no such file.
    """
    if not path.is_file():
        raise DataError(f"there is no store {path}; give the path of an outcomes.db")
    return path


@contextmanager
def _uncollected() -> Iterator[None]:
    """No search for garbage among a million objects that all stay, now or later: it takes 0.6 s of 1.6."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if was_enabled:
            gc.enable()


@_uncollected()
def load_data(*paths: Path) -> Data:
    """Read stores; where two hold the same candidate of the same workload, the later one counts.

    Raises:
        DataError: one of them exists but cannot be read.
    """
    measurements: dict[tuple[str, ...], Measurement] = {}
    kernels: dict[tuple[str, ...], KernelUse] = {}
    workloads: dict[str, Workload] = {}
    hardware: dict[str, Hardware] = {}
    searches: dict[tuple[str, str, str], Search] = {}
    for path in paths:
        if path.exists():
            with Store(path, read_only=True) as store:
                for m in store.measurements():
                    place = (m.workload, m.schedule.id, m.hardware, m.pipeline)
                    measurements[place] = m.measured_after(measurements.get(place))
                kernels |= {(k.model, k.workload, k.pipeline): k for k in store.kernels()}
                workloads |= store.workloads()
                hardware |= store.hardware()
                for s in store.searches():
                    key = (s.workload, *s.setting)
                    searches[key] = max(searches.get(key, s), s, key=lambda search: search.trials)
    rows, uses = tuple(measurements.values()), tuple(kernels.values())
    return Data(rows, uses, workloads, hardware, tuple(searches.values()), Lineage.of(rows, uses))
