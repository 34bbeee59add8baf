"""Shared fixtures: small real ONNX models, and a library really tuned on one of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from recommender.compiler import setup

setup.prepare()  # threads are set once, before TVM's runtime starts

from recommender.datasets.layers import Data  # noqa: E402
from recommender.session import Machine, prepare_named, this_machine  # noqa: E402


@pytest.fixture(autouse=True)
def own_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test touches the data of whoever runs it."""
    folder = tmp_path / "data"
    monkeypatch.setenv("RECOMMENDER_DATA", str(folder))
    return folder


@pytest.fixture
def short_latencies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole models are timed for a moment, without rests, where a test does not ask how fast they are."""
    time_models_briefly(monkeypatch)


def time_models_briefly(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("recommender.delivery._BUDGET_SECONDS", 0.5)
    patch.setattr("recommender.harness.latency._REST_SECONDS", 0.0)


@pytest.fixture(scope="session")
def machine() -> Machine:
    return this_machine()


def weight(name: str, *shape: int) -> onnx.TensorProto:
    rng = np.random.default_rng(list(name.encode()))
    values = rng.standard_normal(shape, dtype=np.float32) / np.sqrt(np.prod(shape[1:]))
    return numpy_helper.from_array(values.astype(np.float32), name)


def model_of(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[int | str]],
    output: str,
    initializers: list[onnx.TensorProto],
    dtype: int = TensorProto.FLOAT,
    opset: int = 18,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(name, dtype, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def small_convnet(channels: int = 16, size: int | str = 8, batch: int | str = 1) -> onnx.ModelProto:
    """Convolution, relu6, pooling and a dense layer: every kind of kernel, in milliseconds."""
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        helper.make_node("Clip", ["c1", "low", "high"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], kernel_shape=[1, 1]),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("GlobalAveragePool", ["r2"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["y"], transB=1),
    ]
    initializers = [
        weight("w1", channels, 4, 3, 3),
        weight("b1", channels),
        weight("w2", 2 * channels, channels, 1, 1),
        weight("w3", 10, 2 * channels),
        weight("b3", 10),
        numpy_helper.from_array(np.array(0, np.float32), "low"),
        numpy_helper.from_array(np.array(6, np.float32), "high"),
    ]
    return model_of(nodes, {"x": [batch, 4, size, size]}, "y", initializers)


def two_convolutions(channels: int = 16, size: int = 8) -> onnx.ModelProto:
    """Half of `small_convnet`, for tests that search every kernel."""
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["y"], kernel_shape=[1, 1]),
    ]
    initializers = [
        weight("w1", channels, 4, 3, 3),
        weight("b1", channels),
        weight("w2", 2 * channels, channels, 1, 1),
    ]
    return model_of(nodes, {"x": [1, 4, size, size]}, "y", initializers)


@pytest.fixture
def convnet_path(tmp_path: Path) -> Path:
    path = tmp_path / "convnet.onnx"
    onnx.save(small_convnet(), str(path))
    return path


@pytest.fixture
def small_path(tmp_path: Path) -> Path:
    """A model of two convolutions, for tests that care about the run, not about every kind of kernel."""
    path = tmp_path / "small.onnx"
    onnx.save(two_convolutions(), str(path))
    return path


@pytest.fixture(scope="session")
def tuned_store(tmp_path_factory: pytest.TempPathFactory, machine: Machine) -> Path:
    """A store with a real library: a small convolutional net, tuned with a few trials a kernel."""
    from recommender.progress import Reporter
    from recommender.tuning import tune
    from recommender.workspace import open_workspace

    folder = tmp_path_factory.mktemp("library")
    onnx.save(small_convnet(channels=8, size=12), str(folder / "donor.onnx"))
    path = folder / "outcomes.db"
    model = prepare_named(str(folder / "donor.onnx"), machine)
    with open_workspace(machine, path, "tune") as workspace:
        tune([model], 8, workspace, Reporter(0))
    return path


@pytest.fixture(scope="session")
def shipped_of_two_models() -> Data:
    """Shipped outcomes of two models on one machine: enough for a study, and quick."""
    from recommender.datasets.layers import SHIPPED, load_data

    data = load_data(SHIPPED).of_models(["resnet18", "mobilenet_v2"])
    hardware, _ = data.most_measured()
    return data.only(lambda m: m.hardware == hardware.id)


@pytest.fixture
def library(tuned_store: Path, tmp_path: Path) -> Path:
    """A copy of the tuned store that a test may write to."""
    copy = tmp_path / "library.db"
    shutil.copyfile(tuned_store, copy)
    return copy
