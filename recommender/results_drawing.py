"""Plots of what `recommender evaluate` found: models, rankers and the library's ceiling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from recommender.ceiling import family_ceilings
from recommender.evaluation import Evaluation
from recommender.model_scores import percent_of_maximum
from recommender.models.crossval import KS, summarise
from recommender.studies.drawing import draw
from recommender.studies.table import Plot, Study
from recommender.vocabulary import Json


def draw_results(result: Evaluation, scores: Sequence[Json], folder: Path) -> list[Path]:
    """Write every plot that there are figures for, light and dark, as PNG and SVG; return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    return [path for study in _studies(result, scores) for path in draw(study, folder)]


def _studies(result: Evaluation, scores: Sequence[Json]) -> Iterator[Study]:
    if scores:
        yield from _models(scores)
    if result.novel:
        yield _rankers(result)
    if result.ceilings:
        yield _ceiling(result)


def _models(scores: Sequence[Json]) -> Iterator[Study]:
    rows: list[dict[str, Json]] = []
    for score in scores:
        seconds = {build: latency["median_seconds"] for build, latency in score["latencies"].items()}
        rows.append(
            {
                "model": score["model"],
                "% of maximum": percent_of_maximum(score, "transferred"),
                "x ONNX Runtime": seconds["transferred"] / seconds["ort"],
            }
        )
    maximum = "percent of the maximum speedup that the model's own search reaches, top 5 measured"
    yield Study("models-maximum", "", rows, Plot("bars", "model", "% of maximum", "", maximum))
    ort = "median time over ONNX Runtime's (under 1 is faster), top 5 measured"
    yield Study("models-ort", "", rows, Plot("bars", "model", "x ONNX Runtime", "", ort))


def _rankers(result: Evaluation) -> Study:
    rows: list[dict[str, Json]] = [
        {
            "ranker": s.ranker,
            "k": k,
            "regret %": 100 * regret,
            "low %": 100 * low,
            "high %": 100 * high,
        }
        for s in summarise(result.novel)
        for k, regret, (low, high) in zip(KS, s.weighted_regret, s.weighted_interval, strict=True)
    ]
    plot = Plot("lines", "k", "regret %", "candidates measured (k)", "regret@k, % of time", series="ranker")
    return Study("rankers", "", rows, plot)


def _ceiling(result: Evaluation) -> Study:
    rows: list[dict[str, Json]] = [
        {
            "kernels": f"{c.family} ({c.kernels})",
            "ratio": c.ratio,
            "low": c.interval[0],
            "high": c.interval[1],
        }
        for c in family_ceilings(result.ceilings)
    ]
    label = "best of all transfers over the kernel's own search (under 1 is faster)"
    return Study("ceiling", "", rows, Plot("bars", "kernels", "ratio", "", label, low="low", high="high"))
