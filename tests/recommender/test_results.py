"""The figures of the results page, from scores that can be checked by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recommender import results
from recommender.ceiling import KernelCeiling, family, family_ceilings
from recommender.evaluation import Evaluation
from recommender.goals import GOALS
from recommender.model_scores import percent_of_maximum
from recommender.models.crossval import KS, KernelScore
from recommender.results_drawing import draw_results
from tests.recommender.test_candidates import matmul


def score(model: str, **milliseconds: float) -> dict[str, Any]:
    return {
        "model": model,
        "hardware": "znver4-2t-cf71c99f",
        "date": "2026-11-25",
        "kernels": 10,
        "slower_kernels": 0,
        "measured": 40,
        "invalid": 1,
        "stages_seconds": {"import": 5.0, "knowledge": 100.0, "rank": 1.0, "measure": 30.0},
        "search_seconds": 720.0,
        "search_trials": 640,
        "latencies": {b: {"median_seconds": ms / 1e3} for b, ms in milliseconds.items()},
    }


A = score("a", untuned=100, fallback=20, unmeasured=12.5, transferred=10, tuned=10, ort=10)
B = score("b", untuned=60, fallback=8, unmeasured=15, transferred=10, tuned=6, ort=2.5)


def test_percent_of_maximum_is_the_papers() -> None:
    assert percent_of_maximum(A, "transferred") == pytest.approx(100)
    assert percent_of_maximum(A, "unmeasured") == pytest.approx(100 * 7 / 9)
    assert percent_of_maximum(B, "transferred") == pytest.approx(100 * 5 / 9)


def test_the_summary_counts_what_is_slower_and_takes_means() -> None:
    summary = results.models_summary([A, B])
    assert summary["models"] == 2
    assert summary["percent_of_max_mean"] == pytest.approx((100 + 500 / 9) / 2)
    assert summary["percent_of_max_min"] == pytest.approx(500 / 9)
    assert summary["ort_ratio_geomean"] == pytest.approx(2.0)
    assert summary["slower_than_fallback"] == 1  # b is handed over at 10 ms against 8
    assert summary["ours_seconds_median"] == 36.0  # training without the model is not part of a run


def test_the_table_over_models_has_means_medians_and_extremes() -> None:
    page = results.markdown(Evaluation("h", "p", [], [], []), results.Measured([A, B, B]))
    assert "| % of maximum, top k | 70.4 | 55.6 to 100 | 55.6 | 55.6 | 100 |" in page
    assert "| transferred / ort | 2.52 | 1 to 4 | 4 | 1 | 4 |" in page
    assert "| a | znver4-2t | 10, 9 with donors |" in results.markdown(
        Evaluation("h", "p", [], [], []), results.Measured([{**A, "with_donors": 9}])
    )


def test_a_familys_ceiling_weighs_kernels_by_their_time() -> None:
    kernels = [
        KernelCeiling("x", "matmul", 1, tuned_seconds=9.0, transferred_seconds=9.0),
        KernelCeiling("y", "matmul", 1, tuned_seconds=1.0, transferred_seconds=2.0),
    ]
    line, everything = family_ceilings(kernels)
    assert line.family == "matmul"
    assert everything.family == "all"
    assert line.ratio == pytest.approx(1.1)
    assert line.interval[0] <= 1.1 <= line.interval[1]
    assert line.within_5_percent == 0.5


def test_a_kernel_belongs_to_the_operator_that_does_its_work() -> None:
    assert family(matmul(8, 8, 8)) == "matmul"


def test_everything_is_written(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.json").write_text(json.dumps(A))
    ceilings = [KernelCeiling("x", "matmul", 1, 1.0, 1.0)]

    search = {"model": "a", "ours_seconds": 30.0, "ours_sum_ms": 5.0, "search_matched_after_seconds": None}
    search |= {"search_seconds": 600.0, "search_sum_ms": 5.5, "ratio": 20.0, "ratio_is_lower_bound": True}
    search |= {"hardware": "znver5-2t-ea02d49e", "date": "2026-11-26"}
    (tmp_path / "searches").mkdir()
    (tmp_path / "searches" / "a.json").write_text(json.dumps(search))
    measured = results.Measured.read(tmp_path)

    results.write(Evaluation("h", "p", [], [], ceilings), measured, tmp_path)

    page = (tmp_path / "README.md").read_text()
    assert (
        "| a | znver4-2t | 10 | 100 | 20 | 12.5 | 10 | 10 | 10 | 100.0 | 77.8 | 1.000 | 10 "
        "| - | 36 | 720 (640) |" in page
    )
    assert "| a | 30 | 5.00 | 600 | 5.5 | at least 20.0 |" in page
    assert "of znver4-2t-cf71c99f (2026-11-25), znver5-2t-ea02d49e (2026-11-26), all with" in page
    assert "Of 40 candidates that were measured 1 were invalid." in page
    assert "at least 30 | at least 20 | **missed** |" in page
    assert "mean | 49.13 | at least 95 | 100 | met |" in page
    assert "| transferred / ort | 1 | 1 to 1 | 1 | 1 | 1 |" in page
    assert "| regret@1, weighted by time, % | - | at most 6 | - | not measured |" in page
    assert json.loads((tmp_path / "summary.json").read_text())["percent_of_max_mean"] == pytest.approx(100)
    assert json.loads((tmp_path / "ceiling.json").read_text())[0]["workload"] == "x"


def test_a_goal_knows_on_which_side_of_its_limit_it_is_met() -> None:
    by_key = {goal.key: goal for goal in GOALS}
    assert by_key["percent_of_max_mean"].is_met(95)
    assert not by_key["percent_of_max_mean"].is_met(94.9)
    assert by_key["regret_at_1"].is_met(0.06)
    assert not by_key["regret_at_1"].is_met(0.061)
    assert not by_key["regret_gain_over_nearest_at_2_ci_low"].is_met(0.0)
    assert by_key["slower_than_fallback"].is_met(0)


def test_every_figure_has_its_plot(tmp_path: Path) -> None:
    per_k = tuple(0.1 / k for k in KS)
    scores = [
        KernelScore(
            ranker=ranker,
            model="a",
            workload="x",
            weight=1.0,
            candidates=9,
            regret=per_k,
            invalid=(0.0,) * 4,
            recall=per_k,
            ndcg=0.9,
            pairwise=0.8,
        )
        for ranker in ("random", "xgboost")
    ]
    ceilings = [KernelCeiling("x", "matmul", 1, 1.0, 1.0)]

    paths = draw_results(Evaluation("h", "p", scores, [], ceilings), [A, B], tmp_path / "plots")

    assert {p.name for p in paths} == {
        f"{figure}-{theme}.{suffix}"
        for figure in ("models-maximum", "models-ort", "rankers", "ceiling")
        for theme in ("light", "dark")
        for suffix in ("png", "svg")
    }
    assert all(p.stat().st_size > 5000 for p in paths)
    assert draw_results(Evaluation("h", "p", [], [], []), [], tmp_path / "none") == []
