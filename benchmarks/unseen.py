"""Models outside of the zoo, as a user brings them: do they work, how fast, how long until then?

    pip download --no-deps -d wheels nudenet==3.4.2 rapidocr-onnxruntime==1.4.4 magika==1.0.3
    python benchmarks/unseen.py [MODEL ...] --wheels wheels [-o docs/results/unseen]

`recommend --top-k 5 --baseline ort` for every model of `benchmarks/architectures.py` (or those named), each
with an empty store. *Known* are kernels that the shipped outcomes have too, of whatever model. Writes a table
and the raw figures; a model that fails is a line that says why. Rows of models that are not asked for stay.
Takes one to five minutes a model; run nothing beside it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import geometric_mean

import onnx
from architectures import BUILT, IN_WHEELS, LIGHT, light_model, wheel_model
from main_job import figures

from recommender.errors import RecommenderError
from recommender.vocabulary import Json

_COLUMNS = (
    *("model", "weights", "kernels", "known", "fallback ms", "recommended ms", "ONNX Runtime ms"),
    *("x ONNX Runtime", "s", "invalid", "hardware", "date"),
)


def run(name: str, wheels: Path) -> Json:
    """One row: figures of the main job, or why there are none."""
    shapes = IN_WHEELS[name].shapes if name in IN_WHEELS else {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.onnx"
        onnx.save(_model(name, wheels), str(path))
        try:
            return figures(str(path), input_shapes=shapes)
        except RecommenderError as exc:
            return {"model": name, "date": time.strftime("%Y-%m-%d"), "error": str(exc)}


def _model(name: str, wheels: Path) -> onnx.ModelProto:
    if name in IN_WHEELS:
        return wheel_model(name, wheels)
    return light_model(name) if name in LIGHT else BUILT[name]()


def table(rows: list[Json]) -> str:
    """Markdown: a row for each model, the geometric mean of the ratios, and what failed."""
    ran = [r for r in rows if "error" not in r]
    lines = [" | ".join(_COLUMNS), "|".join("---" for _ in _COLUMNS)]
    for r in ran:
        ms = [f"{r['latency_ms'][build]:.3g}" for build in ("fallback", "chosen", "ort")]
        weights = "trained" if r["model"] in IN_WHEELS else "random"
        ratio, seconds = f"{r['ort_ratio']:.2f}", f"{r['total_seconds']:.0f}"
        invalid, hardware = f"{r['invalid']} of {r['measured']}", r["hardware"].rpartition("-")[0]
        counts = [str(r["kernels"]), str(r["known"])]
        cells = [r["model"], weights, *counts, *ms, ratio, seconds, invalid, hardware, r["date"]]
        lines.append(" | ".join(cells))
    lines = [f"| {line} |" if "---" not in line else f"|{line}|" for line in lines]
    if ran:
        mean = geometric_mean(r["ort_ratio"] for r in ran)
        lines += ["", f"Geometric mean of {len(ran)}: {mean:.3f} x ONNX Runtime."]
    lines += ["", *(f"- {r['model']} failed: {r['error']}" for r in rows if "error" in r)]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = sorted([*LIGHT, *IN_WHEELS, *BUILT])
    parser.add_argument("models", nargs="*", default=known, help=", ".join(known))
    parser.add_argument("--wheels", type=Path, default=Path("wheels"))
    parser.add_argument("-o", type=Path, help="write unseen.json and unseen.md into this folder")
    options = parser.parse_args()
    kept = options.o / "unseen.json" if options.o else None
    rows = {r["model"]: r for r in json.loads(kept.read_text())} if kept and kept.exists() else {}
    for name in options.models:
        rows[name] = run(name, options.wheels)
        print(json.dumps(rows[name]), flush=True)
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            in_order = [rows[key] for key in sorted(rows)]
            kept.write_text(json.dumps(in_order, indent=1) + "\n")
            kept.with_suffix(".md").write_text(table(in_order))
    print(table([rows[key] for key in sorted(rows)]))


if __name__ == "__main__":
    main()
