"""Which transposes the lowering leaves in each model of the zoo, and how many kernels there are.

    python benchmarks/layouts.py

A convolutional model should keep one at its input and one at its output; attention has its own.
"""

from __future__ import annotations

from recommender.datasets.zoo import zoo_names
from recommender.session import prepare_named, this_machine


def main() -> None:
    machine = this_machine()
    for name in zoo_names():
        kernels = prepare_named(name, machine).kernels
        calls = sum(k.calls for k in kernels)
        print(f"{name}: {len(kernels)} kernels, {calls} calls")
        for kernel in kernels:
            if "T_transpose" in kernel.workload.operators:
                shape = "x".join(map(str, kernel.workload.argument_shapes[-1]))
                print(f"    {kernel.calls:3} x {kernel.name} -> {shape}")


if __name__ == "__main__":
    main()
