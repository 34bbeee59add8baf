"""Replay: every candidate of every workload replays on its sketch with the decisions it was given."""

from __future__ import annotations

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recommender.candidates import fallback_candidates, transfer_candidates
from recommender.compiler.sketches import DesignSpace, ReplayError, schedule_of
from recommender.session import Machine, PreparedModel, prepare_named
from recommender.vocabulary import Donor, SampledLocation, SampledTile, Schedule, Sketch
from tests.conftest import small_convnet

pytestmark = pytest.mark.tvm


@pytest.fixture(scope="module")
def models(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> list[PreparedModel]:
    folder = tmp_path_factory.mktemp("models")
    prepared = []
    for name, channels, size in (("a", 16, 8), ("b", 24, 7)):
        onnx.save(small_convnet(channels, size), str(folder / f"{name}.onnx"))
        prepared.append(prepare_named(str(folder / f"{name}.onnx"), machine))
    return prepared


def assert_taken(given: Schedule, replayed: Schedule) -> None:
    """Tiles and choices were taken as given; TVM moves a location that does not exist to one that does."""
    assert replayed.sketch == given.sketch
    for sample, wanted, taken in zip(given.sketch.samples, given.decisions, replayed.decisions, strict=True):
        assert isinstance(sample, SampledLocation) or taken == wanted


def test_every_fallback_of_every_workload_replays(models: list[PreparedModel], machine: Machine) -> None:
    for model in models:
        for kernel in model.kernels:
            space = model.spaces[kernel.workload.key]
            for candidate in fallback_candidates(kernel.workload, machine.hardware)[::7]:
                replayed = space.replay(candidate.schedule)
                assert_taken(candidate.schedule, schedule_of(replayed.trace))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_transfer_replays(models: list[PreparedModel], machine: Machine, data: st.DataObject) -> None:
    source, target = models if data.draw(st.booleans()) else models[::-1]
    donor_kernel = data.draw(st.sampled_from(source.kernels))
    own = fallback_candidates(donor_kernel.workload, machine.hardware)
    schedule = data.draw(st.sampled_from(own)).schedule
    donor = Donor(schedule, donor_kernel.workload, 1e-3, frozenset({"other"}))
    kernel = data.draw(st.sampled_from(target.kernels))

    for candidate in transfer_candidates(kernel.workload, [donor])[:3]:
        replayed = target.spaces[kernel.workload.key].replay(candidate.schedule)
        assert_taken(candidate.schedule, schedule_of(replayed.trace))


def test_decisions_for_another_extent_are_refused(models: list[PreparedModel], machine: Machine) -> None:
    a, b = models
    kernel = next(
        k for k in b.kernels if any(isinstance(s, SampledTile) for s in k.workload.sketches[0].samples)
    )
    schedule = fallback_candidates(kernel.workload, machine.hardware)[0].schedule
    other = next(k for k in a.kernels if k.name == kernel.name)

    with pytest.raises(ReplayError, match="no sketch"):
        a.spaces[other.workload.key].replay(schedule)


def test_an_unknown_sketch_is_refused(models: list[PreparedModel]) -> None:
    space: DesignSpace = next(iter(models[0].spaces.values()))

    with pytest.raises(ReplayError, match="no sketch"):
        space.replay(Schedule(Sketch((SampledTile(3, 3, 3),)), ((3, 1, 1),)))
