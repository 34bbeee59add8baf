"""The subjects of `recommender study`: each replays stored outcomes and says what they show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from recommender.candidates import transfer_candidates
from recommender.errors import UsageError
from recommender.features import FEATURE_NAMES, feature_groups
from recommender.models import metrics
from recommender.models.boosted import BoostedRanker
from recommender.models.crossval import KS, RANKERS, Fold, KernelScore, score_fold
from recommender.models.training import TrainingSet, training_set
from recommender.studies.table import Plot, Study, StudyInput, regret_row
from recommender.vocabulary import Json

_SHARES = (0.05, 0.1, 0.25, 0.5, 1.0)
_BUDGETS = (1, 2, 3, 5, 8, 12, 20)
_AT_1 = KS.index(1)


def run_study(subject: str, given: StudyInput) -> Study:
    """Run one study.

    Raises:
        UsageError: no such subject.
        DataError: the outcomes are not enough for it.
    """
    if subject not in SUBJECTS:
        raise UsageError(f"no study is called {subject}; there are: {', '.join(SUBJECTS)}")
    return SUBJECTS[subject](given)


def _said(row: dict[str, Json], column: str) -> str:
    """A percentage with its interval."""
    return f"{row[column]:.1f} % ({row['low %']:.1f} to {row['high %']:.1f})"


def _ranker(name: str, seed: int) -> Any:
    """A ranker that trains with one thread, so that figures do not depend on the number of jobs."""
    ranker = RANKERS[name](seed)
    return ranker.set_params(threads=1) if "threads" in ranker.get_params() else ranker


def _scored(name: str, seed: int, fold: Fold) -> list[KernelScore]:
    return score_fold(name, _ranker(name, seed), fold)


def _compared(given: StudyInput, subject: str, names: list[str]) -> Study:
    """Rankers side by side on the same candidates."""
    work = [(name, given.seed, fold) for name in names for fold in given.folds]
    scores = [score for part in given.spread(_scored, work) for score in part]
    rows: list[dict[str, Json]] = []
    for name in names:
        own = [s for s in scores if s.ranker == name]
        for index, k in enumerate(KS):
            mean, low, high = regret_row(own, index)
            rows.append(
                {"ranker": name, "k": k, "kernels": len(own), "regret %": mean, "low %": low, "high %": high}
            )
    at_1 = sorted((row for row in rows if row["k"] == 1), key=lambda row: row["regret %"])
    best, second = at_1[0], at_1[1]
    finding = (
        f"{best['ranker']} is first at k = 1 with a time-weighted regret of {_said(best, 'regret %')}, "
        f"before {second['ranker']} with {_said(second, 'regret %')}, on {best['kernels']} kernels of "
        f"{len(given.folds)} models."
    )
    plot = Plot("lines", "k", "regret %", "candidates measured, k", "regret, % of time", series="ranker")
    return Study(subject, finding, rows, plot, [vars(s) for s in scores])


def study_rankers(given: StudyInput) -> Study:
    """All rankers and baselines."""
    return _compared(given, "rankers", list(RANKERS))


def study_objectives(given: StudyInput) -> Study:
    """XGBoost's objectives: squared error on log time, pairwise, NDCG."""
    return _compared(given, "objectives", [name for name in RANKERS if name.startswith("xgboost")])


