"""Ranking a kernel's candidates, with what a run may know. No TVM, no measuring.

A kernel that was measured before is not a matter of prediction: the best of what was measured comes first,
what lost clearly is not tried again, and the rest of the places go to what is new, by a hedged ranking.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.candidates import fallback_candidates, transfer_candidates
from recommender.features import encode
from recommender.knowledge import Knowledge, Library
from recommender.models.boosted import BoostedRanker
from recommender.models.contract import Matrix
from recommender.models.hedging import hedged_places, shape_distances
from recommender.run import Ranked
from recommender.session import Machine
from recommender.vocabulary import Candidate, Kernel, Outcome

LOST = 1.1
"""A schedule that took so many times as long as the kernel's best is not measured again."""


@dataclass(frozen=True)
class Pool:
    """A kernel's candidates with their features, before they are ranked.

    `is_best` marks the fastest of those that were measured before.
    """

    kernel: Kernel
    fallback: Candidate
    candidates: Sequence[Candidate]
    features: Matrix
    is_best: NDArray[np.bool_]


def rank_kernel(kernel: Kernel, knowledge: Knowledge, machine: Machine) -> Ranked:
    """Candidates of one kernel from all donors and from its own design space, in the order to be measured."""
    return rank(candidate_pool(kernel, knowledge, machine), knowledge.ranker)


def candidate_pool(kernel: Kernel, library: Library, machine: Machine) -> Pool:
    """What could be measured of a kernel: all but what has lost already."""
    workload = kernel.workload
    fallbacks = fallback_candidates(workload, machine.hardware)
    known = library.measured.get(workload.key, {})
    best = min((outcome.median_seconds for outcome in known.values() if outcome.ok), default=math.inf)
    transfers = transfer_candidates(workload, library.donors, machine.hardware)
    every = _distinct(transfers + fallbacks)
    lost = {schedule for schedule, outcome in known.items() if _has_lost(outcome, best)}
    candidates = [c for c in every if c.schedule not in lost] or fallbacks[:1]
    is_best = np.array([best < math.inf and _seconds(known.get(c.schedule)) == best for c in candidates])
    return Pool(kernel, fallbacks[0], candidates, encode(workload, candidates, machine.hardware), is_best)


def rank(pool: Pool, ranker: BoostedRanker) -> Ranked:
    """The candidates in the order to be measured: the best known first, then by hedged prediction."""
    scores = ranker.predict(pool.features)
    places = hedged_places(np.where(pool.is_best, -np.inf, scores), shape_distances(pool.features))
    order = np.argsort(places)
    return Ranked(
        pool.kernel,
        pool.fallback,
        tuple(pool.candidates[i] for i in order),
        tuple(float(scores[i]) for i in order),
    )


def _seconds(outcome: Outcome | None) -> float:
    return outcome.median_seconds if outcome else math.inf


def _has_lost(outcome: Outcome, best_seconds: float) -> bool:
    """Whether a schedule need not be measured again: it fails for good, or is slower on a quiet machine."""
    if not outcome.ok:
        return not outcome.is_transient
    return outcome.median_seconds > LOST * best_seconds and not outcome.is_unsure


def _distinct(candidates: list[Candidate]) -> list[Candidate]:
    seen = {(c.schedule.sketch, c.schedule.decisions): c for c in reversed(candidates)}
    return list(reversed(seen.values()))
