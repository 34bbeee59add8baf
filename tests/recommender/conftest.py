"""A small model, what a model computes, and what a run knows that has a small library."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import tvm
from numpy.typing import NDArray
from onnx import helper

from recommender.compiler.hardware import target_from_json
from recommender.datasets.store import Store
from recommender.harness.client import WorkerCrashed
from recommender.harness.measurer import Measurer, Task
from recommender.knowledge import Knowledge, gather_knowledge
from recommender.progress import Reporter
from recommender.run import Clock, Options, Run
from recommender.session import Machine, PreparedModel, prepare_named
from recommender.workspace import Workspace


def node(kind: str, inputs: str, output: str, **attributes: object) -> onnx.NodeProto:
    """A node of one output; names of inputs have spaces between."""
    return helper.make_node(kind, inputs.split(), [output], **attributes)


def computed(
    model: onnx.ModelProto, x: NDArray[np.float32], folder: Path, machine: Machine
) -> tuple[PreparedModel, NDArray[np.float32], NDArray[np.float32]]:
    """A lowered model, and what it and ONNX Runtime compute of its only input."""
    onnx.save(model, str(folder / "m.onnx"))
    (expected,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    found = prepare_named(str(folder / "m.onnx"), machine)
    vm = tvm.relax.VirtualMachine(tvm.compile(found.lowered, target_from_json(machine.target)), tvm.cpu())
    return found, vm["main"](tvm.runtime.tensor(x)).numpy(), expected


@pytest.fixture
def model(convnet_path: Path, machine: Machine) -> PreparedModel:
    return prepare_named(str(convnet_path), machine)


@pytest.fixture(scope="session")
def knowledge(machine: Machine, tuned_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Knowledge:
    """Gathered once: reading the shipped data takes a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECOMMENDER_DATA", str(tmp_path_factory.mktemp("nobody")))
        return gather_knowledge(Run(machine, Options(store=tuned_store), Reporter(0), Clock()))


class _Refusing(Measurer):
    def load(self, task: Task) -> None:
        raise WorkerCrashed("the worker died with SIGSEGV\nof something")


@pytest.fixture
def hopeless_workspace(machine: Machine, library: Path) -> Iterator[Workspace]:
    """The small library, and a worker that takes no kernel at all."""
    with Store(library) as store:
        yield Workspace(machine, store, _Refusing(machine.target, machine.threads), "collect")
