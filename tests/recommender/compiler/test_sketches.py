"""Replay: every candidate of every workload replays on its sketch with the decisions it was given."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import tvm
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper
from tvm.s_tir import Schedule as TirSchedule

from recommender.candidates import fallback_candidates, transfer_candidates
from recommender.compiler.sketches import DesignSpace, ReplayError
from recommender.session import Machine, PreparedModel, prepare_named
from recommender.vocabulary import Donor, SampledLocation, SampledTile, Schedule, Sketch
from tests.conftest import model_of, small_convnet, weight

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
                assert_taken(candidate.schedule, space.schedule_of(replayed.trace))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_transfer_replays(models: list[PreparedModel], machine: Machine, data: st.DataObject) -> None:
    source, target = models if data.draw(st.booleans()) else models[::-1]
    donor_kernel = data.draw(st.sampled_from(source.kernels))
    own = fallback_candidates(donor_kernel.workload, machine.hardware)
    schedule = data.draw(st.sampled_from(own)).schedule
    donor = Donor(schedule, donor_kernel.workload, 1e-3, frozenset({"other"}), frozenset({"other"}))
    kernel = data.draw(st.sampled_from(target.kernels))

    for candidate in transfer_candidates(kernel.workload, [donor], machine.hardware)[:3]:
        space = target.spaces[kernel.workload.key]
        assert_taken(candidate.schedule, space.schedule_of(space.replay(candidate.schedule).trace))


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


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("Softmax", ["x"], ["y"], axis=-1),
        helper.make_node("LayerNormalization", ["x", "scale"], ["y"], axis=-1),
        helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0),
    ],
    ids=["softmax", "layer-norm", "sum"],
)
def test_every_sketch_replays_as_itself(node: onnx.NodeProto, tmp_path: Path, machine: Machine) -> None:
    """Kernels with two reductions have sketches that differ in which of them is factored only."""
    scale = [weight("scale", 64)] if "scale" in node.input else []
    onnx.save(model_of([node], {"x": [4, 16, 64]}, "y", scale), str(tmp_path / "m.onnx"))
    model = prepare_named(str(tmp_path / "m.onnx"), machine)
    spaces = list(model.spaces.values())

    assert max(len(space.sketches) for space in spaces) >= (3 if node.op_type == "ReduceSum" else 9)
    for space, trace in [(each, sample.trace) for each in spaces for sample in each.samples]:
        assert len(set(space.sketches)) == len(space.sketches)
        schedule = space.schedule_of(trace)
        expected = TirSchedule(space.module, seed=1)
        trace.apply_to_schedule(expected, remove_postproc=True)
        expected.enter_postproc()
        assert all(postproc.apply(expected) for postproc in space.context.space_generator.postprocs)
        replayed = space.replay(schedule)
        assert space.schedule_of(replayed.trace) == schedule
        tvm.ir.assert_structural_equal(replayed.mod, expected.mod)
