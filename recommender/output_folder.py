"""The folder that a run writes: complete or not there, and nothing that is not ours is replaced."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from recommender.compiler import setup
from recommender.errors import OutputError, SetupError

_OURS = ("model.so", "report.json", "run.py")
_REPLACED = "-replaced"


@dataclass(frozen=True)
class OutputFolder:
    """Where the result goes. It is written beside its place and moved there when it is complete."""

    path: Path

    @classmethod
    def claim(cls, model: str | Path, output: Path | None, force: bool) -> OutputFolder:
        """Check, before any work, that the folder can be written.

        Raises:
            OutputError: it exists and `force` is not given, or its parent cannot be written.
            SetupError: there is no C compiler to link the model with.
        """
        path = output or Path(f"{Path(model).stem}.rec")
        parent = path.absolute().parent
        if not parent.is_dir() or not os.access(parent, os.W_OK):
            raise OutputError(f"{parent} is not a folder that can be written; give another with -o")
        _clear_up(path.absolute())
        if path.exists() and not _is_ours(path):
            raise OutputError(f"{path} was not written by recommend and stays; give another folder with -o")
        if path.exists() and not force:
            raise OutputError(f"{path} exists; give another folder with -o, or --force to replace it")
        if setup.c_compiler() is None:
            raise SetupError("no C compiler on PATH, which TVM links with; run: apt-get install g++")
        return cls(path)

    def stage(self) -> Path:
        """A new folder beside the output folder, named after this process."""
        return Path(
            tempfile.mkdtemp(prefix=f".{self.path.name}-{os.getpid()}-", dir=self.path.absolute().parent)
        )

    def put(self, staged: Path) -> None:
        """Move a complete folder into place; what was there is put back if that fails.

        Raises:
            OutputError: it cannot be moved.
        """
        place, replaced = self.path.absolute(), staged.with_name(staged.name + _REPLACED)
        try:
            staged.chmod(0o755)
            if place.exists():
                place.replace(replaced)
            staged.replace(place)
        except OSError as exc:
            raise OutputError(f"{self.path} cannot be written ({exc}); give another with -o") from exc
        finally:
            if replaced.exists() and not place.exists():
                replaced.replace(place)
        shutil.rmtree(replaced, ignore_errors=True)


def _is_ours(path: Path) -> bool:
    """Whether a folder may be replaced: one that `recommend` wrote, or an empty one."""
    return path.is_dir() and (not any(path.iterdir()) or all((path / name).is_file() for name in _OURS))


def _clear_up(place: Path) -> None:
    """Remove what killed runs left beside the output folder; their process ids are in the names.

    One that was killed between its two renames has left the old result there, which is put back.
    """
    name = re.compile(rf"\.{re.escape(place.name)}-(\d+)-\w{{8}}({_REPLACED})?")
    for leftover in sorted(place.parent.iterdir()):
        match = name.fullmatch(leftover.name)
        if match is None or Path(f"/proc/{match[1]}").exists():
            continue
        if match[2] and not place.exists():
            leftover.replace(place)
        else:
            shutil.rmtree(leftover, ignore_errors=True)
