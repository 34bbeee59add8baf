"""Rankers judged from stored outcomes: the figures that anyone can work out again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from recommender.cli import app
from recommender.datasets.layers import Data
from recommender.evaluation import NEAREST, evaluate, summary_json
from recommender.models.crossval import (
    AS_SHIPPED,
    HEDGED,
    leave_one_model_out_as_shipped,
    make_folds,
    score_trained,
)
from recommender.models.hedging import HedgedRanker
from recommender.models.training import fit_ranker
from recommender.progress import Reporter


def test_the_summary_is_of_the_order_that_is_measured(shipped_of_two_models: Data) -> None:
    data = shipped_of_two_models
    result = evaluate(data, 0, Reporter(0), summary_only=True)
    summary = summary_json(result)

    # Of one machine, learning from all machines is learning from its own.
    hardware, pipeline = data.most_measured()
    own = [
        score
        for fold in make_folds(data, hardware, pipeline)
        for score in score_trained(HEDGED, HedgedRanker(fit_ranker(fold.train, hardware.id)), fold)
    ]
    at_1, at_5 = (np.average([s.regret[i] for s in own], weights=[s.weight for s in own]) for i in (0, 2))
    assert summary["ranker_models"] == 2
    assert summary["ranker_kernels"] == len(own)
    assert summary["regret_at_1"] == pytest.approx(at_1)
    assert summary["regret_at_5"] == pytest.approx(at_5)
    assert at_5 < at_1
    assert {s.ranker for s in result.novel} == {AS_SHIPPED, NEAREST}


def test_what_ships_learns_from_other_machines_too(shipped_of_two_models: Data) -> None:
    data = shipped_of_two_models
    here, pipeline = data.most_measured()
    elsewhere = replace(here, cpu=f"{here.cpu}-2")
    moved = tuple(replace(m, hardware=elsewhere.id) for m in data.measurements)
    both = replace(
        data,
        measurements=data.measurements + moved,
        hardware={**data.hardware, elsewhere.id: elsewhere},
    )

    alone, together = (
        [s.regret for s in leave_one_model_out_as_shipped(d, here, pipeline)] for d in (data, both)
    )

    assert len(alone) == len(together)
    assert alone != together


def test_outcomes_of_one_model_judge_no_ranker(library: Path) -> None:
    done = CliRunner().invoke(app, ["evaluate", "--json", "-q", "--store", str(library)])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout) == {"ranker_models": 0, "ranker_kernels": 0}