def study_features(given: StudyInput) -> Study:
    """Each group of features left out, and alone; and what TreeSHAP says each group contributes."""
    groups = feature_groups()
    everything = np.arange(len(FEATURE_NAMES))
    variants = {"all": everything}
    variants |= {f"without {g}": np.delete(everything, everything[part]) for g, part in groups.items()}
    variants |= {f"only {g}": everything[part] for g, part in groups.items() if g != "hardware"}
    work = [(name, columns, given.seed, fold) for name, columns in variants.items() for fold in given.folds]
    scores = [score for part in given.spread(_scored_columns, work) for score in part]
    contributions = np.mean(given.spread(_contributions, [(given.seed, f) for f in given.folds]), axis=0)
    rows: list[dict[str, Json]] = []
    for name in variants:
        mean, low, high = regret_row([s for s in scores if s.ranker == name], _AT_1)
        group = name.partition(" ")[2]
        share = float(contributions[groups[group]].sum()) if group in groups else 1.0
        rows.append(
            {"features": name, "regret@1 %": mean, "low %": low, "high %": high, "TreeSHAP share": share}
        )
    without = [row for row in rows if row["features"].startswith("without")]
    worst = max(without, key=lambda row: row["regret@1 %"])
    top = ", ".join(FEATURE_NAMES[i] for i in np.argsort(-contributions)[:5])
    finding = (
        f"Leaving out {worst['features'].partition(' ')[2]} costs most: regret@1 "
        f"{_said(worst, 'regret@1 %')} instead of {_said(rows[0], 'regret@1 %')}. By TreeSHAP the five "
        f"features that move predictions most are {top}."
    )
    plot = Plot("bars", "features", "regret@1 %", "", "regret@1, % of time", low="low %", high="high %")
    raw: list[Json] = [
        {"feature": n, "mean_abs_shap_share": float(c)}
        for n, c in zip(FEATURE_NAMES, contributions, strict=True)
    ]
    return Study("features", finding, rows, plot, raw)


def _scored_columns(name: str, columns: np.ndarray, seed: int, fold: Fold) -> list[KernelScore]:
    return score_fold(name, _ranker("xgboost", seed), fold, columns)


def _contributions(seed: int, fold: Fold) -> np.ndarray:
    """Mean absolute TreeSHAP value of each feature on a fold's candidates, as a share of all."""
    ranker: BoostedRanker = _ranker("xgboost", seed)
    ranker.fit(fold.train.X, fold.train.y, fold.train.groups)
    mean = np.abs(ranker.contributions(fold.test.X)).mean(axis=0)
    return np.asarray(mean / mean.sum())


def study_data(given: StudyInput) -> Study:
    """Learning curves: over the share of outcomes, and over the number of models learned from."""
    n_models = len(given.folds)
    sizes = sorted({n for n in (1, 2, 3, 5, 8, n_models - 1) if n < n_models})
    work: list[tuple[object, ...]] = []
    for fold in given.folds:
        work += [("share of outcomes", share, given.seed, fold, None) for share in _SHARES]
        others = [f.model for f in given.folds if f.model != fold.model]
        models_of = _models_of_workloads(given)
        work += [("models learned from", n, given.seed, fold, (others, models_of)) for n in sizes]
    scores = [score for part in given.spread(_scored_part, work) for score in part]
    rows: list[dict[str, Json]] = []
    for name in dict.fromkeys(s.ranker for s in scores):
        curve, _, amount = name.partition(": ")
        mean, low, high = regret_row([s for s in scores if s.ranker == name], _AT_1)
        rows.append(
            {"curve": curve, "amount": float(amount), "regret@1 %": mean, "low %": low, "high %": high}
        )
    shares = [row for row in rows if row["curve"] == "share of outcomes"]
    half, full = (next(r for r in shares if r["amount"] == share) for share in (0.5, 1.0))
    helps = full["high %"] < half["regret@1 %"]
    finding = (
        f"With half of the outcomes regret@1 is {_said(half, 'regret@1 %')}, with all of them "
        f"{_said(full, 'regret@1 %')}: "
        f"{'more data still helps' if helps else 'what more data would bring is within the interval'}."
    )
    plot = Plot(
        "lines",
        "amount",
        "regret@1 %",
        "amount (share, or number of models)",
        "regret@1, % of time",
        series="curve",
    )
    return Study("data", finding, rows, plot)


def _models_of_workloads(given: StudyInput) -> dict[str, set[str]]:
    models: dict[str, set[str]] = {}
    for use in given.data.kernels:
        models.setdefault(use.workload, set()).add(use.model)
    return models


