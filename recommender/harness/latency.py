"""Times whole models against each other in turns, and compares what they compute.

Each model lives in a process of its own, which comes to rest before the next one's turn: while TVM's idle
threads still spin, ONNX Runtime takes 15 ms for mobilenet_v2 instead of 4.1 (docs/decisions.md).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np

from recommender.harness.client import CallFailed, WorkerClient, WorkerFailure
from recommender.harness.contestant import Array
from recommender.harness.outputs import TOLERANCE, allowed_difference, difference
from recommender.vocabulary import ModelInput

_OPEN_SECONDS = 300.0
_RUN_SECONDS = 600.0
_TURN_SECONDS = 0.12
"""Short turns and many: on a shared machine the speed changes several times a second."""
_REST_SECONDS = 5.0
"""TVM's idle threads spin on after a run: the next turn waits at most so long until they sleep."""
_LEAST_ROUNDS = 3
_SLOW_SECONDS = 2.0
REFERENCE = "ort"


@dataclass(frozen=True)
class Latency:
    """Raw seconds of one inference (none if it was not to be timed), and how far the outputs are off.

    `difference` is the largest gap to ONNX Runtime as a share of the output's largest magnitude, infinite
    for outputs that are not numbers, and for a build that could not be run or has outputs of other shapes,
    for a `reason`; up to `allowed` counts as equal.
    """

    seconds: tuple[float, ...]
    difference: float = 0.0
    allowed: float = TOLERANCE
    reason: str = ""

    @property
    def median_seconds(self) -> float:
        """Median of the raw times; 0 when there are none."""
        return median(self.seconds) if self.seconds else 0.0

    @property
    def ran(self) -> bool:
        """Whether the build could be run, and gave outputs that can be compared."""
        return not self.reason

    @property
    def is_right(self) -> bool:
        """Whether the build computes what ONNX Runtime computes."""
        return self.ran and self.difference <= self.allowed


def compare_models(
    libraries: Mapping[str, Path],
    onnx_path: Path,
    inputs: Sequence[ModelInput],
    *,
    threads: int,
    budget_seconds: float,
    time_reference: bool,
    until_clear: bool = False,
) -> dict[str, Latency]:
    """Run compiled models and ONNX Runtime on the same inputs; time them in turns (A B A B ...).

    Without a budget nothing is timed, and of the budget no more is used than it takes to tell which is the
    fastest if `until_clear`. ONNX Runtime appears under the name "ort" if it is to be timed.

    Raises:
        WorkerFailure: ONNX Runtime cannot run the model, or a build died while it was timed.
    """
    with ExitStack() as stack:
        reference = stack.enter_context(WorkerClient(threads))
        clients = {name: stack.enter_context(WorkerClient(threads)) for name in libraries}
        for client in (reference, *clients.values()):
            client.spawn()  # they start side by side
        arrays, expected = _reference(reference, onnx_path, inputs, threads)
        outcomes = {REFERENCE: Latency(())}
        for name, client in clients.items():
            outcomes[name] = _opened(client, libraries[name], arrays, expected)
        allowed = allowed_difference(
            (outcome.difference for outcome in outcomes.values()),
            lambda: _spread(reference, onnx_path, arrays, expected, threads),
        )
        if time_reference:
            clients[REFERENCE] = reference
        able = {name: client for name, client in clients.items() if outcomes[name].difference < math.inf}
        seconds = _take_turns(able, budget_seconds, until_clear) if budget_seconds else {}
        return {
            name: replace(outcomes[name], seconds=tuple(seconds.get(name, ())), allowed=allowed)
            for name in clients
        }


def _opened(
    client: WorkerClient, library: Path, arrays: Mapping[str, Array], expected: Sequence[Array]
) -> Latency:
    """A build ready to be timed, and how far its outputs are off; one that cannot be run ends no run."""
    path = str(library.absolute())
    try:
        outputs = client.call("open_library", path, arrays, timeout_seconds=_OPEN_SECONDS)
    except WorkerFailure as exc:
        return Latency((), math.inf, reason=str(exc))
    if [o.shape for o in outputs] != [e.shape for e in expected]:
        return Latency((), math.inf, reason=f"its outputs are {_shapes(outputs)}, not {_shapes(expected)}")
    return Latency((), _worst_difference(outputs, expected))


