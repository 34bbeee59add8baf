"""What the figures are held against: the project's goals, and what Gibson and Cano (PACT 2022) had."""

from __future__ import annotations

from dataclasses import dataclass

from recommender.vocabulary import Json


@dataclass(frozen=True)
class Goal:
    """A figure of the summary with its limit. `scale` turns the stored number into what is shown.

    `bounds` names the figure that counts what of it is a lower bound only.
    """

    key: str
    what: str
    limit: float
    paper: str
    at_least: bool = False
    above: bool = False
    scale: float = 1.0
    bounds: str = ""

    def is_met(self, value: float) -> bool:
        """Whether the figure keeps to its limit."""
        if self.above:
            return value > self.limit
        return value >= self.limit if self.at_least else value <= self.limit

    @property
    def wanted(self) -> str:
        """The limit in words."""
        relation = "more than" if self.above else "at least" if self.at_least else "at most"
        return f"{relation} {self.scale * self.limit:g}"


GOALS = (
    Goal("percent_of_max_mean", "percent of maximum speedup, top 5, mean", 95, "49.13", at_least=True),
    Goal("percent_of_max_min", "the same, lowest of all models", 85, "", at_least=True),
    Goal(
        "percent_of_max_unmeasured_mean", "the same without measuring candidates, mean", 85, "", at_least=True
    ),
    Goal(
        "search_time_ratio_median",
        "TVM's search: its time to match over ours, median",
        30,
        "3.1",
        at_least=True,
        bounds="search_time_lower_bounds",
    ),
    Goal("invalid_at_5", "invalid among the first 5, %", 0.01, "39", scale=100),
    Goal("regret_at_5", "regret@5, weighted by time, %", 0.015, "", scale=100),
    Goal("regret_at_1", "regret@1, weighted by time, %", 0.06, "", scale=100),
    Goal(
        "regret_gain_over_nearest_at_1_ci_low",
        "gain over nearest shape at k = 1, points, lower end of 95 %",
        0,
        "",
        above=True,
        scale=100,
    ),
    Goal(
        "regret_gain_over_nearest_at_2_ci_low",
        "gain over nearest shape at k = 2, points, lower end of 95 %",
        0,
        "",
        above=True,
        scale=100,
    ),
    Goal("slower_than_fallback", "kernels or models slower than the fallback", 0, "17 % of pairs faster"),
    Goal("ort_ratio_geomean", "latency over ONNX Runtime's, geometric mean", 1.0, ""),
)

PAPER_SPEEDUPS = {
    "resnet18": 1.20,
    "resnet50": 1.16,
    "alexnet": 4.6,
    "vgg16": 1.19,
    "mobilenet_v2": 1.20,
    "efficientnet_b0": 1.23,
    "efficientnet_b4": 1.13,
    "googlenet": 1.15,
    "mnasnet1_0": 1.26,
    "bert_256": 59.0,
    "mobilebert_256": 13.0,
}
"""Untuned over transferred on a Xeon E5-2620: the figures on the bars of Gibson and Cano's figure 5."""


def goals_table(summary: Json) -> str:
    """Every goal beside what was reached and the paper's figure, as Markdown."""
    lines = ["| figure | paper | goal | here | |", "|---" * 5 + "|"]
    for goal in GOALS:
        value = summary.get(goal.key)
        if value is None:
            here, verdict = "-", "not measured"
        else:
            here = f"{'at least ' if summary.get(goal.bounds) else ''}{goal.scale * value:.4g}"
            verdict = "met" if goal.is_met(value) else "**missed**"
        lines.append(f"| {goal.what} | {goal.paper or '-'} | {goal.wanted} | {here} | {verdict} |")
    return "\n".join(lines) + "\n"
