"""Well-known models outside of the zoo, for `benchmarks/unseen.py`.

Three kinds: skeletons that come with the `onnx` package (its own weights are all alike, so random ones take
their place), trained models inside of other packages' wheels, and three that are built here, with random
weights.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from recommender.datasets.zoo import fill_weights

LIGHT = ("densenet121", "inception_v2", "shufflenet", "squeezenet", "vgg19", "zfnet512")
_LIGHT_FOLDER = Path(onnx.__file__).parent / "backend/test/data/light"


@dataclass(frozen=True)
class InWheel:
    """A trained model in a wheel, and the input that it is run with here."""

    wheel: str
    member: str
    shapes: Mapping[str, Sequence[int]]


_OCR = "rapidocr_onnxruntime"
IN_WHEELS = {
    "yolov8n_320": InWheel("nudenet", "nudenet/320n.onnx", {"images": (1, 3, 320, 320)}),
    "ppocr_v4_det": InWheel(_OCR, f"{_OCR}/models/ch_PP-OCRv4_det_infer.onnx", {"x": (1, 3, 640, 640)}),
    "ppocr_v4_rec": InWheel(_OCR, f"{_OCR}/models/ch_PP-OCRv4_rec_infer.onnx", {"x": (1, 3, 48, 320)}),
    "ppocr_v2_cls": InWheel(
        _OCR, f"{_OCR}/models/ch_ppocr_mobile_v2.0_cls_infer.onnx", {"x": (1, 3, 48, 192)}
    ),
    "magika": InWheel("magika", "magika/models/standard_v3_3/model.onnx", {"bytes": (1, 2048)}),
}


def light_model(name: str) -> onnx.ModelProto:
    """A model of the `onnx` package's backend tests; what it makes with ConstantOfShape become weights."""
    model = onnx.load(str(_LIGHT_FOLDER / f"light_{name}.onnx"))
    shapes = {i.name: numpy_helper.to_array(i).tolist() for i in model.graph.initializer if i.data_type == 7}
    made = [n for n in model.graph.node if n.op_type == "ConstantOfShape"]
    for node in made:
        dims, value = shapes[node.input[0]], helper.get_attribute_value(node.attribute[0])
        weight = TensorProto(name=node.output[0], data_type=TensorProto.FLOAT, dims=dims)
        if len(dims) < 2:  # of biases and normalisations: variances have to be positive
            constant = np.full(dims, numpy_helper.to_array(value).item(), np.float32)
            weight = numpy_helper.from_array(constant, node.output[0])
        model.graph.initializer.append(weight)
        model.graph.node.remove(node)
    fill_weights(model)
    return model


def wheel_model(name: str, folder: Path) -> onnx.ModelProto:
    """A model out of a wheel in a folder."""
    source = IN_WHEELS[name]
    wheels = sorted(folder.glob(f"{source.wheel}-*.whl"))
    if not wheels:
        raise SystemExit(f"there is no wheel of {source.wheel} in {folder}; see --help")
    with zipfile.ZipFile(wheels[-1]) as archive:
        return onnx.load_model_from_string(archive.read(source.member))


Inputs: TypeAlias = Mapping[str, tuple[int, Sequence[int]]]
"""Type and shape of each."""


