"""Files that are complete or not there, and that replace nothing unasked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recommender.errors import OutputError


@contextmanager
def new_file(path: Path, *, force: bool = False) -> Iterator[Path]:
    """A place beside `path` to write to; what is there at the end of the block is moved to `path`.

    Raises:
        OutputError: `path` exists, and `force` is not given or it is no file.
    """
    if path.exists() and not (force and path.is_file()):
        raise OutputError(f"{path} exists; give another file with -o, or --force to replace a file")
    partial = path.with_stem(f".{path.stem}-{os.getpid()}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
