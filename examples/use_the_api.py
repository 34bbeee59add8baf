"""Recommends schedules for a model from Python, and reads the report.

python examples/use_the_api.py [MODEL.onnx]
"""

import sys
from pathlib import Path

from recommender import Options, recommend

model = sys.argv[1] if len(sys.argv) > 1 else str(Path(__file__).parent / "tiny_convnet.onnx")
report = recommend(model, Options(top_k=2, output=Path("example.rec"), force=True))
for kernel in report.kernels:
    speedup = f"{kernel.speedup:.2f}" if kernel.speedup else "-"
    print(f"{kernel.name:30} x{kernel.calls}  {speedup} times the fallback, donor {kernel.donor_name}")
latency = report.latencies[report.delivered]
print(f"{latency.median_seconds * 1e3:.3f} ms with {report.delivered} schedules, in {report.folder}")