def _scored_part(
    curve: str, amount: float, seed: int, fold: Fold, models: tuple[list[str], dict[str, set[str]]] | None
) -> list[KernelScore]:
    rng = np.random.default_rng([seed, len(fold.model)])
    if models is None:
        kept = rng.random(len(fold.train.y)) < amount
    else:
        others, models_of = models
        chosen = set(rng.permutation(others)[: int(amount)])
        groups = [g for g, key in enumerate(fold.train.workloads) if models_of.get(key, set()) & chosen]
        kept = np.isin(fold.train.groups, groups)
    part = Fold(fold.model, _usable(fold.train.only(kept)), fold.test, fold.calls)
    if not len(part.train.y):
        return []
    return score_fold(f"{curve}: {amount:g}", _ranker("xgboost", seed), part)


def _usable(rows: TrainingSet) -> TrainingSet:
    """Rows of workloads of which something ran."""
    good = [g for g in np.unique(rows.groups) if np.isfinite(rows.seconds[rows.groups == g]).any()]
    return rows.only(np.isin(rows.groups, good))


def study_k(given: StudyInput) -> Study:
    """Cost against quality: regret after measuring the first k, for each k."""
    rows: list[dict[str, Json]] = []
    names = ("xgboost", "nearest-shape", "random")
    picked = given.spread(_frontier, [(name, given.seed, fold) for name in names for fold in given.folds])
    for position, name in enumerate(names):
        parts = picked[position * len(given.folds) : (position + 1) * len(given.folds)]
        regrets = np.vstack([regret for regret, _ in parts])
        weights = np.concatenate([weight for _, weight in parts])
        for column, k in enumerate(_BUDGETS):
            low, high = metrics.bootstrap_interval(regrets[:, column].tolist(), weights.tolist())
            mean = float(np.average(regrets[:, column], weights=weights))
            rows.append(
                {"ranker": name, "k": k, "regret %": 100 * mean, "low %": 100 * low, "high %": 100 * high}
            )
    own = {row["k"]: row for row in rows if row["ranker"] == "xgboost"}
    by_shape = [row for row in rows if row["ranker"] == "nearest-shape"]
    as_good = next((r["k"] for r in by_shape if r["regret %"] <= own[2]["regret %"]), None)
    finding = (
        f"Measuring 2 candidates ranked by XGBoost leaves {_said(own[2], 'regret %')}, 5 leave "
        f"{_said(own[5], 'regret %')}; ranked by shape it takes "
        f"{as_good or f'more than {_BUDGETS[-1]}'} to be as good as 2."
    )
    plot = Plot("lines", "k", "regret %", "candidates measured, k", "regret, % of time", series="ranker")
    return Study("k", finding, rows, plot)


def _frontier(name: str, seed: int, fold: Fold) -> tuple[np.ndarray, np.ndarray]:
    """Regret at each budget, and the weight, of every kernel of a fold."""
    ranker = _ranker(name, seed).fit(fold.train.X, fold.train.y, fold.train.groups)
    regrets, weights = [], []
    for group in np.unique(fold.test.groups):
        mask = fold.test.groups == group
        seconds, predicted = fold.test.seconds[mask], ranker.predict(fold.test.X[mask])
        regrets.append([min(metrics.regret(predicted, seconds, k), 63.0) for k in _BUDGETS])
        weights.append(float(np.min(seconds)) * fold.calls[fold.test.workloads[group]])
    return np.array(regrets), np.array(weights)


