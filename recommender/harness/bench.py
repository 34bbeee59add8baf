"""What a worker does with one workload: reference, build, check, time. Runs inside the worker only."""

from __future__ import annotations

import gc
import itertools
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm.ir import IRModule
from tvm.s_tir import Schedule as TirSchedule
from tvm.target import Target

from recommender.compiler.packing import Packed, split_packing
from recommender.compiler.sketches import DesignSpace, ReplayError
from recommender.compiler.workloads import (
    argument_buffers,
    calls_outside,
    describe_workload,
    weight_arguments,
    written_arguments,
)
from recommender.errors import OUR_MISTAKES, is_out_of_memory
from recommender.harness.guarded import Guarded
from recommender.harness.outputs import TOLERANCE, difference
from recommender.harness.timing import TimingRule
from recommender.harness.weights import PassingWeights
from recommender.vocabulary import Json, Outcome, Schedule, Status, Workload

Timer: TypeAlias = Callable[[int, int], list[float]]
"""Calls in a sample and samples wanted, to seconds of one call in each."""


@dataclass
class _Loaded:
    """A workload with its arguments and what the unscheduled kernel computes from them.

    All candidates are run on the same `tensors`: weights can have hundreds of megabytes, and copying and
    comparing them would take longer than the candidate. One that writes to its inputs spoils them for the
    others, so they are compared with `arguments` after each check, and made anew if need be.
    """

    space: DesignSpace
    arguments: list[NDArray[np.generic]]
    outputs: dict[int, NDArray[np.generic]]
    weights: tuple[int, ...]
    tensors: list[tvm.runtime.Tensor]

    def spoilt_inputs(self) -> list[int]:
        """Inputs that were written to; they are as they were again."""
        spoilt = [
            i
            for i, argument in enumerate(self.arguments)
            if i not in self.outputs and not np.array_equal(np.from_dlpack(self.tensors[i]), argument)
        ]
        for i in spoilt:
            self.tensors[i] = tvm.runtime.tensor(self.arguments[i])
        return spoilt


@dataclass(frozen=True)
class Built:
    """A schedule as machine code, of the workload `key`."""

    key: str
    code: tvm.runtime.Module
    packed: Packed

    def with_packed_weights(self, arguments: Sequence[tvm.runtime.Tensor]) -> list[tvm.runtime.Tensor]:
        """The arguments of `main`: those of the workload, weights packed."""
        tensors = list(arguments)
        if self.packed.positions:
            plain = [tensors[i] for i in self.packed.positions]
            packed = [
                tvm.runtime.empty(shape, weight.dtype)
                for shape, weight in zip(self.packed.shapes, plain, strict=True)
            ]
            self.code["pack"](*plain, *packed)
            for i, weight in zip(self.packed.positions, packed, strict=True):
                tensors[i] = weight
        return tensors


