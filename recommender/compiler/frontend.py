"""From an ONNX file to a Relax module: shapes fixed, constants folded, every operator known."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import tempfile
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import tvm
import tvm.relax.frontend.onnx.onnx_frontend as importer
from google.protobuf.message import DecodeError
from tvm import relax
from tvm.ir import IRModule

from recommender.compiler.expressions import constant_value
from recommender.errors import ModelError, UsageError
from recommender.vocabulary import Json, ModelInput

# ORT's basic level folds constants and removes what does nothing; this one of its passes would turn
# BERT's matrix products into Gemm between reshapes, which costs their fusion.
_UNWANTED_OPTIMIZERS = ["MatMulAddFusion"]
_PROTOBUF_BYTES = (1 << 31) - (1 << 20)


@dataclass(frozen=True)
class OnnxModel:
    """A model ready for import: static shapes, folded constants."""

    name: str
    proto: onnx.ModelProto
    inputs: tuple[ModelInput, ...]

    @property
    def is_large(self) -> bool:
        """Whether the model is too large for one protobuf file of 2 GiB."""
        return int(self.proto.ByteSize()) >= _PROTOBUF_BYTES


def fixed_model(
    proto: onnx.ModelProto,
    name: str,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    dims: Mapping[str, int] | None = None,
) -> OnnxModel:
    """A model with shapes fixed, and constants as they are.

    Raises:
        ModelError: a dimension is left open.
        UsageError: a shape or a dimension is given for something that the model does not have.
    """
    _fix_shapes(proto, input_shapes or {}, dims or {})
    _refuse_open_dims(proto)
    return OnnxModel(name, proto, tuple(map(_model_input, _graph_inputs(proto))))


def fold(model: OnnxModel) -> OnnxModel:
    """The model with what can be computed from constants computed.

    Raises:
        ModelError: ONNX Runtime does not take it.
    """
    folded = _folded(model.proto, model.name)
    return OnnxModel(model.name, folded, tuple(map(_model_input, _graph_inputs(folded))))


def read(path: Path) -> onnx.ModelProto:
    """The content of an ONNX file, and of external data beside it.

    Raises:
        ModelError: missing, not ONNX, truncated, or without nodes.
    """
    if not path.is_file():
        raise ModelError(f"{path} does not exist; give an .onnx file")
    try:
        proto = onnx.load(str(path), load_external_data=False)
    except (DecodeError, OSError, ValueError) as exc:
        raise ModelError(f"{path} is not an ONNX file, or it is cut short; export it again") from exc
    if not proto.graph.node or not proto.opset_import:
        raise ModelError(f"{path} is not an ONNX model: it has no nodes; export it again")
    try:
        onnx.load_external_data_for_model(proto, str(path.parent))
    except (OSError, ValueError, onnx.checker.ValidationError) as exc:
        raise ModelError(
            f"{path} keeps weights in other files that cannot be read ({_first_line(exc)}); "
            "put them beside the model"
        ) from exc
    return proto


def _graph_inputs(proto: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    initializers = {tensor.name for tensor in proto.graph.initializer}
    return [value for value in proto.graph.input if value.name not in initializers]


def _fix_shapes(
    proto: onnx.ModelProto, input_shapes: Mapping[str, Sequence[int]], dims: Mapping[str, int]
) -> None:
    inputs = {value.name: value.type.tensor_type.shape for value in _graph_inputs(proto)}
    for name, shape in input_shapes.items():
        _fix_input(inputs, name, shape)
    known = {d.dim_param for shape in inputs.values() for d in shape.dim if d.dim_param}
    for name in dims.keys() - known:
        raise UsageError(f"--dim: no dimension {name!r}; open are {', '.join(sorted(known)) or 'none'}")
    for dim in (d for shape in inputs.values() for d in shape.dim if d.dim_param in dims):
        dim.dim_value = dims[dim.dim_param]
    if input_shapes or dims:
        # Shapes that the exporter inferred for the old inputs would contradict the new ones.
        del proto.graph.value_info[:]
        for value in proto.graph.output:
            value.type.tensor_type.ClearField("shape")


def _fix_input(inputs: Mapping[str, onnx.TensorShapeProto], name: str, shape: Sequence[int]) -> None:
    if name not in inputs:
        raise UsageError(f"--input-shape: no input {name!r}; the model has {', '.join(inputs)}")
    if inputs[name].dim and len(inputs[name].dim) != len(shape):
        raise UsageError(f"--input-shape: {name!r} has {len(inputs[name].dim)} dimensions, not {len(shape)}")
    _set_shape(inputs[name], shape)


def _refuse_open_dims(proto: onnx.ModelProto) -> None:
    flags = []
    for value in _graph_inputs(proto):
        if not value.type.HasField("tensor_type"):
            raise ModelError(
                f"input {value.name!r} is not a tensor, which TVM cannot take; export with tensors as inputs"
            )
        sizes = [d.dim_value or d.dim_param or "?" for d in value.type.tensor_type.shape.dim]
        if not value.type.tensor_type.HasField("shape"):
            flags.append(f"{value.name} of unknown rank: --input-shape {value.name}:1,...")
        elif not all(isinstance(size, int) for size in sizes):
            example = ",".join(str(s) if isinstance(s, int) else "1" for s in sizes)
            shown = ", ".join(map(str, sizes))
            flags.append(f"{value.name} ({shown}): --input-shape {value.name}:{example}")
    if flags:
        raise ModelError("the model has open dimensions; add, for each input: " + "; ".join(flags))


def _folded(proto: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """Fold constants with ONNX Runtime's basic optimisations, which keep standard operators."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4
    with tempfile.TemporaryDirectory(prefix="recommend-") as folder:
        target = Path(folder) / "folded.onnx"
        options.optimized_model_filepath = str(target)
        source = _serialized(proto, Path(folder))
        if isinstance(source, str):
            options.add_session_config_entry(
                "session.optimized_model_external_initializers_file_name", "folded.data"
            )
        try:
            session = onnxruntime.InferenceSession(
                source,
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=_UNWANTED_OPTIMIZERS,
            )
        except Exception as exc:  # ORT raises bare Exception subclasses that it does not export
            if operators := _unsupported_operators(proto):  # ORT names the first that it does not know
                raise _unsupported(operators) from exc
            raise ModelError(f"{name} is not a valid model: {_first_line(exc)}; export it again") from exc
        folded = onnx.load(str(target))
    for value, output in zip(folded.graph.output, session.get_outputs(), strict=True):
        _set_shape(value.type.tensor_type.shape, output.shape)
    return folded