class _Graph:
    """A graph in the making; every method returns the name of a value."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[TensorProto] = []

    def op(self, kind: str, *inputs: str, **attributes: object) -> str:
        return self.ops(kind, *inputs, outputs=1, **attributes)[0]

    def ops(self, kind: str, *inputs: str, outputs: int, **attributes: object) -> list[str]:
        names = [f"value{len(self._nodes)}_{i}" for i in range(outputs)]
        self._nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names

    def weight(self, *shape: int, kind: str = "weight") -> str:
        name = f"{len(self._initializers)}.{kind}"
        self._initializers.append(TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape))
        return name

    def constant(self, values: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        name = f"{len(self._initializers)}.constant"
        self._initializers.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def reshape(self, x: str, *shape: int) -> str:
        return self.op("Reshape", x, self.constant(shape, np.int64))

    def linear(self, x: str, inner: int, outer: int) -> str:
        product = self.op("MatMul", x, self.weight(inner, outer))
        return self.op("Add", product, self.weight(outer, kind="bias"))

    def norm(self, x: str, width: int) -> str:
        return self.op("LayerNormalization", x, self.weight(width), self.weight(width, kind="bias"), axis=-1)

    def conv(self, x: str, inner: int, outer: int, size: int, stride: int = 1, groups: int = 1) -> str:
        weight, bias = self.weight(outer, inner // groups, size, size), self.weight(outer, kind="bias")
        pad = 0 if stride == size else size // 2
        return self.op("Conv", x, weight, bias, strides=[stride] * 2, pads=[pad] * 4, group=groups)

    def gelu(self, x: str) -> str:
        """As PyTorch exports it: x (1 + erf(x / sqrt 2)) / 2."""
        erf = self.op("Erf", self.op("Div", x, self.constant(math.sqrt(2))))
        doubled = self.op("Mul", x, self.op("Add", erf, self.constant(1.0)))
        return self.op("Mul", doubled, self.constant(0.5))

    def tanh_gelu(self, x: str) -> str:
        """GPT-2's: x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2."""
        cube = self.op("Mul", self.op("Pow", x, self.constant(3.0)), self.constant(0.044715))
        inner = self.op("Mul", self.op("Add", x, cube), self.constant(math.sqrt(2 / math.pi)))
        one_more = self.op("Add", self.op("Tanh", inner), self.constant(1.0))
        return self.op("Mul", self.op("Mul", x, self.constant(0.5)), one_more)

    def attend(self, q: str, k: str, v: str, shape: tuple[int, int, int], mask: str | None = None) -> str:
        """Attention between three projections of (1, length, width) with a number of heads."""
        length, width, heads = shape
        q, k, v = (self.reshape(x, 1, length, heads, width // heads) for x in (q, k, v))
        q, v = (self.op("Transpose", x, perm=[0, 2, 1, 3]) for x in (q, v))
        k = self.op("Transpose", k, perm=[0, 2, 3, 1])
        scores = self.op("Div", self.op("MatMul", q, k), self.constant(math.sqrt(width // heads)))
        if mask:
            scores = self.op("Where", mask, scores, self.constant(np.finfo(np.float32).min))
        mixed = self.op("MatMul", self.op("Softmax", scores, axis=-1), v)
        return self.reshape(self.op("Transpose", mixed, perm=[0, 2, 1, 3]), 1, length, width)

    def mlp(self, x: str, width: int, gelu: Callable[[str], str]) -> str:
        return self.linear(gelu(self.linear(x, width, 4 * width)), 4 * width, width)

    def model(self, name: str, inputs: Inputs, output: str) -> onnx.ModelProto:
        """The graph as a model with random weights."""
        described = [helper.make_tensor_value_info(key, *given) for key, given in inputs.items()]
        last = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
        graph = helper.make_graph(self._nodes, name, described, [last], self._initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        fill_weights(model)
        return model


_IMAGE = {"x": (TensorProto.FLOAT, (1, 3, 224, 224))}


def vit_b_16() -> onnx.ModelProto:
    """Dosovitskiy et al. 2021, table 1, ViT-Base with patches of 16."""
    g, width, length = _Graph(), 768, 197
    patches = g.reshape(g.conv("x", 3, width, 16, stride=16), 1, width, length - 1)
    tokens = g.op("Concat", g.weight(1, 1, width), g.op("Transpose", patches, perm=[0, 2, 1]), axis=1)
    x = g.op("Add", tokens, g.weight(1, length, width))
    for _ in range(12):
        normed = g.norm(x, width)
        q, k, v = (g.linear(normed, width, width) for _ in range(3))
        x = g.op("Add", x, g.linear(g.attend(q, k, v, (length, width, 12)), width, width))
        x = g.op("Add", x, g.mlp(g.norm(x, width), width, g.gelu))
    first = g.op("Gather", g.norm(x, width), g.constant(0, np.int64), axis=1)
    return g.model("vit_b_16", _IMAGE, g.linear(first, width, 1000))


def convnext_tiny() -> onnx.ModelProto:
    """Liu et al. 2022, ConvNeXt-T: 3, 3, 9, 3 blocks of 96, 192, 384, 768 channels."""
    g, last_first, last_channels = _Graph(), [0, 2, 3, 1], [0, 3, 1, 2]
    x, inner = "x", 3
    for stage, (blocks, width) in enumerate(((3, 96), (3, 192), (9, 384), (3, 768))):
        if stage == 0:
            x = g.op("Transpose", g.conv(x, inner, width, 4, stride=4), perm=last_first)
            x = g.op("Transpose", g.norm(x, width), perm=last_channels)
        else:
            x = g.norm(g.op("Transpose", x, perm=last_first), inner)
            x = g.conv(g.op("Transpose", x, perm=last_channels), inner, width, 2, stride=2)
        for _ in range(blocks):
            y = g.op("Transpose", g.conv(x, width, width, 7, groups=width), perm=last_first)
            y = g.op("Transpose", g.mlp(g.norm(y, width), width, g.gelu), perm=last_channels)
            x = g.op("Add", g.op("Mul", g.weight(width, 1, 1), y), x)
        inner = width
    pooled = g.op("Flatten", g.op("GlobalAveragePool", x))
    return g.model("convnext_tiny", _IMAGE, g.linear(g.norm(pooled, inner), inner, 1000))


def gpt2_128() -> onnx.ModelProto:
    """Radford et al. 2019, the smallest GPT-2, without the projection to the vocabulary, on 128 tokens."""
    g, width, length = _Graph(), 768, 128
    words = g.op("Gather", g.weight(50257, width), "ids")
    x = g.op("Add", words, g.weight(1, length, width))
    causal = g.constant(np.tril(np.ones((1, 1, length, length))), np.bool_)
    for _ in range(12):
        qkv = g.linear(g.norm(x, width), width, 3 * width)
        q, k, v = g.ops("Split", qkv, g.constant([width] * 3, np.int64), outputs=3, axis=2)
        x = g.op("Add", x, g.linear(g.attend(q, k, v, (length, width, 12), causal), width, width))
        x = g.op("Add", x, g.mlp(g.norm(x, width), width, g.tanh_gelu))
    return g.model("gpt2_128", {"ids": (TensorProto.INT64, (1, length))}, g.norm(x, width))


BUILT = {"vit_b_16": vit_b_16, "convnext_tiny": convnext_tiny, "gpt2_128": gpt2_128}
