"""What a run reports: one versioned value, written for machines (JSON) and for people (text, Markdown)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

from recommender.harness.latency import Latency
from recommender.vocabulary import Candidate, Hardware, Json, ModelInput, Outcome, Schedule

REPORT_VERSION = 1


@dataclass(frozen=True)
class Tried:
    """A candidate that was measured: its place in the ranking, its score and what happened."""

    candidate: Candidate
    rank: int
    score: float
    outcome: Outcome


@dataclass(frozen=True)
class SecondBank:
    """The times that decided: the fastest of those tried and the fallback, sampled in turns once more."""

    challenger: Candidate
    outcome: Outcome
    fallback: Outcome


@dataclass(frozen=True)
class KernelReport:
    """What was found for one kernel. Times are None where nothing was measured.

    `fallback` and `best` are what the choice was made by; `first_fallback` is the fallback beside those
    tried, before a second bank of times, if there was one.
    """

    name: str
    workload: str
    kernel_class: str
    extents: tuple[int, ...]
    calls: int
    candidates: int
    fallback_schedule: Schedule
    fallback: Outcome | None
    best: Outcome | None
    chosen: Candidate
    rank: int | None
    tried: tuple[Tried, ...]
    explanation: tuple[str, ...] = ()
    first_fallback: Outcome | None = None
    second_bank: SecondBank | None = None

    @property
    def speedup(self) -> float | None:
        """Fallback time over chosen time."""
        if self.fallback is None or self.best is None or not self.fallback.ok:
            return None
        return self.fallback.median_seconds / self.best.median_seconds

    @property
    def donor_name(self) -> str:
        """In words: a model with the donor's kernel, how many more it comes from, that kernel's extents."""
        donor = self.chosen.donor
        if donor is None:
            return "(own space)"
        first = min(donor.models, default="?")
        others = len(donor.origins - {first})
        more = f" +{others}" if others else ""
        return f"{first}{more} {'x'.join(map(str, donor.workload.extents))}"


@dataclass(frozen=True)
class Report:
    """The outcome of `recommend`."""

    model: str
    folder: str
    hardware: Hardware
    target: Json
    pipeline: str
    inputs: tuple[ModelInput, ...]
    options: Json
    versions: dict[str, str]
    stages_seconds: dict[str, float]
    kernels: tuple[KernelReport, ...]
    latencies: dict[str, Latency] = field(default_factory=dict)
    delivered: str = "chosen"

    @property
    def total_seconds(self) -> float:
        """Wall time of the run."""
        return sum(self.stages_seconds.values())


def report_json(report: Report) -> Json:
    """The report as JSON; every raw time included, so that every figure can be made again."""
    return {
        "version": REPORT_VERSION,
        "model": report.model,
        "folder": report.folder,
        "hardware": report.hardware.to_json(),
        "target": report.target,
        "pipeline": report.pipeline,
        "inputs": [asdict(i) for i in report.inputs],
        "options": report.options,
        "versions": report.versions,
        "stages_seconds": {k: round(v, 3) for k, v in report.stages_seconds.items()},
        "total_seconds": round(report.total_seconds, 3),
        "delivered": report.delivered,
        "latencies": {
            name: {
                "median_seconds": latency.median_seconds or None,
                "difference_from_ort": latency.difference if math.isfinite(latency.difference) else None,
                "allowed_difference": latency.allowed,
                "reason": latency.reason or None,
                "seconds": list(latency.seconds),
            }
            for name, latency in report.latencies.items()
        },
        "kernels": [_kernel_json(kernel) for kernel in report.kernels],
    }


def _kernel_json(kernel: KernelReport) -> Json:
    return {
        "name": kernel.name,
        "workload": kernel.workload,
        "class": kernel.kernel_class,
        "extents": kernel.extents,
        "calls": kernel.calls,
        "candidates": kernel.candidates,
        "fallback_schedule": kernel.fallback_schedule.id,
        "fallback": _outcome_json(kernel.fallback),
        "best": _outcome_json(kernel.best),
        "speedup": kernel.speedup,
        "chosen": _candidate_json(kernel.chosen),
        "rank": kernel.rank,
        "explanation": list(kernel.explanation),
        "tried": [
            {
                **_candidate_json(tried.candidate),
                "rank": tried.rank,
                "score": round(tried.score, 6),
                "outcome": _outcome_json(tried.outcome),
            }
            for tried in kernel.tried
        ],
        "first_fallback": _outcome_json(kernel.first_fallback),
        "second_bank": kernel.second_bank
        and {
            "challenger": kernel.second_bank.challenger.schedule.id,
            "outcome": _outcome_json(kernel.second_bank.outcome),
            "fallback": _outcome_json(kernel.second_bank.fallback),
        },
    }


def _candidate_json(candidate: Candidate) -> Json:
    donor = candidate.donor
    return {
        "schedule": candidate.schedule.id,
        "sketch": candidate.schedule.sketch.to_json(),
        "decisions": candidate.schedule.decisions,
        "policy": candidate.policy,
        "donor": donor
        and {"id": donor.id, "models": sorted(donor.origins), "extents": donor.workload.extents},
    }


def _outcome_json(outcome: Outcome | None) -> Json:
    if outcome is None:
        return None
    return {
        "status": outcome.status.value,
        "median_seconds": outcome.median_seconds if outcome.ok else None,
        "spread": round(outcome.spread, 4),
        "load": outcome.load,
        "reason": outcome.reason,
        "seconds": outcome.seconds,
    }


_BAR = r"\|"
"""A bar inside a cell of a Markdown table."""
_COLUMNS = ("kernel", "calls", "fallback ms", "best ms", "speedup", "rank", "donor")
_TEXT = ("kernel", "donor")
_GAP = 2
"""Characters between two columns."""


def _rows(report: Report) -> list[tuple[str, ...]]:
    """The cells of each kernel's row, the most expensive kernel first."""
    return [
        (
            kernel.name,
            str(kernel.calls),
            _milliseconds(kernel.fallback),
            _milliseconds(kernel.best),
            f"{kernel.speedup:.2f}" if kernel.speedup else "-",
            str(kernel.rank or "-"),
            kernel.donor_name,
        )
        for kernel in sorted(report.kernels, key=_kernel_seconds, reverse=True)
    ]


