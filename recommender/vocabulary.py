"""The words of the project, as frozen values. No logic here but checks, derived figures and keys.

Everything below is hashable and knows nothing of TVM; what is stored has a JSON form, `to_json`.

* `Hardware`   what a time was measured on
* `Workload`   what one kernel computes: loops and accesses of its anchor block, and its sketches
* `Kernel`     a workload as it occurs in one model: a name and the number of calls
* `Sketch`     the structure that the target's schedule rules generate for a workload
* `Schedule`   a sketch plus the decisions taken in it
* `Donor`      a library schedule with the workload it was tuned for and how fast it was there
* `Candidate`  a schedule adapted to a workload, with the donor and the repair policy it came from
* `Outcome`    what happened when a candidate was built, checked and timed
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from functools import cached_property
from statistics import median
from typing import Any, TypeAlias

SCHEMA_VERSION = 1
"""Version of every stored record. Raised when the meaning of a stored field changes."""

Tile: TypeAlias = tuple[int, ...]
"""Factors of one tiled loop from the outermost level to the innermost; their product is the extent."""
Decision: TypeAlias = Tile | int
"""One sampling instruction's outcome: tile factors, a categorical index or a compute location."""
Json: TypeAlias = Any


def digest(value: Json, length: int = 16) -> str:
    """Hex digest of a JSON value that does not depend on key order, process or platform."""
    return _hash_of(canonical_json(value), length)


