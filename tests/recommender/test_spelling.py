"""Every way in which people write shapes."""

import pytest

from recommender.errors import UsageError
from recommender.spelling import parse_dim, parse_input_shape


@pytest.mark.parametrize(
    "text",
    ["x:1,3,224,224", "x:[1,3,224,224]", "x:1x3x224x224", "x[1,3,224,224]", "x: [1, 3, 224, 224]"],
)
def test_spellings_of_a_shape(text: str) -> None:
    assert parse_input_shape(text) == ("x", (1, 3, 224, 224))


def test_a_name_may_hold_colons_and_slashes() -> None:
    assert parse_input_shape("serving/x:0:1,8") == ("serving/x:0", (1, 8))


@pytest.mark.parametrize("text", ["x", "x:", ":1,2", "x:a,b", "x:0,3", "x:-1,3", "x:1-3-8", ""])
def test_what_is_not_a_shape_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--input-shape"):
        parse_input_shape(text)


def test_dim() -> None:
    assert parse_dim("batch=4") == ("batch", 4)


@pytest.mark.parametrize("text", ["batch", "batch=", "=4", "batch=0", "batch=-1", "batch=x"])
def test_what_is_not_a_dim_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--dim"):
        parse_dim(text)
