"""What a worker does with a candidate: checks it on guarded memory, and times it with cold weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import tvm
from tvm.ir import IRModule
from tvm.s_tir import Schedule as TirSchedule
from tvm.script import tirx as T

from recommender.candidates import fallback_candidates
from recommender.harness.bench import Bench, Built
from recommender.harness.guarded import Guarded
from recommender.harness.weights import COLD_WEIGHT_BYTES, PassingWeights
from recommender.session import Machine, prepare_named
from recommender.vocabulary import Outcome, Status
from tests.conftest import small_convnet

pytestmark = pytest.mark.tvm


@T.prim_func(s_tir=True)
def copying(a: T.Buffer((16,), "float32"), b: T.Buffer((16,), "float32")):  # type: ignore[no-untyped-def]
    T.func_attr({"tirx.noalias": True, "global_symbol": "main"})
    for i in range(16):
        with T.sblock("copy"):
            v = T.axis.spatial(16, i)
            b[v] = a[v]


@T.prim_func(s_tir=True)
def overrunning(a: T.Buffer((16,), "float32"), b: T.Buffer((16,), "float32")):  # type: ignore[no-untyped-def]
    T.func_attr({"tirx.noalias": True, "global_symbol": "main"})
    for i in range(20):
        with T.sblock("copy"):
            v = T.axis.spatial(20, i)
            b[v] = a[v % 16]


@T.prim_func(s_tir=True)
def spoiling(a: T.Buffer((16,), "float32"), b: T.Buffer((16,), "float32")):  # type: ignore[no-untyped-def]
    T.func_attr({"tirx.noalias": True, "global_symbol": "main"})
    for i in range(16):
        with T.sblock("copy"):
            v = T.axis.spatial(16, i)
            b[v] = a[v]
            a[v] = T.float32(0)


@T.prim_func(s_tir=True)
def comparing(a: T.Buffer((16,), "float32"), b: T.Buffer((16,), "bool")):  # type: ignore[no-untyped-def]
    T.func_attr({"tirx.noalias": True, "global_symbol": "main"})
    for i in range(16):
        with T.sblock("compare"):
            v = T.axis.spatial(16, i)
            b[v] = a[v] < T.float32(1000)


@T.prim_func(s_tir=True)
def comparing_half(a: T.Buffer((16,), "float32"), b: T.Buffer((16,), "bool")):  # type: ignore[no-untyped-def]
    T.func_attr({"tirx.noalias": True, "global_symbol": "main"})
    for i in range(8):
        with T.sblock("compare"):
            v = T.axis.spatial(8, i)
            b[v] = a[v] < T.float32(1000)


@T.prim_func(s_tir=True)
def rooting(a: T.Buffer((16,), "float32"), b: T.Buffer((16,), "float32")):  # type: ignore[no-untyped-def]
    T.func_attr({"tirx.noalias": True, "global_symbol": "main"})
    for i in range(16):
        with T.sblock("square_root"):
            v = T.axis.spatial(16, i)
            b[v] = T.sqrt(a[v])


@T.prim_func(s_tir=True)
def rooting_half(a: T.Buffer((16,), "float32"), b: T.Buffer((16,), "float32")):  # type: ignore[no-untyped-def]
    T.func_attr({"tirx.noalias": True, "global_symbol": "main"})
    for i in range(16):
        with T.sblock("square_root"):
            v = T.axis.spatial(16, i)
            if a[v] >= T.float32(0):
                b[v] = T.sqrt(a[v])


@pytest.fixture
def bench(machine: Machine) -> Iterator[Bench]:
    bench = Bench(machine.target)
    bench.load("copy", tvm.ir.save_json(IRModule({"main": copying})))
    yield bench
    bench.unload("copy")


@pytest.mark.faults
def test_a_candidate_that_writes_to_its_inputs_is_found_and_spoils_no_other(bench: Bench) -> None:
    wrong, right = (TirSchedule(IRModule({"main": f})) for f in (spoiling, copying))
    bad, good = bench.compile_all("copy", [wrong, right], 1)

    failure = bench.admit(bad)

    assert isinstance(failure, Outcome)
    assert failure.status is Status.WRONG_OUTPUT
    assert failure.reason == "argument 0: an input, and written to"
    assert isinstance(bench.admit(good), int)


@pytest.mark.faults
@pytest.mark.parametrize(
    ("whole", "part"),
    [(comparing, comparing_half), (rooting, rooting_half)],
    ids=["all-true", "not-a-number"],
)
def test_what_is_never_written_is_found_whatever_is_right_there(
    whole: object, part: object, bench: Bench
) -> None:
    bench.load("whole", tvm.ir.save_json(IRModule({"main": whole})))
    right, wrong = (TirSchedule(IRModule({"main": f})) for f in (whole, part))
    good, bad = bench.compile_all("whole", [right, wrong], 1)

    assert isinstance(bench.admit(good), int)
    failure = bench.admit(bad)

    assert isinstance(failure, Outcome)
    assert failure.status is Status.WRONG_OUTPUT


@pytest.mark.faults
def test_a_write_past_the_end_is_found_though_every_output_is_right(bench: Bench) -> None:
    right, wrong = (TirSchedule(IRModule({"main": f})) for f in (copying, overrunning))
    good, bad = bench.compile_all("copy", [right, wrong], 1)

    assert isinstance(bench.admit(good), int)
    failure = bench.admit(bad)

    assert isinstance(failure, Outcome)
    assert failure.status is Status.WRONG_OUTPUT
    assert failure.reason == "argument 1: written outside of its bounds"


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int8", "bool"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 5, 7)])
def test_guarded_memory_is_a_tensor_like_any_other(dtype: str, shape: tuple[int, ...]) -> None:
    values = np.ones(shape, dtype)
    guarded = Guarded(values)

    assert guarded.is_intact
    assert guarded.tensor.dtype == dtype
    assert np.array_equal(guarded.tensor.numpy(), values)


def test_no_weights_are_read_twice_before_as_many_others_as_there_are(machine: Machine) -> None:
    tensors = [tvm.runtime.tensor(np.zeros(shape, np.float32)) for shape in [(8,), (1024, 1024), (32,)]]

    lists = PassingWeights().arguments(tensors, (1, 2))

    for number, list_ in enumerate(lists):  # each has memory of its own, and none another's
        list_[1].copyfrom(np.full((1024, 1024), number, np.float32))
        list_[2].copyfrom(np.full(32, -number, np.float32))
    assert len(lists) == COLD_WEIGHT_BYTES // (4 * (1024 * 1024 + 32))
    assert [(t[1].numpy().mean(), t[2].numpy().mean()) for t in lists] == [(n, -n) for n in range(len(lists))]
    assert all(list_[0].same_as(tensors[0]) for list_ in lists)
    assert all([tuple(t.shape) for t in list_] == [(8,), (1024, 1024), (32,)] for list_ in lists)


def test_without_weights_or_with_huge_ones_a_kernel_keeps_its_arguments(machine: Machine) -> None:
    activations = [tvm.runtime.tensor(np.zeros(16, np.float32))]
    huge = [tvm.runtime.tensor(np.zeros((3, COLD_WEIGHT_BYTES // 16), np.float32))]

    assert PassingWeights().arguments(activations, ()) == [activations]
    assert PassingWeights().arguments(huge, (0,)) == [huge]


def test_gaps_in_packed_weights_are_no_sign_of_a_kernel_that_writes_to_them(
    tmp_path: Path, machine: Machine, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "wide.onnx"
    onnx.save(small_convnet(channels=96), path)  # a bias in vectors of 64 takes two of them
    model = prepare_named(str(path), machine)
    monkeypatch.setattr(
        tvm.runtime, "empty", lambda shape, dtype: tvm.runtime.tensor(np.full(shape, np.nan, dtype))
    )
    with_gaps = 0
    for kernel in model.kernels:
        task = model.task(kernel)
        bench.load(task.key, task.module_json)
        for candidate in fallback_candidates(kernel.workload, machine.hardware)[::5]:
            (built,) = bench.compile_all(task.key, [bench.space(task.key).replay(candidate.schedule)], 1)
            assert isinstance(built, Built)
            shapes = [kernel.workload.argument_shapes[i] for i in built.packed.positions]
            with_gaps += any(
                math.prod(to) > math.prod(of) for to, of in zip(built.packed.shapes, shapes, strict=True)
            )
            assert isinstance(bench.admit(built), int)
    assert with_gaps
