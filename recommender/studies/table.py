"""What a study takes and what it gives: a table, a sentence that says what was found, and a plot of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from typing import Literal, TypeVar

import numpy as np
from joblib import Parallel, delayed, parallel_config

from recommender.datasets.layers import Data
from recommender.errors import DataError
from recommender.models.crossval import KS, Fold, KernelScore, make_folds
from recommender.models.metrics import bootstrap_interval
from recommender.vocabulary import Hardware, Json

AT_1 = KS.index(1)
T = TypeVar("T")
Backend = Literal["loky", "threading", "dask"]


@dataclass(frozen=True)
class StudyInput:
    """Stored outcomes of the most measured hardware, and how to spread the work over processes.

    The figures are the same whatever the number of jobs: every job trains with one thread.
    """

    data: Data
    seed: int = 0
    jobs: int = 1
    backend: Backend = "loky"
    scores: dict[str, list[KernelScore]] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Of rankers that a study has trained already, by name and settings: the next one need not."""

    @cached_property
    def _most_measured(self) -> tuple[Hardware, str]:
        return self.data.most_measured()

    @property
    def hardware(self) -> Hardware:
        """The hardware that the study is about."""
        return self._most_measured[0]

    @property
    def pipeline(self) -> str:
        """The lowering pipeline of its outcomes."""
        return self._most_measured[1]

    @property
    def source(self) -> str:
        """What outcomes these are, in a sentence."""
        return f"Outcomes of {self.hardware.id}, {self.span(self.hardware.id)}, pipeline {self.pipeline}."

    def span(self, machine: str) -> str:
        """From when to when the outcomes of a machine were measured, by its id."""
        times = [m.measured_at for m in self.data.measurements if m.hardware == machine]
        days = (datetime.fromtimestamp(t, timezone.utc).date().isoformat() for t in (min(times), max(times)))
        return " to ".join(sorted(set(days)))

    @cached_property
    def folds(self) -> list[Fold]:
        """One model left out at a time, novel shapes only.

        Raises:
            DataError: there are not two models with measured transfers.
        """
        folds = list(make_folds(self.data, self.hardware, self.pipeline))
        if len(folds) < 2:
            models = sorted({use.model for use in self.data.kernels}) or ["none"]
            raise DataError(
                f"a study leaves out one model at a time and needs two with measured transfers, but the "
                f"outcomes are of: {', '.join(models)}; run: recommender collect MODEL ..."
            )
        return folds

    def spread(self, work: Callable[..., T], arguments: Iterable[tuple[object, ...]]) -> list[T]:
        """Call `work` with each of the arguments, in parallel, results in order."""
        calls = [delayed(work)(*a) for a in arguments]
        if self.backend != "dask":
            return list(Parallel(n_jobs=self.jobs, backend=self.backend)(calls))
        from distributed import Client

        with Client(n_workers=self.jobs, threads_per_worker=1), parallel_config("dask"):
            return list(Parallel()(calls))


@dataclass(frozen=True)
class Study:
    """The result: rows with named columns, units in the names, and how to draw them.

    `source` says of what outcomes.
    """

    subject: str
    finding: str
    rows: list[dict[str, Json]]
    plot: Plot
    raw: list[Json] = field(default_factory=list)
    source: str = ""

    def markdown(self) -> str:
        """The finding and the table as a page."""
        columns = list(self.rows[0]) if self.rows else []
        lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
        lines += ["| " + " | ".join(_cell(row[c]) for c in columns) + " |" for row in self.rows]
        head = "\n\n".join(text for text in (f"# Study: {self.subject}", self.finding, self.source) if text)
        return head + "\n\n" + "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Plot:
    """How a study's rows are drawn: bars with intervals, lines over x, or a heat map of x and y.

    `series` is the column that tells lines apart, `panel` the one that tells plots side by side apart.
    """

    kind: Literal["bars", "lines", "heat"]
    x: str
    y: str
    x_label: str
    y_label: str
    low: str = ""
    high: str = ""
    series: str = ""
    value: str = ""
    panel: str = ""


def _cell(value: Json) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def said(row: dict[str, Json], column: str) -> str:
    """A percentage with its interval."""
    return f"{row[column]:.1f} % ({row['low %']:.1f} to {row['high %']:.1f})"


def regret_row(scores: list[KernelScore], index: int) -> tuple[float, float, float]:
    """Time-weighted regret in percent at one of `crossval.KS`, with its 95 % interval over kernels."""
    regrets = np.array([s.regret[index] for s in scores])
    weights = np.array([s.weight for s in scores])
    low, high = bootstrap_interval(regrets.tolist(), weights.tolist())
    return 100 * float(np.average(regrets, weights=weights)), 100 * low, 100 * high
