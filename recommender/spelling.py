"""How people write shapes and dimensions on a command line."""

from __future__ import annotations

import re

from recommender.errors import UsageError

LARGEST = (1 << 31) - 1
"""TVM counts loops in 32 bits."""


def parse_input_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """`name:1,3,224,224`, `name:[1,3,224,224]`, `name:1x3x224x224` or `name[1,3,224,224]`.

    ONNX names may hold colons, slashes and dots, so the last colon or bracket counts.

    Raises:
        UsageError: none of these forms, or a dimension out of range.
    """
    match = re.fullmatch(r"(.+?)\s*(?::\s*\[?|\[)\s*([\d\sx,]+?)\s*\]?", text)
    if match is None:
        raise UsageError(f"--input-shape {text!r} is not of the form name:1,3,224,224")
    sizes = [size for size in re.split(r"[x,\s]+", match[2]) if size]
    if not sizes or not all(map(_is_dimension, sizes)):
        raise UsageError(f"--input-shape {text!r} needs dimensions from 1 to {LARGEST}")
    return match[1], tuple(map(int, sizes))


def parse_dim(text: str) -> tuple[str, int]:
    """`batch=1`: a symbolic dimension's name and its value.

    Raises:
        UsageError: not of that form, or out of range.
    """
    name, _, value = text.rpartition("=")
    if not name or not _is_dimension(value):
        raise UsageError(f"--dim {text!r} is not of the form name=1, with a number from 1 to {LARGEST}")
    return name, int(value)


def _is_dimension(text: str) -> bool:
    """Whether this is a dimension: `int` raises at other digits than 0 to 9, and at thousands of them."""
    return re.fullmatch(r"[0-9]{1,19}", text) is not None and 1 <= int(text) <= LARGEST
