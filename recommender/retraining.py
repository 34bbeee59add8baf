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
from recommender.models.gate import Verdict, compare_rankers, held_out_workloads, judged_machine
from recommender.models.registry import active_name, keep_ranker, ranker_stem, use_ranker
from recommender.models.training import TrainingSet, describe_ranker, fit_ranker, training_set
from recommender.progress import Reporter
from recommender.session import Machine
from recommender.vocabulary import Json

Place = tuple[str, str, str, str]
"""A candidate of a workload on one hardware and pipeline: what has one measurement in a store."""


def place_of(m: Measurement) -> Place:
    """What the measurement is of."""
    return m.workload, m.schedule.id, m.hardware, m.pipeline


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


@dataclass(frozen=True)
class TrainingPlan:
    """What a ranker is to be trained on, and the page about it, as yet without metrics.

    `known` is all that the ranker in use may have learned from. `judged_on` is the machine on whose workloads
    rankers are judged: the one trained for, or its nearest relative while it has too few itself.
    """

    rows: TrainingSet
    known: TrainingSet
    card: RankerCard
    hardware: str
    judged_on: str
    seed: int

    def fit(self, rows: TrainingSet) -> BoostedRanker:
        """A ranker with the plan's settings."""
        return fit_ranker(rows, self.hardware, seed=self.seed)


@dataclass(frozen=True)
class Retrained:
    """A ranker trained on everything asked for, and how a twin of it did on held-out workloads."""

    ranker: BoostedRanker
    card: RankerCard
    verdict: Verdict


def plan_training(
    data: Data,
    machine: Machine,
    *,
    everything: Data | None = None,
    exclude_models: Collection[str],
    seed: int,
) -> TrainingPlan:
    """Encode what is to be learned. `everything` is what was known before, if that is more than `data`.

    Raises:
        DataError: there is nothing to train on.
    """
    relatives, here = data.relatives(machine.hardware), machine.hardware.id
    rows = training_set(data, relatives, machine.pipeline, exclude_models)
    known = training_set(everything, relatives, machine.pipeline, exclude_models) if everything else rows
    return TrainingPlan(
        rows=rows,
        known=known,
        card=describe_ranker(data, rows, here, seed=seed, exclude_models=exclude_models),
        hardware=here,
        judged_on=judged_machine(rows, [h.id for h in relatives]) or here,
        seed=seed,
    )


def already_in_use(plan: TrainingPlan) -> str | None:
    """The ranker in use, if it is what the plan would give."""
    name = active_name()
    try:
        _, card = load_ranker(ranker_stem(name))
    except DataError:
        return None
    return name if card.is_of_same_training(plan.card) else None


def retrain(plan: TrainingPlan, own_workloads: Collection[str], reporter: Reporter) -> Retrained:
    """Train, and judge a twin that never saw the held-out workloads against the ranker in use.

    Where the ranker in use saw some of them, a twin of it that learned from what was measured until then,
    but not from them, stands in for it: what a ranker remembers says nothing of new kernels.

    Raises:
        DataError: nothing ran of what it was to learn from.
    """
    with reporter.steps("training", 2) as steps:
        verdict = _judge(plan, own_workloads)
        steps.advance("judged on held-out kernels")
        ranker = plan.fit(plan.rows)
        steps.advance("trained")
    metrics: dict[str, Json] = {
        "held_out_machine": verdict.machine,
        "held_out_kernels": verdict.workloads,
        "regret_at_1": verdict.new_regret_at_1,
        "regret_at_5": verdict.new_regret_at_5,
        "regret_at_1_of_the_one_before": verdict.old_regret_at_1,
    }
    return Retrained(ranker, replace(plan.card, metrics=metrics), verdict)


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


def _judge(plan: TrainingPlan, own: Collection[str]) -> Verdict:
    held_out = held_out_workloads(plan.rows, plan.judged_on, own, plan.seed)
    rest = plan.rows.without(held_out).usable()
    if not held_out or not len(rest.y):
        return Verdict(plan.judged_on, 0)
    new, old = plan.fit(rest), _in_use_without(held_out, plan)
    return compare_rankers(old, new, plan.rows, plan.judged_on, held_out)


def _in_use_without(held_out: Collection[str], plan: TrainingPlan) -> Ranker | None:
    """The ranker in use, or if it learned from held-out workloads, a twin of its age that did not.

    None if it is of other features, or damaged: anything that can be read is no worse.
    """
    try:
        active, card = load_ranker(ranker_stem(active_name()))
    except DataError:
        return None
    seen = plan.known.only(plan.known.measured_at <= card.measured_until).usable()
    rest = seen.without(held_out)
    if len(rest.y) in (0, len(seen.y)):
        return active
    return plan.fit(rest.judged_by_itself())
