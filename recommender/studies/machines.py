"""What outcomes of other machines are worth for one."""

from __future__ import annotations

import itertools

import numpy as np

from recommender.errors import DataError, UsageError
from recommender.models import metrics
from recommender.models.training import TrainingSet, machine_weights, training_set
from recommender.studies.table import Plot, Study, StudyInput, said
from recommender.studies.training import light_ranker
from recommender.vocabulary import Json


def study_hardware(given: StudyInput) -> Study:
    """What outcomes of other machines are worth for one: trained on its own, on others', on both."""
    here = given.hardware.id
    machines = sorted({m.hardware for m in given.data.measurements if m.pipeline == given.pipeline} | {here})
    if len(machines) < 2:
        raise UsageError(
            f"the outcomes are all of {machines[0]}; measure elsewhere (recommender calibrate), or take "
            "another store with --store"
        )
    everything = training_set(given.data, [given.data.hardware[m] for m in machines], given.pipeline)
    cases = itertools.product([everything], machines, ("own", "others", "both"), [given.seed])
    rows = given.spread(_hardware_row, cases)
    finding = " ".join(_finding(machine, rows) for machine in machines)
    plot = Plot("bars", "case", "regret@1 %", "", "regret@1, %", low="low %", high="high %")
    return Study("hardware", finding, rows, plot)


def _finding(machine: str, rows: list[dict[str, Json]]) -> str:
    own, others, both = (
        said(next(r for r in rows if (r["hardware"], r["trained on"]) == (machine, source)), "regret@1 %")
        for source in ("own", "others", "both")
    )
    return (
        f"For {machine}, regret@1 is {others} with outcomes of other machines alone, {own} with its own "
        f"alone, {both} with both."
    )


def _hardware_row(everything: TrainingSet, target: str, source: str, seed: int) -> dict[str, Json]:
    """Mean regret@1 over a machine's workloads, each judged by a ranker that never saw them anywhere."""
    machines = set(everything.machines)
    wanted = {"own": {target}, "others": machines - {target}, "both": machines}[source]
    keys = sorted({k for k, m in zip(everything.workloads, everything.machines, strict=True) if m == target})
    parts = np.array_split(np.random.default_rng(seed).permutation(keys), min(4, len(keys)))
    regrets: list[float] = []
    for part in parts:
        train = everything.without(set(part))
        groups = [g for g, m in enumerate(train.machines) if m in wanted]
        train = train.only(np.isin(train.groups, groups)).usable()
        if not len(train.y):
            continue
        ranker = light_ranker(seed).fit(
            train.X, train.y, train.groups, sample_weight=machine_weights(train, target)
        )
        for g, (key, machine) in enumerate(zip(everything.workloads, everything.machines, strict=True)):
            mask = everything.groups == g
            if machine == target and key in set(part) and np.isfinite(everything.seconds[mask]).sum() >= 3:
                score = ranker.predict(everything.X[mask])
                regrets.append(metrics.capped_regret(score, everything.seconds[mask], 1))
    if not regrets:
        raise DataError(f"too few candidates were measured on {target}; run there: recommender calibrate")
    low, high = metrics.bootstrap_interval(regrets)
    return {
        "case": f"{target}, {source}",
        "hardware": target,
        "trained on": source,
        "kernels": len(regrets),
        "regret@1 %": 100 * float(np.mean(regrets)),
        "low %": 100 * low,
        "high %": 100 * high,
    }
