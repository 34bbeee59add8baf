"""The pages and files that `recommender evaluate` writes, `docs/results` in the repository."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import geometric_mean, mean, median

from recommender.ceiling import family_ceilings
from recommender.evaluation import Evaluation, summary_json
from recommender.goals import PAPER_SPEEDUPS, goals_table
from recommender.model_scores import percent_of_maximum
from recommender.models.crossval import AS_SHIPPED, KS, RankerSummary, summarise
from recommender.models.metrics import bootstrap_interval
from recommender.vocabulary import Json

NOISE = 0.05
"""A model counts as slower than its fallback build if it takes this much more: medians vary by so much."""


@dataclass(frozen=True)
class Measured:
    """What was measured on the machine: whole models by `--measure`, TVM's search by `search_time.py`."""

    models: list[Json] = field(default_factory=list)
    searches: list[Json] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> Measured:
        """From `folder/models` and `folder/searches`, in the order of the models' names."""
        models, searches = (
            [json.loads(path.read_text()) for path in sorted((folder / kind).glob("*.json"))]
            for kind in ("models", "searches")
        )
        return cls(models, searches)


def write(result: Evaluation, measured: Measured, folder: Path) -> None:
    """Write rankers, library ceiling, models and summary into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    scores = {"novel shapes only": result.novel, "all kernels": result.everything}
    raw = {kernels: [_rounded(asdict(s)) for s in own] for kernels, own in scores.items()}
    (folder / "rankers.json").write_text(json.dumps(raw) + "\n")
    (folder / "ceiling.json").write_text(json.dumps([asdict(c) for c in result.ceilings], indent=1) + "\n")
    (folder / "README.md").write_text(markdown(result, measured))
    (folder / "summary.json").write_text(json.dumps(summary(result, measured), indent=1) + "\n")


def _rounded(value: Json) -> Json:
    """Numbers with five digits: a kernel's score is one of thousands."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(v) for key, v in value.items()}
    return [_rounded(v) for v in value] if isinstance(value, list | tuple) else value


def summary(result: Evaluation, measured: Measured) -> Json:
    """All figures that have a goal, each beside how many models and kernels it covers."""
    return {
        **summary_json(result),
        **models_summary(measured.models),
        **search_summary(measured.searches),
    }


def search_summary(searches: Sequence[Json]) -> Json:
    """MetaSchedule's time to match over ours."""
    if not searches:
        return {"search_time_models": 0}
    return {
        "search_time_models": len(searches),
        "search_time_ratio_median": median(s["ratio"] for s in searches),
        "search_time_lower_bounds": sum(s["ratio_is_lower_bound"] for s in searches),
    }


def models_summary(scores: Sequence[Json]) -> Json:
    """The figures that were measured on whole models."""
    if not scores:
        return {"models": 0}
    measured = [percent_of_maximum(s, "transferred") for s in scores]
    unmeasured = [percent_of_maximum(s, "unmeasured") for s in scores]
    return {
        "models": len(scores),
        "kernels": sum(s["kernels"] for s in scores),
        "percent_of_max_mean": mean(measured),
        "percent_of_max_min": min(measured),
        "percent_of_max_unmeasured_mean": mean(unmeasured),
        "slower_than_fallback": sum(s["slower_kernels"] for s in scores)
        + sum(_ratio(s, "transferred", "fallback") > 1 + NOISE for s in scores),
        "ort_ratio_geomean": geometric_mean(_ratio(s, "transferred", "ort") for s in scores),
        "ours_seconds_median": median(_own_seconds(s) for s in scores),
        "search_seconds_median": median(s["search_seconds"] for s in scores),
    }


def _ratio(score: Json, build: str, other: str) -> float:
    latencies = score["latencies"]
    return float(latencies[build]["median_seconds"] / latencies[other]["median_seconds"])


def _own_seconds(score: Json) -> float:
    """Import to chosen schedules. Training without the model is part of the experiment, not of a run."""
    stages = score["stages_seconds"]
    return float(stages["import"] + stages["rank"] + stages["measure"])


