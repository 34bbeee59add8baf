"""A store that is cut, scribbled over or out of space: clear words, and the file is never made worse."""

from __future__ import annotations

import hashlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recommender.datasets.store import Store
from recommender.errors import DataError

pytestmark = pytest.mark.faults
CASES = int(os.environ.get("RECOMMENDER_STORE_FAULTS", "60"))
RECOMMENDER = "from recommender.cli import main; main()"


def fingerprint(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_everything(path: Path) -> int:
    with Store(path, read_only=True) as store:
        store.hardware(), store.workloads(), store.kernels(), store.searches()
        return sum(1 for _ in store.measurements())


@pytest.mark.parametrize("kind", ["cut", "flipped"])
def test_damage_is_an_error_or_harmless_and_the_file_stays_as_it_is(
    kind: str, tuned_store: Path, tmp_path: Path
) -> None:
    rng, whole = random.Random(3), tuned_store.read_bytes()
    complete, refused = read_everything(tuned_store), 0
    for case in range(CASES):
        content = bytearray(whole)
        if kind == "cut":
            del content[rng.randrange(1, len(whole)) :]
        else:
            for _ in range(rng.randrange(1, 200)):
                content[rng.randrange(len(content))] = rng.randrange(256)
        path = tmp_path / f"{case}.db"
        path.write_bytes(content)
        before = fingerprint(path)
        try:
            assert read_everything(path) <= complete
        except DataError as exc:
            refused += 1
            assert str(path) in str(exc)
            assert "move it away" in str(exc) or "schema" in str(exc)
        assert fingerprint(path) == before
        path.unlink()
    assert refused > CASES // 4  # the cases do damage


def limited(bytes_: int) -> None:
    """No file of this process may grow beyond so much: writes then fail as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, bytes_))


@pytest.mark.tvm
@pytest.mark.parametrize(
    ("command", "what"),
    [("tune --cold --trials 40 convnet.onnx", "the store"), ("train --only-mine", "the ranker")],
    ids=["store", "ranker"],
)
@pytest.mark.usefixtures("convnet_path")
def test_no_space_left_is_one_line_and_loses_nothing(
    command: str, what: str, library: Path, tmp_path: Path
) -> None:
    before = read_everything_of(library)
    size = library.stat().st_size + 40_000
    arguments = [*command.split(), "--store", str(library), "-q"]
    done = subprocess.run(
        [sys.executable, "-c", RECOMMENDER, *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        preexec_fn=lambda: limited(size),
        timeout=240,
        check=False,
    )

    assert done.returncode == 7, done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith(f"error: {what}")
    assert "free some space" in done.stderr
    assert read_everything_of(library) >= before


def read_everything_of(path: Path) -> int:
    with Store(path) as store:
        return sum(1 for _ in store.measurements())


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, tuned_store: Path) -> None:
    if os.geteuid() == 0:
        folder = Path("/proc/1")  # not even root can make files there
    else:
        folder = tmp_path / "read-only"
        folder.mkdir(mode=0o500)
    with pytest.raises(DataError, match="cannot be opened"):
        Store(folder / "s.db")


ASSETS = Path(__file__).parent.parent / "assets"


@pytest.mark.parametrize("path", sorted(ASSETS.glob("store-v*.db")), ids=lambda p: p.name)
def test_stores_of_every_schema_ever_shipped_can_be_read(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / path.name
    shutil.copyfile(path, copy)
    assert read_everything(copy) > 0


def test_there_is_an_asset_of_the_present_schema() -> None:
    from recommender.vocabulary import SCHEMA_VERSION

    assert (ASSETS / f"store-v{SCHEMA_VERSION}.db").exists()
