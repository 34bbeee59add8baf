"""How people write shapes and dimensions on a command line."""

from __future__ import annotations

import re

from recommender.errors import UsageError


def parse_input_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """`name:1,3,224,224`, `name:[1,3,224,224]`, `name:1x3x224x224` or `name[1,3,224,224]`.

    ONNX names may hold colons, slashes and dots, so the last colon or bracket counts.

    Raises:
        UsageError: none of these forms, or a dimension below 1.
    """
    match = re.fullmatch(r"(.+?)\s*(?::\s*\[?|\[)\s*([\d\sx,]+?)\s*\]?", text)
    if match is None:
        raise UsageError(f"--input-shape {text!r} is not of the form name:1,3,224,224")
    dims = tuple(int(d) for d in re.split(r"[x,\s]+", match[2]) if d)
    if not dims or min(dims) < 1:
        raise UsageError(f"--input-shape {text!r} needs dimensions of 1 or more")
    return match[1], dims


def parse_dim(text: str) -> tuple[str, int]:
    """`batch=1`: a symbolic dimension's name and its value.

    Raises:
        UsageError: not of that form, or below 1.
    """
    name, _, value = text.rpartition("=")
    if not name or not value.isdigit() or int(value) < 1:
        raise UsageError(f"--dim {text!r} is not of the form name=1")
    return name, int(value)
