"""Tiled reductions: which kernels get them, and that they compute the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import tvm
from onnx import helper

from recommender.candidates import fallback_candidates, transfer_candidates
from recommender.compiler.hardware import target_from_json
from recommender.features.nest import is_tiled
from recommender.session import Machine, PreparedModel, prepare_named
from recommender.vocabulary import Donor, Kernel
from tests.conftest import model_of, weight

pytestmark = pytest.mark.tvm

POOL = helper.make_node("MaxPool", ["c"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
MEAN = helper.make_node("GlobalAveragePool", ["c"], ["y"])
SOFTMAX = helper.make_node("Softmax", ["c"], ["y"], axis=1)
DEPTHWISE = helper.make_node("Conv", ["c", "w"], ["y"], kernel_shape=[3, 3], group=32)


def prepared(node: onnx.NodeProto, folder: Path, machine: Machine) -> PreparedModel:
    """An operator behind a convolution, by which it has its channels last."""
    path = folder / f"{node.op_type}.onnx"
    first = helper.make_node("Conv", ["x", "first"], ["c"], kernel_shape=[1, 1])
    weights = [weight("first", 32, 4, 1, 1), weight("w", 32, 1, 3, 3)]
    onnx.save(model_of([first, node], {"x": [1, 4, 9, 9]}, "y", weights), str(path))
    return prepare_named(str(path), machine)


def of_operator(name: str, model: PreparedModel) -> Kernel:
    return next(k for k in model.kernels if name in k.workload.kernel_class)


@pytest.mark.parametrize(("node", "name"), [(POOL, "pool_max"), (MEAN, "reduce")], ids=["pool", "mean"])
def test_pools_and_means_are_tiled_too_and_compute_the_same(
    node: onnx.NodeProto, name: str, tmp_path: Path, machine: Machine
) -> None:
    model, target = prepared(node, tmp_path, machine), target_from_json(machine.target)
    kernel = of_operator(name, model)
    space, shapes = model.spaces[kernel.workload.key], kernel.workload.argument_shapes
    x = tvm.runtime.tensor(np.random.default_rng(0).standard_normal(shapes[0], dtype=np.float32))

    def computed(module: tvm.ir.IRModule) -> np.ndarray:
        y = tvm.runtime.tensor(np.zeros(shapes[-1], np.float32))
        tvm.compile(module, target=target).jit()["main"](x, y)
        return np.asarray(y.numpy())

    own = fallback_candidates(kernel.workload, machine.hardware)
    tiled = [c for c in own if is_tiled(c.schedule.sketch, kernel.workload)]
    assert is_tiled(own[0].schedule.sketch, kernel.workload)
    assert len({c.schedule.sketch for c in tiled}) == 3  # one for each place of the epilogue
    for schedule in (space.schedule_of(sample.trace) for sample in space.samples):
        assert space.schedule_of(space.replay(schedule).trace) == schedule
    expected = computed(space.module)
    for candidate in tiled[::9]:
        np.testing.assert_allclose(computed(space.replay(candidate.schedule).mod), expected, rtol=1e-5)


def test_what_was_tuned_for_a_mean_fits_a_pool(tmp_path: Path, machine: Machine) -> None:
    mean = of_operator("reduce", prepared(MEAN, tmp_path, machine)).workload
    pool = of_operator("pool_max", prepared(POOL, tmp_path, machine)).workload
    best = fallback_candidates(mean, machine.hardware)[0].schedule
    donor = Donor(best, mean, 1e-3, frozenset({"other"}), frozenset({"other"}))

    candidates = transfer_candidates(pool, [donor], machine.hardware)

    assert candidates
    assert all(is_tiled(c.schedule.sketch, pool) for c in candidates)


@pytest.mark.parametrize("node", [SOFTMAX, DEPTHWISE], ids=["softmax", "depthwise"])
def test_other_kernels_have_the_sketches_of_tvm(
    node: onnx.NodeProto, tmp_path: Path, machine: Machine
) -> None:
    """Softmax reduces the innermost axis; a convolution is tiled by TVM."""
    for space in prepared(node, tmp_path, machine).spaces.values():
        assert len(space.samples) == len(space.context.generate_design_space())
