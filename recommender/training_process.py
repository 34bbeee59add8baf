"""A run's ranker, trained in a process of its own where it has to be trained.

TVM's calls are many and short, and each waits for Python's lock, which training holds for milliseconds: in
threads of one process both take twice as long (docs/decisions.md).

`python -m recommender.training_process` reads a request from stdin, and writes where the ranker is to stdout.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from recommender.active import ready_ranker, trained_without
from recommender.datasets.layers import load_data
from recommender.errors import DataError, RecommenderError
from recommender.knowledge import store_paths
from recommender.models.artefact import load_ranker
from recommender.models.boosted import BoostedRanker
from recommender.progress import Reporter
from recommender.run import Run
from recommender.vocabulary import Hardware, Json


@contextmanager
def ranker_beside(run: Run) -> Iterator[Callable[[], BoostedRanker]]:
    """The ranker in use, or one that is trained meanwhile if that saw what the run leaves out.

    What is yielded waits for the ranker. Training ends with the block, finished or not.

    Raises:
        DataError: a ranker is damaged or of other features, or, once it is waited for, there is nothing to
            train on.
    """
    ready = ready_ranker(run.options.exclude_models)
    if ready is not None:
        yield lambda: ready
        return
    with subprocess.Popen(
        [sys.executable, "-m", "recommender.training_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdin is not None
            with process.stdin:
                json.dump(_request(run), process.stdin)
            yield lambda: _trained(process)
        finally:
            process.kill()


def _request(run: Run) -> Json:
    return {
        "exclude_models": list(run.options.exclude_models),
        "stores": [str(path) for path in store_paths(run)],
        "hardware": run.machine.hardware.to_json(),
        "pipeline": run.machine.pipeline,
        "seed": run.options.seed,
        "level": run.reporter.level,
    }


def _trained(process: subprocess.Popen[str]) -> BoostedRanker:
    assert process.stdout is not None
    answer = process.stdout.read()
    code = process.wait()
    if code == DataError.exit_code:
        raise DataError(answer)
    if code:
        raise RuntimeError(f"training a ranker ended with exit code {code}; stderr says why")
    return load_ranker(Path(answer))[0]


def main() -> None:
    """Answer the request on stdin."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    request = json.load(sys.stdin)
    try:
        stem = trained_without(
            request["exclude_models"],
            load_data(*map(Path, request["stores"])),
            Hardware.from_json(request["hardware"]),
            request["pipeline"],
            request["seed"],
            Reporter(request["level"]),
        )
    except RecommenderError as exc:
        sys.stdout.write(str(exc))
        sys.exit(exc.exit_code)
    sys.stdout.write(str(stem))


if __name__ == "__main__":
    main()
