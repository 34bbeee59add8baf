"""Kernels on packed weights compute what the model computes, and are what is measured."""

from pathlib import Path

import numpy as np
import pytest
import tvm

from recommender.candidates import fallback_candidates
from recommender.compiler.packing import split_packing
from recommender.compiler.workloads import argument_buffers, written_arguments
from recommender.harness.bench import make_arguments
from recommender.session import Machine, PreparedModel, prepare_named


@pytest.fixture
def convnet(convnet_path: Path, machine: Machine) -> PreparedModel:
    return prepare_named(str(convnet_path), machine)


def test_a_packed_kernel_computes_what_the_kernel_computes(convnet: PreparedModel, machine: Machine) -> None:
    packed_kernels = 0
    for kernel in convnet.kernels:
        space = convnet.spaces[kernel.workload.key]
        outputs = written_arguments(space.module)
        arguments = make_arguments(argument_buffers(space.module))
        expected = [tvm.runtime.tensor(a) for a in arguments]
        tvm.tirx.build(space.module, target=space.context.target)["main"](*expected)
        for candidate in fallback_candidates(kernel.workload, machine.hardware)[:4]:
            packed = split_packing(space.replay(candidate.schedule).mod, outputs)
            code = tvm.tirx.build(packed.module, target=space.context.target)
            actual = [tvm.runtime.tensor(a) for a in arguments]
            plain = [actual[i] for i in packed.positions]
            weights = [tvm.runtime.empty(shape, "float32") for shape in packed.shapes]
            if packed.positions:
                packed_kernels += 1
                code["pack"](*plain, *weights)
            for i, value in zip(packed.positions, weights, strict=True):
                actual[i] = value
            code["main"](*actual)
            for i in outputs:
                np.testing.assert_allclose(actual[i].numpy(), expected[i].numpy(), rtol=1e-4, atol=1e-5)
    assert packed_kernels >= 8  # two convolutions and a dense layer have weights


def test_weights_are_the_constants_and_never_the_activations(convnet: PreparedModel) -> None:
    for kernel in convnet.kernels:
        module = convnet.spaces[kernel.workload.key].module
        weights = [int(i) for i in module["main"].attrs.get("layout_free_buffers") or ()]
        assert 0 not in weights
        assert not set(weights) & set(written_arguments(module))
        assert bool(weights) == ("conv2d" in kernel.name or "matmul" in kernel.name)


def test_what_may_be_packed_is_part_of_a_kernels_identity(convnet: PreparedModel) -> None:
    from recommender.compiler.workloads import canonical_text

    kernel = next(k for k in convnet.kernels if "conv2d" in k.name)
    module = convnet.spaces[kernel.workload.key].module
    bare = tvm.ir.IRModule({"main": module["main"].without_attr("layout_free_buffers")})
    assert canonical_text(bare) != canonical_text(module)
