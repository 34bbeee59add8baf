"""How rankers are trained in studies: with one thread each."""

from __future__ import annotations

from typing import Any

from recommender.models.crossval import RANKERS


def ranker_of(name: str, seed: int) -> Any:
    """A ranker that trains with one thread, so that figures do not depend on the number of jobs."""
    ranker = RANKERS[name](seed)
    # A hedged ranker has those of the ranker inside it.
    threads = [name for name in ranker.get_params() if name.rpartition("__")[2] == "threads"]
    return ranker.set_params(**dict.fromkeys(threads, 1))