class Bench:
    """Holds workloads, and what was built for them."""

    def __init__(self, target: Json) -> None:
        """Build for `target`, TVM's JSON form of it."""
        self.target = Target(target)
        self._loaded: dict[str, _Loaded] = {}
        self._built: dict[int, Built] = {}
        self._tokens = itertools.count()
        self._passing_weights = PassingWeights()

    def load(self, key: str, module_json: str) -> None:
        """Take a workload's module, make inputs and compute the reference outputs."""
        module: IRModule = tvm.ir.load_json(module_json)
        space = DesignSpace.of(module, self.target)
        arguments = make_arguments(argument_buffers(module))
        tensors = [tvm.runtime.tensor(a) for a in arguments]
        tvm.tirx.build(module, target=self.target)["main"](*tensors)
        outputs = {i: tensors[i].numpy() for i in written_arguments(module)}
        if not outputs:
            raise ValueError("the kernel writes to none of its arguments, so that nothing could be checked")
        loaded = _Loaded(space, arguments, outputs, weight_arguments(module), tensors)
        loaded.spoilt_inputs()
        self._loaded[key] = loaded

    def describe(self, module_json: str) -> Workload | None:
        """Describe a module of unknown origin; None if it calls what is not its own."""
        module = tvm.ir.load_json(module_json)
        if not isinstance(module, IRModule) or [v.name_hint for v in module.get_global_vars()] != ["main"]:
            raise ValueError("a workload is a module with one function, main")
        if not isinstance(module["main"], tvm.tirx.PrimFunc):
            raise ValueError("a workload's main is a TIR function")
        if calls_outside(module):
            return None
        return describe_workload(module, DesignSpace.of(module, self.target).sketches)

    def unload(self, key: str) -> None:
        """Forget a workload and everything built for it."""
        self._loaded.pop(key, None)
        for token in [t for t, built in self._built.items() if built.key == key]:
            del self._built[token]
        gc.collect()

    def build(self, key: str, schedule: Schedule) -> int | Outcome:
        """Replay, build, run once and compare. Return a token for `time`, or the failure."""
        return self.build_all(key, [schedule], 1)[0]

    def build_all(self, key: str, schedules: Sequence[Schedule], threads: int) -> list[int | Outcome]:
        """`build` of several schedules, compiled by several threads. Nothing may be timed meanwhile."""
        with ThreadPoolExecutor(threads) as pool:
            compiled = list(pool.map(lambda schedule: self._compile_schedule(key, schedule), schedules))
        return [self.admit(c) for c in compiled]

    def space(self, key: str) -> DesignSpace:
        """The design space of a loaded workload."""
        return self._loaded[key].space

    def compile_all(self, key: str, replayed: Sequence[TirSchedule], threads: int) -> list[Built | Outcome]:
        """Compile schedules that are replayed already, by several threads; each is then to be admitted."""
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(lambda schedule: self._compile(key, schedule), replayed))

    def _compile_schedule(self, key: str, schedule: Schedule) -> Built | Outcome:
        try:
            return self._compile(key, self.space(key).replay(schedule))
        except ReplayError as exc:
            return Outcome.failure(Status.REPLAY_FAILED, str(exc))

    def _compile(self, key: str, replayed: TirSchedule) -> Built | Outcome:
        try:
            packed = split_packing(replayed.mod, tuple(self._loaded[key].outputs))
            code = tvm.tirx.build(packed.module, target=self.target)
            code["main"]  # LLVM makes machine code when it is first asked for: here, beside other threads
            return Built(key, code, packed)
        except OUR_MISTAKES:
            raise
        except Exception as exc:  # LLVM and TVM raise many kinds; all but one end this candidate only
            if is_out_of_memory(exc):
                raise
            return Outcome.failure(Status.BUILD_FAILED, str(exc) or type(exc).__name__)

    def admit(self, built: Built | Outcome) -> int | Outcome:
        """Run once and compare; keep what computes what the reference computes. See `build`."""
        if isinstance(built, Outcome):
            return built
        failure = _check(built, self._loaded[built.key])
        if failure is not None:
            return failure
        token = next(self._tokens)
        self._built[token] = built
        return token

    def time(self, tokens: Sequence[int], rule: TimingRule) -> list[list[float]]:
        """Seconds of one call for each built schedule, one sample a repeat.

        Several schedules are sampled in turns (A B A B ...), so that a drift of the machine meets all.
        """
        ready = [self._first_run(token) for token in tokens]
        fastest = min(first for _, first in ready)
        calls = [rule.calls(first) for _, first in ready]
        left = [rule.samples(first, fastest) for _, first in ready]
        if len(tokens) == 1:
            return [ready[0][0](calls[0], left[0])]
        seconds: list[list[float]] = [[] for _ in tokens]
        for turn in range(max(left)):
            for place, (timer, _) in enumerate(ready):
                if turn < left[place]:
                    seconds[place] += timer(calls[place], 1)
        return seconds

    def _first_run(self, token: int) -> tuple[Timer, float]:
        """A timer of a built schedule, and the seconds of a first call."""
        built = self._built[token]
        loaded = self._loaded[built.key]
        plain = list(loaded.tensors)
        for i in loaded.outputs:  # of its own: a kernel may read what it has written
            plain[i] = tvm.runtime.tensor(loaded.arguments[i])
        tensors = built.with_packed_weights(plain)
        seconds = _seconds_of_call(built, tensors)
        if seconds < _SHORT_SECONDS:  # a delay would pass for a slow candidate
            seconds = min(seconds, _seconds_of_call(built, tensors))
        return _timer(built.code, self._passing_weights.arguments(tensors, loaded.weights)), seconds

    def drop(self, token: int) -> None:
        """Forget one built candidate."""
        self._built.pop(token, None)