def _set_shape(shape: onnx.TensorShapeProto, sizes: Sequence[int | str | None]) -> None:
    """Replace a tensor's dimensions; those that are not known stay open."""
    del shape.dim[:]
    for size in sizes:
        dim = shape.dim.add()
        if isinstance(size, int):
            dim.dim_value = size


def _serialized(proto: onnx.ModelProto, folder: Path) -> bytes | str:
    """The model as bytes, or as a file with external data where protobuf's 2 GiB do not suffice."""
    if proto.ByteSize() < _PROTOBUF_BYTES:
        return bytes(proto.SerializeToString())
    path = folder / "large.onnx"
    onnx.save(proto, str(path), save_as_external_data=True, location="large.data")
    return str(path)


def _model_input(value: onnx.ValueInfoProto) -> ModelInput:
    tensor = value.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    return ModelInput(value.name, tuple(d.dim_value for d in tensor.shape.dim), str(dtype))


def import_model(model: OnnxModel) -> IRModule:
    """Import into Relax, with weights as constants.

    Raises:
        ModelError: operators that TVM does not have (all of them named), or an import that failed.
    """
    printed = io.StringIO()  # the importer prints its errors on stdout
    try:
        with (
            _layout_transparent_operators(),
            contextlib.redirect_stdout(printed),
            _checker_silence(),
        ):
            return importer.from_onnx(model.proto, keep_params_in_input=False)
    except tvm.error.OpNotImplemented as exc:
        raise _unsupported(_unsupported_operators(model.proto)) from exc
    except Exception as exc:  # converters raise whatever they stumble over
        operator = re.search(r"Error converting operator (\S+)", printed.getvalue())
        where = f" at operator {operator[1].rstrip(',')}" if operator else ""
        raise ModelError(
            f"TVM's importer failed{where}: {_first_line(exc)}; exporting with another opset may help"
        ) from exc


def _unsupported(operators: Collection[str]) -> ModelError:
    return ModelError(
        f"TVM cannot import these operators: {', '.join(sorted(operators))}; export with another opset, or "
        "rewrite the model without them"
    )


def _unsupported_operators(proto: onnx.ModelProto) -> set[str]:
    """Operators that TVM does not import, of the graph, its branches and the model's own functions."""
    functions = proto.functions
    used = _operators(itertools.chain(proto.graph.node, *(function.node for function in functions)))
    return used - {*importer._get_convert_map(), "If", "Constant", *(function.name for function in functions)}


def _operators(nodes: Iterable[onnx.NodeProto]) -> set[str]:
    operators: set[str] = set()
    for node in nodes:
        graphs = [graph for attribute in node.attribute for graph in (attribute.g, *attribute.graphs)]
        # A name that is not UTF-8 comes as bytes.
        operators |= {str(node.op_type), *_operators(inner for graph in graphs for inner in graph.node)}
    return operators


def _first_line(exc: BaseException) -> str:
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return lines[-1] if lines else type(exc).__name__