def canonical_json(value: Json) -> str:
    """A JSON value as text, the same whatever the order of keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _hash_of(text: str, length: int = 16) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def item_bytes(dtype: str) -> int:
    """Bytes of one element of TVM's type of that name, which has its bits; a bool's has none: one byte."""
    bits = re.search(r"\d+", dtype)
    return max(int(bits[0]) // 8, 1) if bits else 1


@dataclass(frozen=True)
class Hardware:
    """A machine as far as schedules care: instruction set, cores used, caches. Sizes in bytes.

    `cold_weight_bytes` of other weights pass through the caches between two calls of a kernel that is
    timed; 0: it was timed again and again on the same weights. Times of one are not times of the other.
    """

    cpu: str
    target_triple: str
    simd_bytes: int
    threads: int
    l1_bytes: int
    l2_bytes: int
    l3_bytes: int
    features: tuple[str, ...] = ()
    cold_weight_bytes: int = 0

    @cached_property
    def id(self) -> str:
        """Short stable name of this hardware, used as a key in stores."""
        return f"{self.cpu}-{self.threads}t-{digest(self.to_json(), 8)}"

    @property
    def simd_lanes(self) -> int:
        """How many float32 numbers one vector register holds."""
        return self.simd_bytes // 4

    @property
    def vector_registers(self) -> int:
        """How many vector registers an instruction can name: 16 on x86 before AVX-512."""
        return 32 if self.family == "arm" or "avx512f" in self.features else 16

    @property
    def family(self) -> str:
        """Machines of one family can use each other's schedules, if not each other's times."""
        return "arm" if {"neon", "sve"} & set(self.features) else "x86"

    def to_json(self) -> Json:
        """A JSON object that `from_json` reads back; without what older ones do not have, where it is 0."""
        value = asdict(self)
        if not self.cold_weight_bytes:
            del value["cold_weight_bytes"]
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Hardware:
        """The hardware written by `to_json`."""
        return cls(**{**value, "features": tuple(value["features"])})


@dataclass(frozen=True)
class Access:
    """How the anchor block touches one buffer: an affine index per dimension.

    `coefficients[d][a]` is the step of dimension `d` when anchor axis `a` (spatial axes first, then
    reduction axes) goes up by one.
    """

    shape: tuple[int, ...]
    coefficients: tuple[tuple[int, ...], ...]
    item_bytes: int
    is_write: bool


@dataclass(frozen=True)
class SampledTile:
    """A `SamplePerfectTile` of a sketch: the extent to be split, and the rules of the split."""

    extent: int
    parts: int
    max_innermost: int

    def accepts(self, decision: Decision) -> bool:
        """Whether it splits the extent in so many parts; the innermost may exceed what TVM would sample."""
        if not isinstance(decision, tuple) or len(decision) != self.parts:
            return False
        return math.prod(decision) == self.extent and min(decision) >= 1


@dataclass(frozen=True)
class SampledChoice:
    """A `SampleCategorical` of a sketch: the values one of which is picked by index."""

    values: tuple[int, ...]

    def accepts(self, decision: Decision) -> bool:
        """Whether there is a value of this index."""
        return not isinstance(decision, tuple) and 0 <= decision < len(self.values)


@dataclass(frozen=True)
class SampledLocation:
    """A `SampleComputeLocation` of a sketch: where a producer is computed.

    A decision of -1 inlines it, -2 leaves it at the root, n >= 0 puts it in the consumer's n-th loop.
    """

    def accepts(self, decision: Decision) -> bool:
        """Whether it is a location; which loops a consumer has is not known here."""
        return not isinstance(decision, tuple)


Sample: TypeAlias = SampledTile | SampledChoice | SampledLocation
_KINDS: tuple[type[Sample], ...] = (SampledTile, SampledChoice, SampledLocation)


@dataclass(frozen=True)
class Sketch:
    """The structure of a schedule: what is sampled, in order, and where the epilogue is computed.

    `epilogue_level` is the tile level at which a consumer is computed (`ReverseComputeAt`), or -1
    when it has a loop nest of its own. `rfactor_loop` is the part of a split reduction that was
    factored out (0 outer, 1 inner; of the first, if there are several), or -1. `steps` tells apart sketches
    that agree in all of that.
    """

    samples: tuple[Sample, ...]
    epilogue_level: int = -1
    rfactor_loop: int = -1
    steps: str = ""

    def __hash__(self) -> int:
        """Remembered: sketches are looked up by the hundred thousand when candidates are made."""
        return self._hash

    @cached_property
    def _hash(self) -> int:
        # Without `steps`: a string's hash differs from process to process, and this one travels with pickles.
        return hash((self.samples, self.epilogue_level, self.rfactor_loop))

    @cached_property
    def structure(self) -> tuple[tuple[int, ...], int]:
        """What two workloads' sketches must share for decisions to transfer between them."""
        parts = tuple(s.parts for s in self.samples if isinstance(s, SampledTile))
        return parts, self.rfactor_loop

    @cached_property
    def tiles(self) -> tuple[SampledTile, ...]:
        """The tiled loops, in the order in which they are sampled."""
        return tuple(s for s in self.samples if isinstance(s, SampledTile))

    @cached_property
    def accepted(self) -> tuple[set[Decision], ...]:
        """What was found to answer each sample: a library's schedules share most of their decisions."""
        return tuple(set() for _ in self.samples)

    @cached_property
    def answer_order(self) -> tuple[int, ...]:
        """Where each sample's answer is in a list of those to the tiles, then choices, then locations."""
        kinds = [_KINDS.index(type(sample)) for sample in self.samples]
        by_kind = sorted(range(len(kinds)), key=kinds.__getitem__)
        return tuple(sorted(by_kind, key=by_kind.__getitem__))

    def to_json(self) -> Json:
        """A JSON list that `from_json` reads back."""
        return [
            [_sample_to_json(s) for s in self.samples],
            self.epilogue_level,
            self.rfactor_loop,
            self.steps,
        ]

    @cached_property
    def canonical(self) -> str:
        """Its JSON as text: thousands of schedules of one sketch need it for their ids."""
        return canonical_json(self.to_json())

    @classmethod
    def from_json(cls, value: Sequence[Json]) -> Sketch:
        """The sketch written by `to_json`."""
        samples, epilogue_level, rfactor_loop, steps = value
        return cls(tuple(map(_sample_from_json, samples)), epilogue_level, rfactor_loop, steps)


def _sample_to_json(sample: Sample) -> Json:
    if isinstance(sample, SampledTile):
        return ["tile", sample.extent, sample.parts, sample.max_innermost]
    if isinstance(sample, SampledChoice):
        return ["choice", *sample.values]
    return ["location"]


