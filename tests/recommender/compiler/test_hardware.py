"""Targets in every spelling."""

import json
from pathlib import Path

import pytest

from recommender.compiler.hardware import describe_hardware, parse_target, target_from_json, target_json
from recommender.errors import UsageError

pytestmark = pytest.mark.tvm


@pytest.mark.parametrize(
    "text",
    [
        "llvm -mcpu=znver4 -num-cores 8",
        '{"kind": "llvm", "mcpu": "znver4"}',
        '{"kind": "llvm", "mcpu": "znver4", "num-cores": 64}',
    ],
)
def test_spellings_of_one_target(text: str) -> None:
    target = parse_target(text, 2)

    assert target_json(target)["mcpu"] == "znver4"
    assert target_json(target)["num-cores"] == 2


def test_a_target_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "target.json"
    path.write_text(json.dumps({"kind": "llvm", "mcpu": "skylake-avx512"}))

    assert target_json(parse_target(f"@{path}", 1))["mcpu"] == "skylake-avx512"


def test_a_target_by_its_tag_in_tvm() -> None:
    target = parse_target("aws/cpu/c5.large", 2)

    assert target_json(target) == {"kind": "llvm", "mcpu": "skylake-avx512", "num-cores": 2}
    assert describe_hardware(target, 2, 0).simd_bytes == 64


def test_a_target_survives_json() -> None:
    target = parse_target("llvm -mcpu=core-avx2", 1)

    assert target_json(target_from_json(target_json(target))) == target_json(target)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "{",
        "@/no/such/file",
        "llvm extra",
        "[1]",
        "no/such/tag",
        "llvm -mcpu=cortex-a72",
    ],
)
def test_what_is_no_target_of_this_machine_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a target") as refused:
        parse_target(text, 1)

    assert "Target creation" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "kind"), [("cuda", "cuda"), ("nvidia/jetson-agx-thor", "cuda"), ("aws/trn1/trn1.2xlarge", "trn")]
)
def test_a_target_of_another_kind_is_refused_by_its_kind(text: str, kind: str) -> None:
    with pytest.raises(UsageError, match=rf"is for {kind}, but"):
        parse_target(text, 1)


@pytest.mark.parametrize(("cpu", "simd_bytes"), [("znver4", 64), ("core-avx2", 32), ("x86-64", 16)])
def test_vector_width_follows_the_target(cpu: str, simd_bytes: int) -> None:
    assert describe_hardware(parse_target(f"llvm -mcpu={cpu}", 1), 1, 0).simd_bytes == simd_bytes
