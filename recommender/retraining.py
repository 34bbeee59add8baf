"""`recommender train`: a ranker from shipped and own outcomes, which must prove itself before it is used."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from recommender.datasets.layers import Data
from recommender.datasets.records import Measurement
from recommender.errors import DataError
from recommender.models.artefact import RankerCard, load_ranker
from recommender.models.boosted import BoostedRanker
from recommender.models.contract import Ranker
from recommender.models.gate import Verdict, compare_rankers, held_out_workloads
from recommender.models.registry import active_name, keep_ranker, ranker_stem, use_ranker
from recommender.models.training import TrainingSet, describe_ranker, fit_ranker, training_set
from recommender.progress import Reporter
from recommender.session import Machine

Place = tuple[str, str, str, str]
"""A candidate of a workload on one hardware and pipeline: what has one measurement in a store."""


def place_of(m: Measurement) -> Place:
    """What the measurement is of."""
    return m.workload, m.schedule.id, m.hardware, m.pipeline


@dataclass(frozen=True)
class Retrained:
    """A ranker trained on everything asked for, and how a twin of it did on held-out workloads."""

    ranker: BoostedRanker
    card: RankerCard
    verdict: Verdict


def select_outcomes(
    data: Data,
    *,
    only: Collection[Place] | None = None,
    hardware: str | None = None,
    since: float | None = None,
) -> Data:
    """Outcomes of some candidates, of one hardware id, or measured since a time in seconds since 1970.

    Raises:
        DataError: there are none.
    """
    kept = data.only(
        lambda m: (
            (only is None or place_of(m) in only)
            and (hardware is None or m.hardware == hardware)
            and (since is None or m.measured_at >= since)
        )
    )
    if not kept.measurements:
        known = ", ".join(sorted(data.hardware)) or "none"
        raise DataError(f"no outcomes are left to train on; hardware with outcomes: {known}")
    return kept


def retrain(
    data: Data,
    own_workloads: Collection[str],
    machine: Machine,
    *,
    everything: Data | None = None,
    exclude_models: Collection[str],
    seed: int,
    reporter: Reporter,
) -> Retrained:
    """Train, and judge a twin that never saw the held-out workloads against the ranker in use.

    Where the ranker in use saw some of them, a twin of it that learned from what was measured until then,
    but not from them, stands in for it: what a ranker remembers says nothing of new kernels. `everything` is
    what it may have learned from, if that is more than `data`.

    Raises:
        DataError: there is nothing to train on.
    """

    def encoded(part: Data) -> TrainingSet:
        return training_set(part, part.relatives(machine.hardware), machine.pipeline, exclude_models)

    with reporter.steps("training", 3) as steps:
        rows = encoded(data)
        all_rows = encoded(everything) if everything else rows
        steps.advance("encoded")
        verdict = _judge(rows, all_rows, own_workloads, machine, seed)
        steps.advance("judged on held-out kernels")
        ranker = fit_ranker(rows, machine.hardware.id, seed=seed)
        steps.advance("trained")
    card = replace(
        describe_ranker(data, rows, exclude_models=exclude_models),
        metrics={
            "held_out_kernels": verdict.workloads,
            "regret_at_1": verdict.new_regret,
            "regret_at_1_of_the_one_before": verdict.old_regret,
        },
    )
    return Retrained(ranker, card, verdict)


def keep(result: Retrained, force: bool) -> str:
    """Store a ranker among the user's, and use it if it is no worse or forced. Return what was done."""
    name = keep_ranker(result.ranker, result.card)
    if result.verdict.is_no_worse or force:
        use_ranker(name)
        return f"in use from now on: {name}"
    return (
        f"kept as {name}, but {active_name()} is better and stays in use; "
        f"to use the new one all the same: recommender models use {name} (or train --force)"
    )


def _judge(
    rows: TrainingSet, all_rows: TrainingSet, own: Collection[str], machine: Machine, seed: int
) -> Verdict:
    held_out = held_out_workloads(rows, own, seed)
    rest = rows.without(held_out)
    if not held_out or not len(rest.y):
        return Verdict(0, None, None)
    try:
        active, card = load_ranker(ranker_stem(active_name()))
    except DataError:  # of other features, or damaged: anything that can be read is no worse
        return Verdict(0, None, None)
    new = fit_ranker(rest, machine.hardware.id, seed=seed)
    old = _without_what_it_saw(active, card, all_rows, held_out, machine, seed)
    return compare_rankers(old, new, rows, held_out)


def _without_what_it_saw(
    active: Ranker,
    card: RankerCard,
    rows: TrainingSet,
    held_out: Collection[str],
    machine: Machine,
    seed: int,
) -> Ranker:
    """The ranker in use, or if it learned from held-out workloads, a twin of its age that did not."""
    known = rows.only(rows.measured_at <= card.measured_until)
    rest = known.without(held_out)
    if len(rest.y) in (0, len(known.y)):
        return active
    return fit_ranker(rest.judged_by_itself(), machine.hardware.id, seed=seed)