def _sample_from_json(value: Sequence[Json]) -> Sample:
    kind, *rest = value
    if kind == "tile":
        return SampledTile(*rest)
    if kind == "choice":
        return SampledChoice(tuple(rest))
    if kind == "location":
        return SampledLocation()
    raise ValueError(f"a sample is a tile, a choice or a location, but got {kind!r}")


@dataclass(frozen=True)
class Workload:
    """What one fused kernel computes, in our own words, with a key that survives TVM releases.

    The anchor is the block that does most of the work (the convolution, the matrix product, the
    reduction); `operators` names every block in order, which is the kernel class of Gibson and Cano (2022).
    """

    key: str
    operators: tuple[str, ...]
    spatial_extents: tuple[int, ...]
    reduction_extents: tuple[int, ...]
    accesses: tuple[Access, ...]
    argument_shapes: tuple[tuple[int, ...], ...]
    argument_types: tuple[str, ...]
    flops: float
    sketches: tuple[Sketch, ...] = field(default=(), compare=False, hash=False)

    @cached_property
    def kernel_class(self) -> str:
        """The sequence of operators, whatever the shapes (Gibson and Cano 2022, section 4.1)."""
        return "+".join(self.operators)

    @property
    def extents(self) -> tuple[int, ...]:
        """Extents of all anchor axes, spatial ones first."""
        return self.spatial_extents + self.reduction_extents

    @cached_property
    def argument_bytes(self) -> int:
        """Bytes of all arguments, the least that has to move when nothing is cached."""
        return sum(
            math.prod(shape) * item_bytes(dtype)
            for shape, dtype in zip(self.argument_shapes, self.argument_types, strict=True)
        )

    def to_json(self) -> Json:
        """A JSON object that `from_json` reads back."""
        return {**asdict(self), "sketches": [sketch.to_json() for sketch in self.sketches]}

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Workload:
        """The workload written by `to_json`."""
        return cls(
            key=value["key"],
            operators=tuple(value["operators"]),
            spatial_extents=tuple(value["spatial_extents"]),
            reduction_extents=tuple(value["reduction_extents"]),
            accesses=tuple(
                Access(
                    tuple(a["shape"]),
                    tuple(map(tuple, a["coefficients"])),
                    a["item_bytes"],
                    a["is_write"],
                )
                for a in value["accesses"]
            ),
            argument_shapes=tuple(map(tuple, value["argument_shapes"])),
            argument_types=tuple(value["argument_types"]),
            flops=value["flops"],
            sketches=tuple(map(Sketch.from_json, value["sketches"])),
        )


