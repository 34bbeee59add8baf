"""`recommender evaluate`: the ranking tables, made again from stored outcomes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from recommender.datasets.layers import Data
from recommender.models.crossval import (
    KS,
    KernelScore,
    RankerSummary,
    gain_over,
    leave_one_model_out,
    summarise,
)
from recommender.progress import Reporter
from recommender.vocabulary import Json

OWN, NEAREST = "xgboost", "nearest-shape"


@dataclass(frozen=True)
class Evaluation:
    """Scores with all kernels, and with those only whose shapes occur in no other model."""

    hardware: str
    novel: list[KernelScore]
    everything: list[KernelScore]


def evaluate(data: Data, seed: int, reporter: Reporter) -> Evaluation:
    """Compare all rankers on the outcomes of the most measured hardware, leaving out one model at a time.

    Raises:
        DataError: there are no outcomes.
    """
    hardware = data.most_measured()
    pipeline = Counter(m.pipeline for m in data.measurements).most_common(1)[0][0]
    models = len({use.model for use in data.kernels})
    with reporter.steps("evaluating", 2 * models) as steps:
        novel, everything = (
            leave_one_model_out(
                data,
                hardware,
                pipeline,
                novel_shapes=novel_shapes,
                seed=seed,
                on_model=steps.advance,
            )
            for novel_shapes in (True, False)
        )
    return Evaluation(hardware.id, novel, everything)


def summary_json(result: Evaluation) -> Json:
    """The headline figures, each beside how many models and kernels it covers."""
    if not result.novel:
        return {"models": 0, "kernels": 0}
    own = next(s for s in summarise(result.novel) if s.ranker == OWN)
    gains = {k: gain_over(result.novel, OWN, NEAREST, k) for k in (1, 2)}
    at = {k: i for i, k in enumerate(KS)}
    return {
        "hardware": result.hardware,
        "models": own.models,
        "kernels": own.kernels,
        "invalid_at_5": own.invalid[at[5]],
        "regret_at_5": own.weighted_regret[at[5]],
        "regret_at_1": own.weighted_regret[at[1]],
        "regret_gain_over_nearest_at_1_ci_low": gains[1][1][0],
        "regret_gain_over_nearest_at_2_ci_low": gains[2][1][0],
    }


def markdown(result: Evaluation) -> str:
    """Both tables as a page."""
    parts = [f"Leave one model out, {result.hardware}. Regret: time-weighted / median over kernels.\n"]
    for title, scores in (("Novel shapes only", result.novel), ("All kernels", result.everything)):
        summaries = summarise(scores)
        if summaries:
            head = f"## {title}: {summaries[0].kernels} kernels of {summaries[0].models} models\n"
            parts.append(head + "\n" + _table(summaries))
    return "\n".join(parts)


def _table(summaries: Sequence[RankerSummary]) -> str:
    lines = [
        "| ranker | "
        + " | ".join(f"regret@{k} %" for k in KS)
        + " | 95 % interval @1 | invalid@5 % | NDCG@10 |",
        "|---" * (len(KS) + 4) + "|",
    ]
    for s in summaries:
        cells = [
            f"{100 * w:.1f} / {100 * m:.1f}" for w, m in zip(s.weighted_regret, s.median_regret, strict=True)
        ]
        low, high = s.weighted_interval[0]
        lines.append(
            f"| {s.ranker} | {' | '.join(cells)} | {100 * low:.1f} to {100 * high:.1f} "
            f"| {100 * s.invalid[KS.index(5)]:.1f} | {s.ndcg:.3f} |"
        )
    return "\n".join(lines) + "\n"


def write(result: Evaluation, folder: Path) -> None:
    """Write `rankers.json`, `rankers.md` and the part of `summary.json` that needs no hardware."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {"novel": [asdict(s) for s in result.novel], "all": [asdict(s) for s in result.everything]}
    (folder / "rankers.json").write_text(json.dumps(rows) + "\n")
    (folder / "rankers.md").write_text(markdown(result))
    path = folder / "summary.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**known, **summary_json(result)}, indent=1) + "\n")
