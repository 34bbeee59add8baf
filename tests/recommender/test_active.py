"""A ranker that leaves models out is trained once for what it learns from, and again when that changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from recommender.active import ranker_without
from recommender.datasets.layers import Data, load_data
from recommender.models import registry
from recommender.models.artefact import load_ranker
from recommender.models.training import train_ranker
from recommender.progress import Reporter
from recommender.session import Machine
from recommender.vocabulary import Outcome


class Listener(Reporter):
    """Counts what was said."""

    def __init__(self) -> None:
        super().__init__(0)
        self.count = 0

    def say(self, text: str, level: int = 1) -> None:
        self.count += 1


def test_it_is_trained_again_only_when_what_it_learns_from_changes(
    shipped_of_two_models: Data, machine: Machine
) -> None:
    data = shipped_of_two_models
    hardware, pipeline = data.most_measured()
    there = replace(machine, hardware=hardware, pipeline=pipeline)
    listener = Listener()

    def trained(known: Data, seed: int = 0) -> int:
        ranker_without(["resnet18"], known, there, seed, listener)
        return listener.count

    learned_from = next(m for m in data.measurements if data.lineage.allowed(m, ["resnet18"]))
    left_out = next(m for m in data.measurements if not data.lineage.allowed(m, ["resnet18"]))
    assert trained(data) == 1
    assert trained(data) == 1
    assert trained(data.only(lambda m: m is not left_out)) == 1
    slower = replace(learned_from, outcome=Outcome.of_times([2 * learned_from.outcome.median_seconds]))
    corrected = tuple(slower if m is learned_from else m for m in data.measurements)
    assert trained(replace(data, measurements=corrected)) == 2
    assert trained(data, seed=1) == 3


def test_a_ranker_that_never_saw_a_model_need_not_be_trained_without_it(
    library: Path, machine: Machine
) -> None:
    """The active one is used if it never saw the model, else the shipped one; nothing is trained."""
    data, listener = load_data(library), Listener()
    name = registry.keep_ranker(*train_ranker(data, machine.hardware, machine.pipeline))
    registry.use_ranker(name)

    def content(stem: Path) -> bytes:
        return bytes(load_ranker(stem)[0].booster_.save_raw())

    def chosen(*models: str) -> bytes:
        return bytes(ranker_without(models, data, machine, 0, listener).booster_.save_raw())

    own, shipped = content(registry.ranker_stem(name)), content(registry.ranker_stem(registry.SHIPPED_NAME))
    assert own != shipped
    assert chosen() == own
    assert chosen("resnet18") == own
    assert chosen("donor") == shipped
    assert chosen("a model that nobody knows") == own
    assert listener.count == 0