@dataclass(frozen=True)
class ModelInput:
    """An input of a model whose shape is fixed; `dtype` is numpy's name of the type."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Kernel:
    """A workload as it occurs in one model."""

    name: str
    workload: Workload
    calls: int


@dataclass(frozen=True)
class Schedule:
    """A sketch with a decision for each of its samples. It says nothing about how good it is."""

    sketch: Sketch
    decisions: tuple[Decision, ...]

    def __post_init__(self) -> None:
        """Check that the decisions answer the sketch's samples.

        Raises:
            ValueError: their number differs, a tile's product is not its extent, or a choice is not offered.
        """
        if len(self.decisions) != len(self.sketch.samples):
            raise ValueError(
                f"a sketch with {len(self.sketch.samples)} samples needs as many decisions, "
                f"but got {len(self.decisions)}"
            )
        answers = zip(self.sketch.samples, self.decisions, self.sketch.accepted, strict=True)
        for sample, decision, accepted in answers:
            if decision not in accepted:
                if not sample.accepts(decision):
                    raise ValueError(f"{decision!r} does not answer {sample!r}")
                accepted.add(decision)

    @cached_property
    def id(self) -> str:
        """Key of this schedule in stores: `digest` of sketch and decisions, equal where they are equal."""
        return _hash_of(f"[{self.sketch.canonical},{canonical_json(self.decisions)}]")

    @cached_property
    def tiles(self) -> tuple[Tile, ...]:
        """The tile decisions, in the order in which they are sampled."""
        return tuple(d for d in self.decisions if isinstance(d, tuple))

    @classmethod
    def stored(cls, id_: str, sketch: Sketch, decisions: Sequence[Json]) -> Schedule:
        """A schedule of decisions in JSON. Its id is known: to work out those of a library takes a second."""
        schedule = cls(sketch, tuple(tuple(d) if isinstance(d, list) else d for d in decisions))
        schedule.__dict__["id"] = id_
        return schedule


@dataclass(frozen=True)
class Donor:
    """A library schedule: where it came from and how well it did there.

    `models` have the kernel that it was measured on; `origins` are all that it owes something to, these
    and those of the kernels that it descends from.
    """

    schedule: Schedule
    workload: Workload
    median_seconds: float
    models: frozenset[str]
    origins: frozenset[str]
    rank: int = 0

    @cached_property
    def id(self) -> str:
        """Names this donor in candidates and outcomes."""
        return f"{self.workload.key}/{self.schedule.id}"


@dataclass(frozen=True)
class Candidate:
    """A schedule for a workload, and where it came from.

    `policy` names the rule that repaired the donor's decisions; `donor` is None for a schedule made
    from the workload's own design space.
    """

    workload: Workload
    schedule: Schedule
    policy: str
    donor: Donor | None = None


class Status(str, Enum):
    """How a candidate ended."""

    OK = "ok"
    REPLAY_FAILED = "replay-failed"
    BUILD_FAILED = "build-failed"
    RUN_FAILED = "run-failed"
    WRONG_OUTPUT = "wrong-output"
    TIMED_OUT = "timed-out"
    CRASHED = "crashed"
    OUT_OF_MEMORY = "out-of-memory"


def half_quartile_range(values: Sequence[float]) -> float:
    """Half the range between the quartiles: how far values scatter, whatever a few outliers do."""
    ordered = sorted(values)
    quarter = len(ordered) // 4
    return (ordered[-1 - quarter] - ordered[quarter]) / 2


TRANSIENT = frozenset({Status.TIMED_OUT, Status.OUT_OF_MEMORY})
"""Failures that a busy or small machine causes as well as a candidate: they are tried again."""
BUSY_CORES = 0.5
"""Work of others on more cores than these makes times unsure."""


@dataclass(frozen=True)
class Outcome:
    """What happened to a candidate.

    Invariants: `seconds` holds at least one positive time if and only if `status` is OK; `reason` is
    given if and only if it is not. `load` is how many cores something else kept busy meanwhile.
    """

    status: Status
    seconds: tuple[float, ...] = ()
    reason: str | None = None
    load: float = 0.0

    def __post_init__(self) -> None:
        """Check the invariants.

        Raises:
            ValueError: one of them does not hold.
        """
        ok = self.status is Status.OK
        if ok != bool(self.seconds) or ok != (self.reason is None):
            raise ValueError(f"an outcome has times if it is ok, a reason if not, but got {self}")
        if any(not s > 0 or math.isinf(s) for s in self.seconds):
            raise ValueError(f"times are positive and finite, but got {self.seconds}")

    @property
    def ok(self) -> bool:
        """Whether the candidate built, ran and matched the reference."""
        return self.status is Status.OK

    @property
    def is_transient(self) -> bool:
        """Whether it failed in a way that the machine may be to blame for."""
        return self.status in TRANSIENT

    @property
    def is_unsure(self) -> bool:
        """Whether it was timed while something else kept the machine busy."""
        return self.ok and self.load > BUSY_CORES

    @cached_property
    def median_seconds(self) -> float:
        """Median of the raw times; infinite when there are none, so that failures sort last."""
        return median(self.seconds) if self.seconds else math.inf

    @cached_property
    def spread(self) -> float:
        """Half the range between the quartiles over the median: the noise of this measurement."""
        return half_quartile_range(self.seconds) / self.median_seconds if self.seconds else 0.0

    @classmethod
    def failure(cls, status: Status, reason: str, load: float = 0.0) -> Outcome:
        """An outcome of a candidate that did not make it, with the first line of why."""
        first = next((line for line in reason.strip().splitlines() if line.strip()), "no reason")
        return cls(status, reason=first.strip()[:300], load=load)

    @classmethod
    def of_times(cls, seconds: Sequence[float], load: float = 0.0) -> Outcome:
        """An outcome of a candidate that built, ran and matched, with its raw times."""
        return cls(Status.OK, tuple(seconds), load=load)
