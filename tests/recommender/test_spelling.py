"""Every way in which people write shapes."""

import pytest

from recommender.errors import UsageError
from recommender.spelling import LARGEST, parse_dim, parse_input_shape

NO_DIMENSIONS = ["0", "-1", "a", "²", str(LARGEST + 1), pytest.param(5000 * "1", id="thousands of digits")]


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


@pytest.mark.parametrize("size", NO_DIMENSIONS)
def test_what_is_not_a_dimension_is_refused(size: str) -> None:
    with pytest.raises(UsageError, match="--input-shape"):
        parse_input_shape(f"x:1,{size}")
    with pytest.raises(UsageError, match="--dim"):
        parse_dim(f"batch={size}")


def test_dim() -> None:
    assert parse_dim("batch=4") == ("batch", 4)
    assert parse_dim(f"a=b={LARGEST}") == ("a=b", LARGEST)


@pytest.mark.parametrize("text", ["batch", "batch=", "=4", "batch=0", "batch=-1", "batch=x"])
def test_what_is_not_a_dim_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--dim"):
        parse_dim(text)
