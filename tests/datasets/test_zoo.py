"""The zoo: eleven models, the same weights for the same seed."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from recommender.datasets.zoo import fill_weights, zoo_model, zoo_names
from recommender.errors import UsageError


def test_the_zoo_holds_the_papers_models() -> None:
    assert len(zoo_names()) == 11


def test_filling_is_complete_and_depends_on_the_seed_alone() -> None:
    a, b, c = zoo_model("mnasnet1_0", 1), zoo_model("mnasnet1_0", 1), zoo_model("mnasnet1_0", 2)

    assert a.SerializeToString() == b.SerializeToString() != c.SerializeToString()
    assert all(len(t.raw_data) > 0 for t in a.graph.initializer if t.data_type == onnx.TensorProto.FLOAT)
    onnx.checker.check_model(a)


def test_weights_that_are_there_are_kept() -> None:
    tensor = numpy_helper.from_array(np.ones(3, np.float32), "w")
    model = onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], [tensor]))

    assert fill_weights(model) == 0


def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="resnet18"):
        zoo_model("resnet19")