def study_transfer(given: StudyInput) -> Study:
    """Model to model: how much slower a model's kernels get if only one other model gives schedules."""
    hardware, pipeline, data = given.hardware, given.pipeline, given.data
    measured: dict[str, dict[Any, float]] = {}
    for m in data.measurements:
        if (m.hardware, m.pipeline) == (hardware.id, pipeline):
            measured.setdefault(m.workload, {})[m.schedule] = m.outcome.median_seconds
    donors = data.donors(hardware, pipeline)
    models = [fold.model for fold in given.folds]
    rows: list[dict[str, Json]] = []
    for fold in given.folds:
        keys = [fold.test.workloads[g] for g in np.unique(fold.test.groups)]
        for source in models:
            if source == fold.model:
                continue
            theirs = [d for d in donors if source in d.origins and fold.model not in d.origins]
            lost, weight, covered = 0.0, 0.0, 0
            for key in keys:
                seconds = measured[key]
                best = min(seconds.values())
                given_by = [
                    seconds[c.schedule]
                    for c in transfer_candidates(data.workloads[key], theirs)
                    if c.schedule in seconds
                ]
                if given_by and np.isfinite(min(given_by)):
                    covered += 1
                    lost += fold.calls[key] * min(given_by)
                    weight += fold.calls[key] * best
            rows.append(
                {
                    "to": fold.model,
                    "from": source,
                    "kernels": len(keys),
                    "covered": covered,
                    "slower %": 100 * (lost / weight - 1) if weight else float("nan"),
                }
            )
    useful = [row for row in rows if row["covered"] >= row["kernels"] / 2]
    best_row = min(useful or rows, key=lambda row: row["slower %"])
    finding = (
        f"The best single donor of what was measured is {best_row['from']} for {best_row['to']}: its "
        f"schedules leave {best_row['slower %']:.1f} % against the best known, on {best_row['covered']} of "
        f"{best_row['kernels']} kernels."
    )
    plot = Plot("heat", "from", "to", "donor model", "model", value="slower %")
    return Study("transfer", finding, rows, plot)


def study_hardware(given: StudyInput) -> Study:
    """What outcomes of other machines are worth for one: trained on its own, on others', on both."""
    machines = sorted({m.hardware for m in given.data.measurements if m.pipeline == given.pipeline})
    if len(machines) < 2:
        raise UsageError(
            f"the outcomes are all of {machines[0]}; measure elsewhere (recommender calibrate), or take "
            "another store with --store"
        )
    rows: list[dict[str, Json]] = []
    for target in machines:
        for source in ("own", "others", "both"):
            rows.append(_hardware_row(given, target, source, machines))
    gain = next(r for r in rows if r["trained on"] == "both")
    alone = next(r for r in rows if r["trained on"] == "others")
    finding = (
        f"For {gain['hardware']}, regret@1 is {_said(alone, 'regret@1 %')} with outcomes of other machines "
        f"alone and {_said(gain, 'regret@1 %')} with its own besides."
    )
    plot = Plot("bars", "case", "regret@1 %", "", "regret@1, %", low="low %", high="high %")
    return Study("hardware", finding, rows, plot)


def _hardware_row(given: StudyInput, target: str, source: str, machines: list[str]) -> dict[str, Json]:
    """Mean regret@1 over a machine's workloads, each judged by a ranker that never saw them anywhere."""
    wanted = {"own": [target], "others": [m for m in machines if m != target], "both": machines}[source]
    everything = training_set(given.data, [given.data.hardware[m] for m in machines], given.pipeline)
    keys = sorted({k for k, m in zip(everything.workloads, everything.machines, strict=True) if m == target})
    parts = np.array_split(np.random.default_rng(given.seed).permutation(keys), min(4, len(keys)))
    regrets: list[float] = []
    for part in parts:
        train = everything.without(set(part))
        groups = [g for g, m in enumerate(train.machines) if m in wanted]
        train = _usable(train.only(np.isin(train.groups, groups)))
        ranker = _ranker("xgboost", given.seed).fit(train.X, train.y, train.groups)
        for g, (key, machine) in enumerate(zip(everything.workloads, everything.machines, strict=True)):
            mask = everything.groups == g
            if machine == target and key in set(part) and np.isfinite(everything.seconds[mask]).sum() >= 3:
                score = ranker.predict(everything.X[mask])
                regrets.append(min(metrics.regret(score, everything.seconds[mask], 1), 63.0))
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


SUBJECTS: Mapping[str, Callable[[StudyInput], Study]] = {
    "rankers": study_rankers,
    "objectives": study_objectives,
    "features": study_features,
    "data": study_data,
    "k": study_k,
    "transfer": study_transfer,
    "hardware": study_hardware,
}