def markdown(result: Evaluation, measured: Measured) -> str:
    """All tables as one page."""
    parts = [
        "# Results\n\nOne model is left out at a time. Rankers and library ceiling are of "
        f"{result.hardware}, whole models and searches of {_machines(measured)}, all with pipeline "
        f"{result.pipeline}; datasets/shipped/README.md describes the machines. `recommender evaluate "
        "-o docs/results` makes this page from stored outcomes, "
        "with the models that "
        "`recommender evaluate --measure MODEL -o docs/results` and the searches that "
        "`benchmarks/search_time.py MODEL` measured before. The same as plots: [plots](plots).\n",
        "## Goals\n\nThe paper is Gibson and Cano, PACT 2022. Features and settings of the ranker were "
        "chosen by these same figures ([decisions](../decisions.md)), which flatters them. "
        f"{_covers(result, measured)}\n\n{goals_table(summary(result, measured))}",
    ]
    if measured.models:
        parts.append("## Whole models, novel shapes only\n\n" + _models_table(measured.models))
        parts.append("## Over the models\n\n" + _over_models_table(measured.models))
    if measured.searches:
        parts.append("## TVM's own search\n\n" + _searches_table(measured.searches))
    for title, kernels in (("novel shapes only", result.novel), ("all kernels", result.everything)):
        summaries = summarise(kernels)
        if summaries:
            head = f"## Rankers, {title}: {summaries[0].kernels} kernels of {summaries[0].models} models\n\n"
            parts.append(head + _rankers_table(summaries))
    if result.ceilings:
        parts.append("## Library ceiling\n\n" + _ceiling_table(result))
    return "\n".join(parts)


def _machines(measured: Measured) -> str:
    """Where and when models and searches were measured."""
    dates: dict[str, set[str]] = {}
    for score in (*measured.models, *measured.searches):
        dates.setdefault(score["hardware"], set()).add(score["date"])
    spans = (f"{hardware} ({_span(days)})" for hardware, days in sorted(dates.items()))
    return ", ".join(spans) or "no machine"


def _span(days: set[str]) -> str:
    return " to ".join(sorted({min(days), max(days)}))


def _covers(result: Evaluation, measured: Measured) -> str:
    judged = {(s.model, s.workload) for s in result.novel}
    return (
        f"Rankers are judged on {len(judged)} kernels of {len({model for model, _ in judged})} models; "
        f"{len(measured.models)} whole models and {len(measured.searches)} searches were measured."
    )


def _searches_table(searches: Sequence[Json]) -> str:
    head = (
        "`tune_relax` with TVM's builder, runner and settings on the same lowered model, until the sum over "
        "kernels of calls times best seconds is as small as ours, both by TVM's runner. *Ours*: import, "
        "ranking and measuring. A search that takes much longer than ours is stopped when it next reports, "
        "and the ratio is a lower bound.\n\n"
    )
    lines = ["| model | ours s | ours ms | search s | search ms | ratio |", "|---" * 6 + "|"]
    for s in searches:
        bound = "at least " if s["ratio_is_lower_bound"] else ""
        seconds = s["search_matched_after_seconds"] or s["search_seconds"]
        lines.append(
            f"| {s['model']} | {s['ours_seconds']:.0f} | {s['ours_sum_ms']:.2f} | {seconds:.0f} "
            f"| {s['search_sum_ms'] or 'some kernels still without'} | {bound}{s['ratio']:.1f} |"
        )
    return head + "\n".join(lines) + "\n"


def _models_table(scores: Sequence[Json]) -> str:
    builds = ("untuned", "fallback", "unmeasured", "transferred", "tuned", "ort")
    head = (
        "Median ms in turns. *Transferred*: top k measured; *unmeasured*: the first of the ranking; *tuned*: "
        "the best of the model's own search for each kernel. Percent of maximum speedup is "
        "(S - 1) / (S_full - 1), S = untuned / build, S_full with *tuned*: over 100, transfer beat the "
        "model's own search. *Speedup*: untuned / transferred, beside the paper's on its Xeon. *x ORT*: "
        "transferred / ort. *Ours*: import, ranking and measuring, without reading the library and training "
        "a ranker. *Search*: the model's own search, in brackets how many trials it was "
        "allowed (small spaces end before; a kernel's search counts in every model that has it). All kernels "
        "have donors (coverage 100 %) where *kernels* does not say otherwise. Each row is of one run, of "
        f"{_span({s['date'] for s in scores})}, with the library and the ranker of that day. Of "
        f"{sum(s['measured'] for s in scores)} candidates that were measured "
        f"{sum(s['invalid'] for s in scores)} were invalid.\n\n"
    )
    lines = [
        "| model | machine | kernels | " + " | ".join(builds) + " | % of max | % unmeasured | x ORT "
        "| speedup | paper's | ours s | search s (trials) |",
        "|---" * (len(builds) + 10) + "|",
    ]
    for s in scores:
        times = " | ".join(_milliseconds(s["latencies"][b]["median_seconds"]) for b in builds)
        lines.append(
            f"| {s['model']} | {_machine(s)} | {_kernels(s)} | {times} "
            f"| {percent_of_maximum(s, 'transferred'):.1f} | {percent_of_maximum(s, 'unmeasured'):.1f} "
            f"| {_ratio(s, 'transferred', 'ort'):.3f} | {_ratio(s, 'untuned', 'transferred'):.3g} "
            f"| {PAPER_SPEEDUPS.get(s['model'], '-')} | {_own_seconds(s):.0f} "
            f"| {s['search_seconds']:.0f} ({s['search_trials']}) |"
        )
    return head + "\n".join(lines) + "\n"


