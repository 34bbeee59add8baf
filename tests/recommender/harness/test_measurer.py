"""Candidates that crash, hang, eat memory or compute wrong numbers: one outcome each, and life goes on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tvm.ir import IRModule
from tvm.script import tirx as T

from recommender.compiler.hardware import target_from_json
from recommender.compiler.sketches import DesignSpace
from recommender.harness.client import (
    CallTimedOut,
    OutOfMemory,
    WorkerClient,
    WorkerCrashed,
    WorkerFailure,
)
from recommender.harness.measurer import Limits, Measurer, Task
from recommender.harness.timing import TimingRule
from recommender.session import Machine
from recommender.vocabulary import Outcome, SampledTile, Schedule, Status

pytestmark = [pytest.mark.tvm, pytest.mark.faults]


@T.prim_func(s_tir=True)
def doubling(a: T.Buffer((1024,), "float32"), b: T.Buffer((1024,), "float32")):  # type: ignore[no-untyped-def]
    T.func_attr({"tirx.noalias": True, "global_symbol": "main"})
    for i in range(1024):
        with T.sblock("double"):
            v = T.axis.spatial(1024, i)
            b[v] = a[v] * T.float32(2)


@T.prim_func(s_tir=True)
def product(  # type: ignore[no-untyped-def]
    a: T.Buffer((128, 128), "float32"), b: T.Buffer((128, 128), "float32"), c: T.Buffer((128, 128), "float32")
):
    T.func_attr({"tirx.noalias": True, "global_symbol": "main"})
    for i, j, k in T.grid(128, 128, 128):
        with T.sblock("product"):
            vi, vj, vk = T.axis.remap("SSR", [i, j, k])
            with T.init():
                c[vi, vj] = T.float32(0)
            c[vi, vj] += a[vi, vk] * b[vk, vj]


@T.prim_func(s_tir=True)
def aborting(a: T.Buffer((8,), "float32"), b: T.Buffer((8,), "float32")):  # type: ignore[no-untyped-def]
    T.func_attr({"tirx.noalias": True, "global_symbol": "main"})
    for i in range(8):
        with T.sblock("abort"):
            v = T.axis.spatial(8, i)
            b[v] = a[v] + T.Cast("float32", T.call_extern("int32", "abort"))


@T.prim_func(s_tir=True)
def sleeping(a: T.Buffer((8,), "float32"), b: T.Buffer((8,), "float32")):  # type: ignore[no-untyped-def]
    T.func_attr({"tirx.noalias": True, "global_symbol": "main"})
    for i in range(8):
        with T.sblock("sleep"):
            v = T.axis.spatial(8, i)
            b[v] = a[v] + T.Cast("float32", T.call_extern("int32", "sleep", 60))


# The naive kernel is the first to ask for a number, and gets 4e-14; whatever runs after it gets more.
@T.prim_func(s_tir=True)
def aborting_later(a: T.Buffer((1,), "float32"), b: T.Buffer((1,), "float32")):  # type: ignore[no-untyped-def]
    T.func_attr({"tirx.noalias": True, "global_symbol": "main"})
    for i in range(1):
        with T.sblock("abort"):
            v = T.axis.spatial(1, i)
            b[v] = a[v] + T.Cast(
                "float32",
                T.if_then_else(
                    T.call_extern("float64", "drand48") > T.float64(1e-6), T.call_extern("int32", "abort"), 0
                ),
            )


@T.prim_func(s_tir=True)
def sleeping_later(a: T.Buffer((1,), "float32"), b: T.Buffer((1,), "float32")):  # type: ignore[no-untyped-def]
    T.func_attr({"tirx.noalias": True, "global_symbol": "main"})
    for i in range(1):
        with T.sblock("sleep"):
            v = T.axis.spatial(1, i)
            b[v] = a[v] + T.Cast(
                "float32",
                T.if_then_else(
                    T.call_extern("float64", "drand48") > T.float64(1e-6),
                    T.call_extern("int32", "sleep", 60),
                    0,
                ),
            )


@T.prim_func(s_tir=True)
def eating_later(a: T.Buffer((1,), "float32"), b: T.Buffer((1,), "float32")):  # type: ignore[no-untyped-def]
    T.func_attr({"tirx.noalias": True, "global_symbol": "main"})
    for i in range(1):
        with T.sblock("eat"):
            v = T.axis.spatial(1, i)
            b[v] = a[v] + T.Cast(
                "float32",
                T.if_then_else(
                    T.call_extern("float64", "drand48") > T.float64(1e-6),
                    T.call_extern(
                        "int32",
                        "memset",
                        T.call_extern("handle", "malloc", T.int64(1 << 35)),
                        1,
                        T.int64(1 << 35),
                    ),
                    0,
                ),
            )


@T.prim_func(s_tir=True)
def random(a: T.Buffer((8,), "float32"), b: T.Buffer((8,), "float32")):  # type: ignore[no-untyped-def]
    T.func_attr({"tirx.noalias": True, "global_symbol": "main"})
    for i in range(8):
        with T.sblock("random"):
            v = T.axis.spatial(8, i)
            b[v] = a[v] + T.Cast("float32", T.call_extern("int32", "rand"))


@T.prim_func(s_tir=True)
def huge(a: T.Buffer((1 << 30,), "float32"), b: T.Buffer((1 << 30,), "float32")):  # type: ignore[no-untyped-def]
    T.func_attr({"tirx.noalias": True, "global_symbol": "main"})
    for i in range(1 << 30):
        with T.sblock("copy"):
            v = T.axis.spatial(1 << 30, i)
            b[v] = a[v]


def case(function: object, machine: Machine) -> tuple[Task, Schedule]:
    """A kernel and the first schedule of its design space."""
    module = IRModule({"main": function})
    space = DesignSpace.of(module, target_from_json(machine.target))
    sketch = space.sketches[0]
    decisions = tuple(
        (s.extent, *(1,) * (s.parts - 1)) if isinstance(s, SampledTile) else 0 for s in sketch.samples
    )
    return Task(str(function), space.to_json()), Schedule(sketch, decisions)


@pytest.fixture
def measurer(machine: Machine) -> Iterator[Measurer]:
    with Measurer(machine.target, machine.threads, Limits(load_seconds=20)) as opened:
        yield opened


def test_a_good_candidate_is_timed(machine: Machine, measurer: Measurer) -> None:
    outcome = measurer.measure(*case(doubling, machine))

    assert outcome.ok
    assert len(outcome.seconds) == TimingRule().repeats
    assert 0 < outcome.median_seconds < 1e-2


@pytest.mark.parametrize(
    ("function", "status", "reason"),
    [(aborting_later, Status.CRASHED, "SIGABRT"), (random, Status.WRONG_OUTPUT, "argument 1")],
    ids=["abort", "wrong-output"],
)
def test_a_bad_candidate_is_one_failed_outcome(
    function: object, status: Status, reason: str, machine: Machine, measurer: Measurer
) -> None:
    bad = measurer.measure(*case(function, machine))
    start = time.monotonic()
    measurer.unload(case(function, machine)[0])  # of a worker that may be gone
    good = measurer.measure(*case(doubling, machine))

    assert bad.status is status
    assert reason in str(bad.reason)
    assert good.ok
    assert time.monotonic() - start < 20


def test_a_hanging_candidate_is_cut_off(machine: Machine) -> None:
    with Measurer(machine.target, machine.threads, Limits(build_seconds=2)) as measurer:
        start = time.monotonic()
        outcome = measurer.measure(*case(sleeping_later, machine))
        assert outcome.status is Status.TIMED_OUT
        assert time.monotonic() - start < 10


@pytest.mark.parametrize(("kernel", "failure"), [(aborting, WorkerCrashed), (sleeping, CallTimedOut)])
def test_no_candidate_is_blamed_for_a_kernel_that_cannot_be_run(
    kernel: object, failure: type[WorkerFailure], machine: Machine
) -> None:
    task, schedule = case(kernel, machine)
    with Measurer(machine.target, machine.threads, Limits(load_seconds=2)) as measurer:
        for measure in (
            lambda: measurer.measure(task, schedule),
            lambda: measurer.measure_all(task, [schedule], TimingRule()),
        ):
            with pytest.raises(failure):
                measure()
        assert measurer.measure(*case(doubling, machine)).ok


def test_a_candidate_that_is_compiled_for_too_long_is_cut_off(machine: Machine) -> None:
    """No build is done within a millisecond: to whoever waits, the compiler hangs."""
    task, schedule = case(product, machine)
    with Measurer(machine.target, machine.threads, Limits(build_seconds=0.001)) as measurer:
        measurer.load(task)
        start = time.monotonic()

        outcome = measurer.measure(task, schedule)

        assert outcome.status is Status.TIMED_OUT
        assert time.monotonic() - start < 5
        measurer.load(task)  # by a new worker
        assert measurer._client.generation == 2


def test_memory_is_bounded(machine: Machine) -> None:
    client = WorkerClient(machine.threads, memory_bytes=2 << 30)
    with Measurer(machine.target, machine.threads, client=client) as measurer:
        with pytest.raises(OutOfMemory):
            measurer.measure(*case(huge, machine))
        assert not measurer.measure(*case(eating_later, machine)).ok  # 32 GiB, which it does not get
        assert measurer.measure(*case(doubling, machine)).ok


def test_a_search_goes_on_after_its_worker_died(machine: Machine, measurer: Measurer) -> None:
    task, _ = case(product, machine)
    reported: list[tuple[Schedule, Outcome]] = []
    client = measurer._client

    def report(schedule: Schedule, outcome: Outcome) -> None:
        reported.append((schedule, outcome))
        if len(reported) == 1:
            assert client._process is not None
            os.kill(client._process.pid, signal.SIGKILL)

    measurer.search(task, trials=48, seed=0, report=report)

    assert client.generation == 2
    # All of the first batch of 16 may be measured before the signal arrives. What the second worker proposes
    # of it again costs a trial, and is not reported twice.
    assert 16 < len(reported) <= 48
    assert len({schedule for schedule, _ in reported}) == len(reported)
    assert sum(not outcome.ok for _, outcome in reported) <= 1


def test_a_search_that_is_given_up_ends_at_once_and_answers_no_later_call(
    machine: Machine, measurer: Measurer
) -> None:
    task, _ = case(product, machine)

    def interrupt(schedule: Schedule, outcome: Outcome) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measurer.search(task, trials=1000, seed=0, report=interrupt)

    start = time.monotonic()
    measurer.unload(task)
    assert time.monotonic() - start < 1
    assert measurer.measure(*case(doubling, machine)).ok


def test_all_are_timed_in_turns_and_stay_built(machine: Machine, measurer: Measurer) -> None:
    task, schedule = case(product, machine)
    rule = TimingRule(repeats=7)

    a, b = measurer.measure_all(task, [schedule, schedule], rule)
    generation = measurer._client.generation

    assert measurer.measure_all(task, [], rule) == []
    assert len(a.seconds) == len(b.seconds) == 7
    assert a.median_seconds == pytest.approx(b.median_seconds, rel=0.5)
    assert measurer.measure(task, schedule).ok
    assert measurer._client.generation == generation == 1


@pytest.mark.parametrize("threads", [1, 2])
def test_a_worker_runs_kernels_with_the_threads_that_it_is_given(threads: int, machine: Machine) -> None:
    with Measurer(machine.target, threads) as measurer:
        assert measurer._client._process is not None
        tasks = Path(f"/proc/{measurer._client._process.pid}/task")
        task, schedule = case(product, machine)
        measurer.load(task)  # the naive kernel is serial
        before = len(list(tasks.iterdir()))

        assert measurer.measure(task, schedule).ok

        assert len(list(tasks.iterdir())) - before == threads - 1


def test_what_kills_the_worker_fails_and_the_next_run(machine: Machine, measurer: Measurer) -> None:
    task, good = case(doubling, machine)
    bad_task, bad = case(aborting_later, machine)

    (outcome,) = measurer.measure_all(bad_task, [bad], TimingRule())

    assert outcome.status is Status.CRASHED
    assert [o.ok for o in measurer.measure_all(task, [good, good], TimingRule())] == [True, True]


def test_a_slow_call_has_fewer_samples_and_a_loser_one() -> None:
    rule = TimingRule(repeats=15, repeat_seconds=0.004, loser_seconds=9.0, loser_ratio=3.0)

    assert (rule.calls(3e-6), rule.samples(3e-6, 3e-6)) == (1334, 15)
    assert (rule.calls(0.017), rule.samples(0.017, 0.017)) == (1, 5)
    assert rule.samples(0.017, 0.001) == 1
    assert rule.samples(10.0, 10.0) == 1


def test_a_worker_dies_with_its_client(machine: Machine) -> None:
    client = WorkerClient(machine.threads)
    client.start()
    assert client._process is not None
    pid = client._process.pid

    client.kill()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_after_a_crash_a_worker_is_there_in_two_seconds(machine: Machine, measurer: Measurer) -> None:
    assert measurer.measure(*case(aborting_later, machine)).status is Status.CRASHED
    start = time.monotonic()
    measurer.load(case(doubling, machine)[0])
    assert time.monotonic() - start < 2


def test_without_the_process_that_workers_are_forked_from_there_is_another(
    machine: Machine, measurer: Measurer
) -> None:
    good = case(doubling, machine)
    assert measurer.measure(*good).ok

    os.kill(fork_server(), signal.SIGKILL)

    assert measurer.measure(*good).ok


def fork_server() -> int:
    """The process id of this process's fork server."""
    for folder in Path("/proc").glob("[0-9]*"):
        is_ours = f"PPid:\t{os.getpid()}\n" in (folder / "status").read_text()
        if is_ours and "forkserver" in (folder / "cmdline").read_text():
            return int(folder.name)
    raise AssertionError("there is none")
