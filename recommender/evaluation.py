"""`recommender evaluate`: rankers and library judged from stored outcomes, without measuring."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from recommender.ceiling import KernelCeiling, kernel_ceilings
from recommender.datasets.layers import Data
from recommender.models.crossval import (
    AS_SHIPPED,
    KS,
    RANKERS,
    KernelScore,
    gain_over,
    leave_one_model_out,
    leave_one_model_out_as_shipped,
    summarise,
)
from recommender.progress import Reporter
from recommender.vocabulary import Json

NEAREST = "nearest-shape"


@dataclass(frozen=True)
class Evaluation:
    """Ranker scores with novel shapes only and with all kernels, and what the library could give."""

    hardware: str
    pipeline: str
    novel: list[KernelScore]
    everything: list[KernelScore]
    ceilings: list[KernelCeiling]


def evaluate(data: Data, seed: int, reporter: Reporter, *, summary_only: bool = False) -> Evaluation:
    """Compare all rankers on the outcomes of the most measured hardware, leaving out one model at a time.

    With `summary_only` only what `summary_json` speaks of is worked out, in half of the time.

    Raises:
        DataError: there are no outcomes.
    """
    hardware, pipeline = data.most_measured()
    models = len({use.model for use in data.kernels if use.pipeline == pipeline})
    with reporter.steps("evaluating", (2 if summary_only else 3) * models) as steps:
        judge = partial(
            leave_one_model_out,
            data,
            hardware,
            pipeline,
            rankers=(NEAREST,) if summary_only else tuple(RANKERS),
            seed=seed,
            on_model=steps.advance,
        )
        novel = judge(novel_shapes=True)
        novel += leave_one_model_out_as_shipped(data, hardware, pipeline, seed=seed, on_model=steps.advance)
        everything = [] if summary_only else judge(novel_shapes=False)
    ceilings = [] if summary_only else kernel_ceilings(data, hardware, pipeline)
    return Evaluation(hardware.id, pipeline, novel, everything, ceilings)


def summary_json(result: Evaluation) -> Json:
    """The figures that need no hardware, each beside how many models and kernels it covers."""
    if not result.novel:
        return {"ranker_models": 0, "ranker_kernels": 0}
    own = next(s for s in summarise(result.novel) if s.ranker == AS_SHIPPED)
    gains = {k: gain_over(result.novel, AS_SHIPPED, NEAREST, k) for k in (1, 2)}
    at = {k: i for i, k in enumerate(KS)}
    return {
        "hardware": result.hardware,
        "ranker_models": own.models,
        "ranker_kernels": own.kernels,
        "invalid_at_5": own.invalid[at[5]],
        "regret_at_5": own.weighted_regret[at[5]],
        "regret_at_1": own.weighted_regret[at[1]],
        "regret_gain_over_nearest_at_1_ci_low": gains[1][1][0],
        "regret_gain_over_nearest_at_2_ci_low": gains[2][1][0],
    }