def _seconds_of_call(built: Built, tensors: Sequence[object]) -> float:
    start = time.perf_counter()
    built.code["main"](*tensors)
    return time.perf_counter() - start


_SHORT_SECONDS = 0.1


def _unlike(expected: NDArray[np.generic]) -> NDArray[np.generic]:
    """Values that are wrong everywhere, so that what a candidate never writes shows."""
    is_float = expected.dtype.kind == "f"
    other = np.where(np.isnan(expected), 0, math.nan) if is_float else np.invert(expected)
    return other.astype(expected.dtype)


def _check(built: Built, loaded: _Loaded) -> Outcome | None:
    """Run once on outputs that nobody wrote, and compare with the reference; None when all is well."""
    outputs = {i: Guarded(_unlike(expected)) for i, expected in loaded.outputs.items()}
    plain = [outputs[i].tensor if i in outputs else t for i, t in enumerate(loaded.tensors)]
    try:
        tensors = built.with_packed_weights(plain)
        packed = {i: tensors[i].numpy() for i in built.packed.positions}
        built.code["main"](*tensors)
    except OUR_MISTAKES:
        raise
    except Exception as exc:
        if is_out_of_memory(exc):
            raise
        return Outcome.failure(Status.RUN_FAILED, str(exc) or type(exc).__name__)
    if outside := [i for i, guarded in outputs.items() if not guarded.is_intact]:
        return Outcome.failure(Status.WRONG_OUTPUT, f"argument {outside[0]}: written outside of its bounds")
    spoilt = [i for i, p in packed.items() if not _same_bits(np.from_dlpack(tensors[i]), p)]
    if spoilt := [*loaded.spoilt_inputs(), *spoilt]:
        return Outcome.failure(Status.WRONG_OUTPUT, f"argument {spoilt[0]}: an input, and written to")
    for i, expected in loaded.outputs.items():
        problem = _problem(tensors[i].numpy(), expected)
        if problem is not None:
            return Outcome.failure(Status.WRONG_OUTPUT, f"argument {i}: {problem}")
    return None


def _same_bits(a: NDArray[np.generic], b: NDArray[np.generic]) -> bool:
    """Packed weights have gaps that nobody writes: what lies there may be no number, which equals nothing."""
    return np.array_equal(a.reshape(-1).view(np.uint8), b.reshape(-1).view(np.uint8))


def _timer(code: tvm.runtime.Module, arguments: Sequence[Sequence[object]]) -> Timer:
    """Time calls with one list of arguments after the other. Python's share of a call is 0.3 microseconds."""
    turns, main = itertools.cycle(arguments), code["main"]

    def sample(calls: int) -> float:
        coming = [next(turns) for _ in range(calls)]
        main(*next(turns))  # wakes the threads
        start = time.perf_counter()
        for tensors in coming:
            main(*tensors)
        return (time.perf_counter() - start) / calls

    return lambda calls, samples: [sample(calls) for _ in range(samples)]


def make_arguments(buffers: Sequence[tuple[tuple[int, ...], str]]) -> list[NDArray[np.generic]]:
    """Inputs that show wrong results: normal numbers, and indices that stay inside every table.

    TVM's own filler writes bit patterns of floats into integers, which crashes gathers.
    """
    rng = np.random.default_rng(1)
    dims = [d for shape, dtype in buffers if "float" in dtype for d in shape if d > 1]
    highest = min(dims, default=2)
    arguments: list[NDArray[np.generic]] = []
    for shape, dtype in buffers:
        if "float" in dtype:
            arguments.append(rng.standard_normal(shape, dtype=np.float32).astype(dtype))
        elif dtype == "bool":
            arguments.append(rng.integers(0, 2, shape).astype(bool))
        else:
            arguments.append(rng.integers(0, highest, shape).astype(dtype))
    return arguments


def _problem(actual: NDArray[np.generic], expected: NDArray[np.generic]) -> str | None:
    """What is wrong with an output, or None: whole numbers must be the same, others nearly so."""
    if actual.dtype.kind != "f":
        wrong = int(np.count_nonzero(actual != expected))
        return f"{wrong} of {actual.size} values differ" if wrong else None
    off = difference(actual, expected)
    if off == math.inf:
        return "values that are not finite, or were never written"
    return f"off by {off:.1e} of the largest value" if off > TOLERANCE else None