def _shapes(arrays: Sequence[Array]) -> str:
    return ", ".join("x".join(map(str, a.shape)) or "a number" for a in arrays) or "none"


def _reference(
    client: WorkerClient, onnx_path: Path, inputs: Sequence[ModelInput], threads: int
) -> tuple[dict[str, Array], list[Array]]:
    """Inputs, and what ONNX Runtime makes of them. Integers are indices into tables of unknown size."""
    for highest in (100, 2, 1):
        arrays = {i.name: random_input(i, highest) for i in inputs}
        try:
            return arrays, client.call(
                "open_onnx", str(onnx_path), arrays, threads, timeout_seconds=_OPEN_SECONDS
            )
        except CallFailed:
            if highest == 1:
                raise
    raise AssertionError("unreachable")


def _spread(
    client: WorkerClient,
    onnx_path: Path,
    arrays: Mapping[str, Array],
    expected: Sequence[Array],
    threads: int,
) -> float:
    """How far ONNX Runtime's outputs move if it computes the model as it is written, not optimised."""
    plain = client.call("run_unoptimised", str(onnx_path), arrays, threads, timeout_seconds=_OPEN_SECONDS)
    return _worst_difference(plain, expected)


def random_input(model_input: ModelInput, highest: int) -> Array:
    """Normal numbers, or integers below `highest`, the same every time."""
    rng = np.random.default_rng(0)
    if model_input.dtype.startswith("float"):
        return rng.standard_normal(model_input.shape, dtype=np.float32).astype(model_input.dtype)
    return rng.integers(0, highest, model_input.shape).astype(model_input.dtype)


def _worst_difference(outputs: Sequence[Array], expected: Sequence[Array]) -> float:
    return max(map(difference, outputs, expected), default=0.0)


def _take_turns(
    clients: Mapping[str, WorkerClient], budget_seconds: float, until_clear: bool
) -> dict[str, list[float]]:
    """Each turn fills about `_TURN_SECONDS`; as many rounds as the budget allows, but a few at least.

    A model that takes seconds is run twice and takes no turns: the budget is for those that are close.
    """
    for client in clients.values():
        _rest(client)  # from the runs that its outputs came from
    seconds = {name: _time(client, 1) for name, client in clients.items()}
    first = {name: times[0] for name, times in seconds.items() if times[0] < _SLOW_SECONDS}
    for name in clients.keys() - first.keys():
        seconds[name] += _time(clients[name], 1)
    counts = {name: max(1, min(60, round(_TURN_SECONDS / max(s, 1e-6)))) for name, s in first.items()}
    if not first:
        return seconds
    turns: list[list[float]] = []
    deadline = time.monotonic() + budget_seconds
    while len(turns) < _LEAST_ROUNDS or time.monotonic() < deadline:
        if until_clear and is_clear(turns):
            break
        times = {name: _time(clients[name], counts[name]) for name in first}
        for name, own in times.items():
            seconds[name] += own
        turns.append([median(own) for own in times.values()])
    return seconds


def is_clear(turns: Sequence[Sequence[float]]) -> bool:
    """Whether rounds, each with one time of every model, tell which of the models is the fastest.

    It must have won every round, and the mean log of its ratio to each other be three standard errors
    below 0.
    """
    if len(turns) < _LEAST_ROUNDS:
        return False
    logs = np.log(np.array(turns))
    winner = int(np.argmin(logs.mean(axis=0)))
    ratios = logs[:, [winner]] - np.delete(logs, winner, axis=1)
    errors = ratios.std(axis=0, ddof=1) / np.sqrt(len(turns))
    return bool(np.all(ratios < 0) and np.all(ratios.mean(axis=0) + 3 * errors < 0))


def _time(client: WorkerClient, count: int) -> list[float]:
    """Seconds of so many runs, after which nothing of theirs goes on."""
    seconds: list[float] = client.call("time_model", count, timeout_seconds=_RUN_SECONDS)
    _rest(client)
    return seconds


def _rest(client: WorkerClient) -> None:
    client.call("come_to_rest", _REST_SECONDS, timeout_seconds=_RUN_SECONDS)
