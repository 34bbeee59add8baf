"""The rankers a user has: the shipped one and own ones by name, and which of them is used."""

from __future__ import annotations

import itertools
import re
import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path

from recommender.datasets.layers import data_folder
from recommender.errors import DataError, UsageError
from recommender.models.artefact import SHIPPED, RankerCard, load_ranker, ranker_files, save_ranker
from recommender.models.boosted import BoostedRanker

SHIPPED_NAME = "shipped"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LARGEST_BYTES = 200_000_000
"""An archive that claims to hold more is refused before anything of it is unpacked."""


def rankers_folder() -> Path:
    """Where own rankers are kept, and the file `active` with the name of the one in use."""
    return data_folder() / "rankers"


def ranker_names() -> list[str]:
    """The shipped ranker, then the user's own in alphabetical order."""
    own = rankers_folder().glob("own/[!.]*.json")
    return [SHIPPED_NAME, *sorted(path.name.removesuffix(".json") for path in own)]


def ranker_stem(name: str) -> Path:
    """Where a ranker's two files are, without suffix.

    Raises:
        UsageError: there is no ranker of that name; those there are get named.
    """
    if name not in ranker_names():
        raise UsageError(f"no ranker is called {name}; there are: {', '.join(ranker_names())}")
    return SHIPPED if name == SHIPPED_NAME else rankers_folder() / "own" / name


def active_name() -> str:
    """The ranker in use: the shipped one until another was chosen."""
    try:
        name = (rankers_folder() / "active").read_text().strip()
    except (OSError, UnicodeDecodeError):
        return SHIPPED_NAME
    return name if name in ranker_names() else SHIPPED_NAME


def use_ranker(name: str) -> None:
    """Let runs use this ranker from now on.

    Raises:
        UsageError: there is no ranker of that name.
        DataError: it cannot be read by this version.
    """
    load_ranker(ranker_stem(name))
    rankers_folder().mkdir(parents=True, exist_ok=True)
    partial = rankers_folder() / "active.partial"
    partial.write_text(name + "\n")
    partial.replace(rankers_folder() / "active")


def keep_ranker(ranker: BoostedRanker, card: RankerCard) -> str:
    """Keep a trained ranker under a new name made of its date and data; return the name."""
    base = f"{card.trained_at}-{card.data_digest[:8]}"
    numbered = (f"{base}-{n}" for n in itertools.count(2))
    name = next(n for n in itertools.chain([base], numbered) if n not in ranker_names())
    save_ranker(ranker, card, rankers_folder() / "own" / name)
    return name


def export_ranker(name: str, archive: Path) -> None:
    """Write a ranker's two files into a zip archive.

    Raises:
        UsageError: there is no ranker of that name.
        DataError: the archive cannot be written.
    """
    stem = ranker_stem(name)
    try:
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
            for path in ranker_files(stem):
                target.write(path, f"ranker{path.suffix}")
    except OSError as exc:
        raise DataError(f"{archive} cannot be written ({exc}); give another place with -o") from exc


def import_ranker(archive: Path, name: str) -> None:
    """Add a ranker from an archive that `export_ranker` wrote. Nothing in it is executed.

    Raises:
        UsageError: the name is taken or no name.
        DataError: not such an archive, or of other features; both hashes are named.
    """
    if not _NAME.fullmatch(name) or name in ranker_names():
        raise UsageError(f"{name} is taken, or is no plain name; give another with --name")
    with tempfile.TemporaryDirectory(prefix="recommend-") as temporary:
        stem = Path(temporary) / "ranker"
        try:
            with zipfile.ZipFile(archive) as source:
                for path in ranker_files(stem):
                    member = source.getinfo(path.name)
                    if member.file_size > _LARGEST_BYTES:
                        raise DataError(f"{archive} holds more than a ranker; it was not imported")
                    with source.open(member) as read, path.open("wb") as written:
                        shutil.copyfileobj(read, written)
        except (OSError, KeyError, RuntimeError, zlib.error, zipfile.BadZipFile) as exc:
            raise DataError(
                f"{archive} is no exported ranker ({exc}); run: recommender models export"
            ) from exc
        ranker, card = load_ranker(stem)
    save_ranker(ranker, card, rankers_folder() / "own" / name)
