"""ONNX files, good and bad."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from recommender.compiler.frontend import OnnxModel, fold, import_model
from recommender.errors import ModelError, UsageError
from recommender.session import read_model
from tests.conftest import model_of, small_convnet, weight

pytestmark = pytest.mark.tvm


def load_model(
    path: Path, input_shapes: Mapping[str, Sequence[int]] | None = None, dims: Mapping[str, int] | None = None
) -> OnnxModel:
    """A file as a run reads it."""
    return fold(read_model(str(path), input_shapes, dims))


def save(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "model.onnx"
    onnx.save(model, str(path))
    return path


def test_open_dimensions_are_listed_with_the_flag_to_add(tmp_path: Path) -> None:
    path = save(small_convnet(batch="batch", size="s"), tmp_path)

    with pytest.raises(ModelError, match=r"x \(batch, 4, s, s\): --input-shape x:1,4,1,1"):
        load_model(path)


def test_dims_and_input_shapes_close_them(tmp_path: Path) -> None:
    path = save(small_convnet(batch="batch", size="s"), tmp_path)

    assert load_model(path, dims={"batch": 2, "s": 8}).inputs[0].shape == (2, 4, 8, 8)
    assert load_model(path, {"x": (1, 4, 6, 6)}).inputs[0].shape == (1, 4, 6, 6)


def test_a_shape_for_no_input_is_refused(tmp_path: Path) -> None:
    path = save(small_convnet(), tmp_path)

    with pytest.raises(UsageError, match="the model has x"):
        load_model(path, {"y": (1,)})
    with pytest.raises(UsageError, match="4 dimensions, not 2"):
        load_model(path, {"x": (1, 4)})
    with pytest.raises(UsageError, match="no dimension 'batch'"):
        load_model(path, dims={"batch": 1})


@pytest.mark.parametrize("content", [b"", b"not an onnx file", b"\x08\x09"])
def test_what_is_not_onnx_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)

    with pytest.raises(ModelError, match=r"bad\.onnx is not an ONNX"):
        load_model(path)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = save(small_convnet(), tmp_path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(ModelError, match="cut short"):
        load_model(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        load_model(tmp_path / "none.onnx")


def test_external_data_beside_the_model_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(
        small_convnet(), str(path), save_as_external_data=True, location="weights.bin", size_threshold=0
    )

    assert load_model(path).inputs[0].name == "x"

    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ModelError, match="put them beside the model"):
        load_model(path)


def test_external_data_outside_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(64))
    folder = tmp_path / "model"
    folder.mkdir()
    model = small_convnet()
    tensor = model.graph.initializer[1]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "../secret.bin"), ("length", "64")):
        tensor.external_data.add(key=key, value=value)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())

    with pytest.raises(ModelError, match="cannot be read"):
        load_model(path)


def test_every_unsupported_operator_is_named(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Det", ["x"], ["d"]),
        helper.make_node("Multinomial", ["x"], ["b"], sample_size=1),
        helper.make_node("Cast", ["b"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["f"], ["s"], keepdims=0),
        helper.make_node("Add", ["d", "s"], ["y"]),
    ]
    path = save(model_of(nodes, {"x": [3, 3]}, "y", []), tmp_path)

    with pytest.raises(ModelError, match=r"cannot import these operators: Det, Multinomial;"):
        import_model(load_model(path))


def test_operators_that_nobody_knows_are_all_named(tmp_path: Path) -> None:
    branch = helper.make_graph(
        [helper.make_node("Baz", ["x"], ["b"])], "branch", [], [helper.make_tensor_value_info("b", 1, None)]
    )
    nodes = [
        helper.make_node("Foo", ["x"], ["f"]),
        helper.make_node("Det", ["f"], ["d"]),
        helper.make_node("Relu", ["d"], ["r"]),
        helper.make_node("If", ["c"], ["i"], then_branch=branch, else_branch=branch),
        helper.make_node("Own", ["i"], ["o"], domain="own"),
        helper.make_node("Add", ["r", "o"], ["y"]),
    ]
    model = model_of(nodes, {"x": [3, 3]}, "y", [numpy_helper.from_array(np.array(True), "c")])
    model.opset_import.append(helper.make_opsetid("own", 1))
    inner = [helper.make_node("Bar", ["a"], ["b"])]
    model.functions.append(
        helper.make_function("own", "Own", ["a"], ["b"], inner, [helper.make_opsetid("", 18)])
    )

    with pytest.raises(ModelError, match="cannot import these operators: Bar, Baz, Det, Foo;"):
        load_model(save(model, tmp_path))


def test_a_model_that_is_invalid_for_another_reason_is_said(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    path = save(model_of(nodes, {"x": [2, 8]}, "y", [weight("w", 9, 4)]), tmp_path)

    with pytest.raises(ModelError, match=r"model is not a valid model: .*; export it again"):
        load_model(path)


def test_computed_pads_are_folded(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Concat", ["zeros", "ones"], ["pads"], axis=0),
        helper.make_node("Pad", ["x", "pads"], ["p"]),
        helper.make_node("Relu", ["p"], ["y"]),
    ]
    constants = [
        numpy_helper.from_array(np.zeros(2, np.int64), "zeros"),
        numpy_helper.from_array(np.ones(2, np.int64), "ones"),
    ]
    path = save(model_of(nodes, {"x": [2, 3]}, "y", constants), tmp_path)

    assert import_model(load_model(path)) is not None


def test_weights_stay_constants(tmp_path: Path) -> None:
    model = model_of([helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": [2, 8]}, "y", [weight("w", 8, 4)])

    module = import_model(load_model(save(model, tmp_path)))

    assert len(module["main"].params) == 1
