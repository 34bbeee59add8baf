"""What every command needs: the target, the hardware, and kernels ready to be measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from recommender.compiler import setup
from recommender.datasets.records import Setting
from recommender.errors import ModelError, UsageError
from recommender.harness.measurer import Task
from recommender.vocabulary import Hardware, Json, Kernel

if TYPE_CHECKING:  # TVM is imported once `this_machine` has set its threads
    from tvm.ir import IRModule

    from recommender.compiler.frontend import OnnxModel
    from recommender.compiler.sketches import DesignSpace


@dataclass(frozen=True)
class Machine:
    """What is compiled for and measured on. `target` is TVM's JSON form."""

    target: Json
    hardware: Hardware
    threads: int
    pipeline: str

    @property
    def setting(self) -> Setting:
        """What its times can be compared within."""
        return self.hardware.id, self.pipeline


def this_machine(target: str = "host", threads: int | None = None) -> Machine:
    """The machine as `--target` and `--threads` describe it.

    Raises:
        SetupError: TVM is missing or of a version that does not work.
        UsageError: the target does not parse, or there are not so many cores.
    """
    threads = setup.prepare(threads)
    from recommender.compiler import hardware, lowering
    from recommender.harness import weights

    with setup.native_silence():  # LLVM complains on stderr too; the error says it
        parsed = hardware.parse_target(target, threads)
    return Machine(
        target=hardware.target_json(parsed),
        hardware=hardware.describe_hardware(parsed, threads, weights.COLD_WEIGHT_BYTES),
        threads=threads,
        pipeline=lowering.PIPELINE,
    )


@dataclass(frozen=True)
class PreparedModel:
    """A model lowered to kernels: our view of them, and what TVM needs to build them."""

    name: str
    kernels: tuple[Kernel, ...]
    spaces: Mapping[str, DesignSpace]
    lowered: IRModule
    onnx: OnnxModel

    def task(self, kernel: Kernel) -> Task:
        """A kernel in the form in which it goes to a worker."""
        return Task(kernel.workload.key, self.spaces[kernel.workload.key].to_json())


def named_kernels(
    models: Sequence[PreparedModel], names: Sequence[str] = ()
) -> list[tuple[PreparedModel, Kernel]]:
    """Kernels of models, in order: those with a name like one of the patterns, which are a shell's, or all.

    Raises:
        UsageError: no kernel has such a name.
    """
    everything = [(model, kernel) for model in models for kernel in model.kernels]
    if not names:
        return everything
    named = [(m, k) for m, k in everything if any(fnmatchcase(k.name, name) for name in names)]
    if not named:
        raise UsageError(
            f"no kernel is called {' or '.join(names)}; a run's report says what they are called"
        )
    return named


def find_model(name: str) -> Path | None:
    """The file of a model, None for a model of the zoo.

    Raises:
        ModelError: it is neither.
    """
    from recommender.datasets import zoo

    if Path(name).is_file():
        return Path(name)
    if name in zoo.zoo_names():
        return None
    what = "is a folder" if Path(name).is_dir() else "does not exist"
    raise ModelError(f"{name} {what}; give an .onnx file, or a model of: recommender zoo list")


def read_model(
    name: str,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    dims: Mapping[str, int] | None = None,
) -> OnnxModel:
    """Read an ONNX file and fix its shapes, or take a model of the zoo with weights from seed 0.

    Raises:
        ModelError: it cannot be read, or a dimension is left open.
    """
    from recommender.compiler import frontend
    from recommender.datasets import zoo

    path = find_model(name)
    if path is None:
        return frontend.fixed_model(zoo.zoo_model(name), name, input_shapes, dims)
    return frontend.fixed_model(frontend.read(path), path.stem, input_shapes, dims)


def lower_model(model: OnnxModel, machine: Machine) -> PreparedModel:
    """Fold constants, import and lower a model, and describe its kernels.

    Raises:
        ModelError: ONNX Runtime does not take it, TVM does not import an operator, or a kernel cannot be
            described.
    """
    from recommender.compiler import frontend, hardware, lowering

    target = hardware.target_from_json(machine.target)
    folded = frontend.fold(model)
    with setup.native_silence():
        lowered = lowering.lower(frontend.import_model(folded), target)
        try:
            found = lowering.kernels_of(lowered, target)
        except (ValueError, RuntimeError) as exc:  # TVM, which counts in 32 bits where it tiles
            why = (str(exc).strip() or type(exc).__name__).splitlines()[-1]
            raise ModelError(
                f"TVM cannot schedule {model.name} ({why}); if its shapes are very large, give smaller ones"
            ) from exc
    spaces = {k.kernel.workload.key: k.space for k in found}
    return PreparedModel(model.name, tuple(k.kernel for k in found), spaces, lowered, folded)


def prepare_named(name: str, machine: Machine) -> PreparedModel:
    """Read and lower an ONNX file or a model of the zoo.

    Raises:
        ModelError: any step from the file to its kernels failed.
    """
    return lower_model(read_model(name), machine)