class _Clip(importer.Clip):  # type: ignore[misc]
    """Clip as two operators that ConvertLayout sees through; TVM's own are opaque calls.

    With TVM's converter every relu6 keeps a transpose on either side and loses its fusion.
    """

    @classmethod
    def _impl_v13(cls, bb: Any, inputs: Any, attr: Any, params: Any) -> Any:
        result = inputs[0]
        if inputs[1] is not None:
            result = bb.emit(relax.op.maximum(result, inputs[1]))
        if inputs[2] is not None:
            result = bb.emit(relax.op.minimum(result, inputs[2]))
        return result

    @classmethod
    def _impl_v1(cls, bb: Any, inputs: Any, attr: Any, params: Any) -> Any:
        bounds = [attr.get("min"), attr.get("max")]
        dtype = inputs[0].ty.dtype
        consts = [None if b is None else relax.const(float(b), dtype) for b in bounds]
        return cls._impl_v13(bb, [inputs[0], *consts], attr, params)


class _HardSigmoid(importer.HardSigmoid):  # type: ignore[misc]
    """max(0, min(1, alpha x + beta)) without relax.clip, which ConvertLayout does not see through."""

    @classmethod
    def _impl_v1(cls, bb: Any, inputs: Any, attr: Any, params: Any) -> Any:
        def const(value: float) -> relax.Expr:
            return relax.const(float(value), inputs[0].ty.dtype)

        line = relax.op.add(
            relax.op.multiply(inputs[0], const(attr.get("alpha", 0.2))), const(attr.get("beta", 0.5))
        )
        return relax.op.minimum(relax.op.maximum(line, const(0)), const(1))


class _HardSwish(importer.HardSwish):  # type: ignore[misc]
    """x * HardSigmoid(x) with alpha 1/6 and beta 1/2, as the ONNX specification defines it."""

    @classmethod
    def _impl_v14(cls, bb: Any, inputs: Any, attr: Any, params: Any) -> Any:
        gate = _HardSigmoid._impl_v1(bb, inputs, {"alpha": 1 / 6, "beta": 0.5}, params)
        return relax.op.multiply(inputs[0], gate)


class _BatchNormalization(importer.BatchNormalization):  # type: ignore[misc]
    """A scale and a shift where the statistics are constants, which leaves TVM nothing to fold.

    ONNX Runtime has folded those that follow a convolution.
    """

    @classmethod
    def _impl_v15(cls, bb: Any, inputs: Any, attr: Any, params: Any) -> Any:
        data, dtype = inputs[0], str(inputs[0].ty.dtype)
        values = [constant_value(statistic) for statistic in inputs[1:5]]
        known = [value.astype(np.float64) for value in values if value is not None and value.dtype == dtype]
        if attr.get("training_mode", 0) or len(known) < 4:
            return super()._impl_v15(bb, inputs, attr, params)
        gamma, beta, mean, variance = (value.reshape(-1, *[1] * (data.ty.ndim - 2)) for value in known)
        scale = gamma / np.sqrt(variance + attr.get("epsilon", 1e-5))
        scaled = relax.op.multiply(data, relax.const(scale.astype(dtype)))
        return relax.op.add(scaled, relax.const((beta - mean * scale).astype(dtype)))


class _Pairwise(importer.MultiInputBase):  # type: ignore[misc]
    """Sums, means and extremes two at a time, which fuse; TVM stacks them, where ConvertLayout fails."""

    @classmethod
    def _impl_v1(cls, bb: Any, inputs: Any, attr: Any, params: Any) -> Any:
        if all(isinstance(value, tvm.ir.GenericConst) for value in inputs):
            return super()._impl_v1(bb, inputs, attr, params)
        return cls._impl_dynamic(bb, inputs)


class _Sum(_Pairwise, importer.Sum):  # type: ignore[misc]
    pass


class _Mean(_Pairwise, importer.Mean):  # type: ignore[misc]
    pass


class _Max(_Pairwise, importer.Max):  # type: ignore[misc]
    pass


class _Min(_Pairwise, importer.Min):  # type: ignore[misc]
    pass


_TRANSPARENT: Mapping[str, Json] = {
    "BatchNormalization": _BatchNormalization,
    "Clip": _Clip,
    "HardSigmoid": _HardSigmoid,
    "HardSwish": _HardSwish,
    "Max": _Max,
    "Mean": _Mean,
    "Min": _Min,
    "Sum": _Sum,
}


@contextlib.contextmanager
def _layout_transparent_operators() -> Iterator[None]:
    """Let the importer use the converters above; it offers no other way to replace one."""
    original = importer._get_convert_map
    importer._get_convert_map = lambda *args: {**original(*args), **_TRANSPARENT}
    try:
        yield
    finally:
        importer._get_convert_map = original


@contextlib.contextmanager
def _checker_silence() -> Iterator[None]:
    """The importer turns onnx.checker's complaints into warnings; ONNX Runtime took the model already."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
