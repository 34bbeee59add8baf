"""What outcomes of other machines are worth for one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from recommender.errors import DataError, UsageError
from recommender.models import metrics
from recommender.models.crossval import LEARNED
from recommender.models.training import TrainingSet, machine_weights, training_set
from recommender.studies.table import Plot, Study, StudyInput, said
from recommender.studies.training import ranker_of
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
    judged = given.spread(_judged, cases)
    rows = [_row(kernels) for kernels in judged]
    finding = " ".join(_finding(machine, rows) for machine in machines)
    plot = Plot("bars", "case", "regret@1 %", "", "regret@1, %", low="low %", high="high %")
    raw = [kernel for kernels in judged for kernel in kernels]
    source = "Outcomes of " + ", ".join(f"{m} ({given.span(m)})" for m in machines) + "."
    return Study("hardware", finding, rows, plot, raw, source)


def _finding(machine: str, rows: list[dict[str, Json]]) -> str:
    own, others, both = (
        said(next(r for r in rows if (r["hardware"], r["trained on"]) == (machine, source)), "regret@1 %")
        for source in ("own", "others", "both")
    )
    return (
        f"For {machine}, regret@1 is {others} with outcomes of other machines alone, {own} with its own "
        f"alone, {both} with both."
    )


def _judged(everything: TrainingSet, target: str, source: str, seed: int) -> list[dict[str, Json]]:
    """regret@1 of each of a machine's workloads, by a ranker that never saw it anywhere."""
    machines = set(everything.machines)
    wanted = {"own": {target}, "others": machines - {target}, "both": machines}[source]
    keys = sorted({k for k, m in zip(everything.workloads, everything.machines, strict=True) if m == target})
    parts = np.array_split(np.random.default_rng(seed).permutation(keys), min(4, len(keys)))
    found: list[dict[str, Json]] = []
    for part in parts:
        train = everything.without(set(part))
        groups = [g for g, m in enumerate(train.machines) if m in wanted]
        train = train.only(np.isin(train.groups, groups))
        if not np.isfinite(train.seconds).any():
            continue
        train = train.lessons()
        ranker = ranker_of(LEARNED, seed).fit(
            train.X, train.y, train.groups, sample_weight=machine_weights(train, target)
        )
        for g, (key, machine) in enumerate(zip(everything.workloads, everything.machines, strict=True)):
            mask = everything.groups == g
            if machine == target and key in set(part) and np.isfinite(everything.seconds[mask]).sum() >= 3:
                regret = metrics.capped_regret(
                    ranker.predict(everything.X[mask]), everything.seconds[mask], 1
                )
                found.append({"hardware": target, "trained on": source, "workload": key, "regret": regret})
    if not found:
        raise DataError(f"too few candidates were measured on {target}; run there: recommender calibrate")
    return found


def _row(kernels: Sequence[dict[str, Json]]) -> dict[str, Json]:
    """The mean over a machine's workloads, with its 95 % interval."""
    regrets = [kernel["regret"] for kernel in kernels]
    low, high = metrics.bootstrap_interval(regrets)
    target, source = kernels[0]["hardware"], kernels[0]["trained on"]
    return {
        "case": f"{target}, {source}",
        "hardware": target,
        "trained on": source,
        "kernels": len(kernels),
        "regret@1 %": 100 * float(np.mean(regrets)),
        "low %": 100 * low,
        "high %": 100 * high,
    }
