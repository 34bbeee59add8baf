"""`recommend --explain`: what put a schedule where it was found; of a prediction, which features did."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recommender.features import FEATURE_NAMES
from recommender.models.boosted import BoostedRanker
from recommender.models.hedging import EVERY, shape_distances
from recommender.ranking import Pool
from recommender.run import Choice
from recommender.vocabulary import Candidate

_SHOWN = 3
_SMALLEST = 0.01
"""Contributions under this are not worth a word, in the units of the ranker's objectives."""


def explain(choice: Choice, ranker: BoostedRanker, pool: Pool) -> tuple[str, ...]:
    """What put the chosen schedule where it was found, of all in the kernel's pool.

    If that was the ranker, two sentences from its TreeSHAP values (Lundberg et al. 2020). The first names the
    features that speak most for the schedule, against the candidate in the middle of the ranking; the second
    those that speak most against the runner-up, compared with it.
    """
    candidates = choice.ranked.candidates
    if choice.chosen not in candidates or len(candidates) < 2:
        return ()
    if reason := _besides_prediction(choice, pool):
        return (f"spoke for it: {reason}",)
    compared = [choice.chosen, _runner_up(choice), candidates[len(candidates) // 2]]
    features = pool.features[[pool.candidates.index(c) for c in compared]]
    chosen, runner_up, middle = ranker.contributions(features)
    first = _phrases(ranker, middle - chosen, features[0])
    second = _phrases(ranker, runner_up - chosen, features[0], features[1])
    return (
        f"spoke for it: {', '.join(first) or 'nothing in particular'}",
        f"held the runner-up back: {', '.join(second) or 'nothing: they were told apart by measuring'}",
    )


def _besides_prediction(choice: Choice, pool: Pool) -> str | None:
    """What else than the ranker chose a schedule or gave it its place; see `rank` and `hedged_places`."""
    row = pool.candidates.index(choice.chosen)
    place = choice.ranked.candidates.index(choice.chosen)
    if choice.tried and choice.chosen.schedule == choice.ranked.fallback.schedule:
        return "it is the fallback, and nothing that was measured beat it"
    if pool.is_best[row]:
        return "it was the fastest when the kernel was measured before"
    if place % EVERY == 1 and np.isfinite(shape_distances(pool.features[[row]])[0]):
        return "its donor is the nearest in shape of those left, and every third place is for that one"
    return None


def _runner_up(choice: Choice) -> Candidate:
    """The second best of what was measured; without measuring, the second of the ranking."""
    tried = sorted((t for t in choice.tried if t.outcome.ok), key=lambda t: t.outcome.median_seconds)
    others: Sequence[Candidate] = [t.candidate for t in tried] or choice.ranked.candidates
    return next((c for c in others if c != choice.chosen), choice.ranked.candidates[-1])


def _phrases(
    ranker: BoostedRanker,
    gain: NDArray[np.float64],
    values: NDArray[np.float32],
    others: NDArray[np.float32] | None = None,
) -> list[str]:
    """The features with the largest gain, in words, each with what it is worth."""
    phrases = []
    for column in np.argsort(-gain)[:_SHOWN]:
        if gain[column] < _SMALLEST:
            break
        group, _, name = FEATURE_NAMES[column].partition(".")
        against = "" if others is None else f" against {others[column]:.3g}"
        worth = ranker.in_words(float(gain[column]))
        phrases.append(f"{group} {name.replace('_', ' ')} {values[column]:.3g}{against} ({worth})")
    return phrases