def _over_models_table(scores: Sequence[Json]) -> str:
    head = (
        "Middle, extremes and the 95 % interval of the mean over resampled models (for ratios of times, of "
        "the geometric mean).\n\n"
    )
    figures = {
        "% of maximum, top k": [percent_of_maximum(s, "transferred") for s in scores],
        "% of maximum, unmeasured": [percent_of_maximum(s, "unmeasured") for s in scores],
    }
    ratios = {
        "transferred / ort": [_ratio(s, "transferred", "ort") for s in scores],
        "tuned / ort": [_ratio(s, "tuned", "ort") for s in scores],
        "fallback / transferred": [_ratio(s, "fallback", "transferred") for s in scores],
        "untuned / ort": [_ratio(s, "untuned", "ort") for s in scores],
        "untuned / transferred": [_ratio(s, "untuned", "transferred") for s in scores],
        "search s / ours s": [s["search_seconds"] / _own_seconds(s) for s in scores],
    }
    lines = ["| figure | mean | 95 % interval | median | lowest | highest |", "|---" * 6 + "|"]
    for name, values in {**figures, **ratios}.items():
        is_ratio = name in ratios
        low, high = bootstrap_interval([math.log(v) for v in values] if is_ratio else values)
        interval = (math.exp(low), math.exp(high)) if is_ratio else (low, high)
        middle = geometric_mean(values) if is_ratio else mean(values)
        cells = [middle, *interval, median(values), min(values), max(values)]
        shown = [f"{cell:.3g}" for cell in cells]
        lines.append(
            f"| {name} | {shown[0]} | {shown[1]} to {shown[2]} | {shown[3]} | {shown[4]} | {shown[5]} |"
        )
    return head + "\n".join(lines) + "\n"


def _milliseconds(seconds: float) -> str:
    """Three digits, whole where they do not suffice."""
    return f"{1e3 * seconds:.3g}" if seconds < 0.1 else f"{1e3 * seconds:.0f}"


def _kernels(score: Json) -> str:
    """How many there are, and how many of them have a donor if not all do."""
    n, covered = score["kernels"], score.get("with_donors", score["kernels"])
    return f"{n}" if covered == n else f"{n}, {covered} with donors"


def _machine(score: Json) -> str:
    """CPU and threads, without the digest."""
    return str(score["hardware"].rpartition("-")[0])


def _rankers_table(summaries: Sequence[RankerSummary]) -> str:
    head = (
        "*Regret@k*: how much longer the best of the first k takes than the best of all that were measured, "
        "in percent: weighted by time, with the 95 % interval over resampled kernels / on the median kernel. "
        "*Recall@5*: how many of the five best are among the first five. *NDCG*: 1 for the right order. "
        "*Paper-heuristic*: donors of the same kernel class, the fastest expected first. *Random*: the mean "
        "over all orders. *Hedged*: XGBoost's order, with every third place from the second on for the donor "
        "nearest in shape. Rankers learn from the machine that they are judged on"
    )
    if any(s.ranker == AS_SHIPPED for s in summaries):
        head += "; *as-shipped*: hedged, from all machines, this one weighing most"
    head += ".\n\n"
    lines = [
        "| ranker | " + " | ".join(f"regret@{k}" for k in KS) + " | invalid@5 % | recall@5 % | NDCG@10 |",
        "|---" * (len(KS) + 4) + "|",
    ]
    for s in summaries:
        cells = [
            f"{100 * w:.1f} ({100 * low:.1f} to {100 * high:.1f}) / {100 * m:.1f}"
            for w, m, (low, high) in zip(s.weighted_regret, s.median_regret, s.weighted_interval, strict=True)
        ]
        at_5 = KS.index(5)
        lines.append(
            f"| {s.ranker} | {' | '.join(cells)} | {100 * s.invalid[at_5]:.1f} "
            f"| {100 * s.recall[at_5]:.0f} | {s.ndcg:.3f} |"
        )
    return head + "\n".join(lines) + "\n"


def _ceiling_table(result: Evaluation) -> str:
    head = (
        "Best of all measured transfers over the kernel's own search: under 1, other models' schedules beat "
        "the search. Weighted by time; the best of many single measurements flatters both sides.\n\n"
    )
    lines = [
        "| kernels | number | transferred / tuned | 95 % interval | within 5 % |",
        "|---|---|---|---|---|",
    ]
    for c in family_ceilings(result.ceilings):
        low, high = c.interval
        lines.append(
            f"| {c.family} | {c.kernels} | {c.ratio:.3f} | {low:.3f} to {high:.3f} "
            f"| {100 * c.within_5_percent:.0f} % |"
        )
    return head + "\n".join(lines) + "\n"
