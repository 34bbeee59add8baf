"""Mutated ONNX files: an error of ours or a success, never a traceback, a crash or a hang.

What is imported all the same is lowered to kernels too, every tenth file, as that takes a second.

`RECOMMENDER_FUZZ=2000 pytest tests/faults/test_fuzz.py` tries more files.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import small_convnet

pytestmark = [pytest.mark.tvm, pytest.mark.faults]
CASES = int(os.environ.get("RECOMMENDER_FUZZ", "150"))

_IMPORTER = """
import json, sys
from collections import Counter
from pathlib import Path
from recommender.session import lower_model, read_model, this_machine
from recommender.errors import RecommenderError
machine = this_machine()
from recommender.compiler.frontend import fold, import_model
seen = Counter()
for number, path in enumerate(sorted(Path(sys.argv[1]).glob("*.onnx"))):
    print(path.name, file=sys.stderr, flush=True)
    try:
        model = read_model(str(path))
        lower_model(model, machine) if number % 10 == 0 else import_model(fold(model))
        seen["ok"] += 1
    except RecommenderError as exc:
        assert "\\n" not in str(exc), str(exc)
        seen[type(exc).__name__] += 1
print(json.dumps(seen))
"""


def mutated(data: bytes, rng: random.Random) -> bytes:
    """One to four bytes flipped, a slice cut out, or a slice doubled."""
    broken = bytearray(data)
    kind = rng.random()
    if kind < 0.7:
        for _ in range(rng.randint(1, 4)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
    else:
        start = rng.randrange(len(broken))
        stop = min(len(broken), start + rng.randint(1, 64))
        broken[start:stop] = b"" if kind < 0.85 else broken[start:stop] * 2
    return bytes(broken)


def test_mutated_models_are_refused_or_imported(tmp_path: Path) -> None:
    rng = random.Random(11)
    data = small_convnet(channels=4).SerializeToString()
    for i in range(CASES):
        (tmp_path / f"{i:05}.onnx").write_bytes(mutated(data, rng))

    done = subprocess.run(
        [sys.executable, "-c", _IMPORTER, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60 + 2 * CASES,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    assert sum(seen.values()) == CASES
    assert set(seen) <= {"ok", "ModelError"}
    assert seen["ModelError"] > 0