def kernel_table(report: Report, width: int) -> Table:
    """The kernels, the most expensive first. Names are cut to fit into the width, numbers are not."""
    table, rows = Table(box=None, pad_edge=False, header_style="bold"), _rows(report)
    needed = {column[0]: max(map(len, column)) for column in zip(_COLUMNS, *rows, strict=True)}
    left = width - sum(needed[name] for name in _COLUMNS if name not in _TEXT) - _GAP * (len(_COLUMNS) - 1)
    donor = min(needed["donor"], left // 2)
    widths = {**needed, "donor": max(donor, len("donor")), "kernel": max(left - donor, len("kernel"))}
    for name in _COLUMNS:
        table.add_column(
            name, justify="left" if name in _TEXT else "right", no_wrap=True, max_width=widths[name]
        )
    for row in rows:
        table.add_row(*map(Text, row))  # names of models are no markup
    return table


def _kernel_seconds(kernel: KernelReport) -> float:
    return kernel.calls * kernel.best.median_seconds if kernel.best else 0.0


def _milliseconds(outcome: Outcome | None) -> str:
    return f"{outcome.median_seconds * 1e3:.3f}" if outcome and outcome.ok else "-"


def latency_lines(report: Report) -> list[str]:
    """The model's latencies, and how the chosen build's compares with each."""
    if not any(latency.seconds for latency in report.latencies.values()):
        return []
    names = {
        "chosen": "recommended",
        "fallback": "fallback schedules",
        "untuned": "TVM untuned",
        "ort": "ONNX Runtime",
    }
    own = report.latencies["chosen"].median_seconds
    lines = []
    for name, latency in report.latencies.items():
        label, median = f"{names.get(name, name):<19}", latency.median_seconds
        if not latency.ran:
            lines.append(f"{label} could not be used")
        elif not median:
            lines.append(f"{label} gives values that are not finite")
        elif name == "chosen" or not own:
            lines.append(f"{label}{median * 1e3:9.2f} ms")
        else:
            lines.append(f"{label}{median * 1e3:9.2f} ms   recommended takes {own / median:.3f} x this time")
    return lines


def handed_over(report: Report) -> str:
    """Why the build with fallback schedules was handed over."""
    chosen = report.latencies["chosen"]
    if not chosen.ran:
        return "the recommended build could not be used: the one with fallback schedules was handed over"
    if not chosen.is_right:
        return (
            "the recommended build computes something else: the one with fallback schedules was handed over"
        )
    return "the build with fallback schedules was faster, and was handed over"


def explanation_lines(report: Report) -> list[str]:
    """Why each schedule was chosen, the most expensive kernels first."""
    kernels = sorted((k for k in report.kernels if k.explanation), key=_kernel_seconds, reverse=True)
    return [line for k in kernels for line in (k.name, *(f"    {text}" for text in k.explanation))]


def print_report(report: Report, console: Console) -> None:
    """The report for people at a terminal: kernels, latencies, why, and where the files are."""
    why = explanation_lines(report)
    lines = ["", *latency_lines(report), *(["", *why] if why else [])]
    if report.delivered != "chosen":
        lines.append(handed_over(report))
    lines += ["", f"{report.folder}: model.so, run.py, report.md, report.json, a tuning database"]
    console.print(kernel_table(report, console.width))
    console.print(Text("\n".join(lines)))


_LEGEND = """\
*calls*: how often the model runs the kernel; times are of one call. *fallback*: an untuned but sensible
schedule of the kernel's own design space; *best*: the chosen schedule; *speedup*: fallback over best. *rank*:
the chosen schedule's place in the order of measuring (-: the fallback was kept). *donor*: a model that
the schedule comes from, how many more it comes from (they share the kernel, or one that it descends from),
and the extents of the kernel's loops; "(own space)" is one of the kernel's own.
"""


def markdown(report: Report) -> str:
    """The report as a page for people."""
    took = f", {report.total_seconds:.0f} s" if report.stages_seconds else ""
    head = f"# {report.model}: recommended schedules\n\n{report.hardware.id}{took}\n"
    table = [_COLUMNS, ("---",) * len(_COLUMNS), *_rows(report)]
    rows = [f"| {' | '.join(cell.replace('|', _BAR) for cell in row)} |" for row in table]
    latency = [f"    {line}" for line in latency_lines(report)]
    if report.delivered != "chosen":
        latency.append(f"    {handed_over(report)}")
    why = [f"    {line}" for line in explanation_lines(report)]
    return "\n".join([head, *rows, "", *latency, "", *why, "", _LEGEND])
