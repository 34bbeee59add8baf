"""The machine and TVM's target for it: `--target` in every spelling people use."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import tvm
from tvm.target import Target

from recommender.errors import UsageError
from recommender.vocabulary import Hardware, Json

_SPELLINGS = "host, a JSON object, @file.json, a TVM tag, or a string like 'llvm -mcpu=znver4'"
_TVM_REPEATS = ". Target creation from config dict failed"
"""Behind this TVM says once more what it was given."""


def parse_target(text: str, threads: int) -> Target:
    """TVM's target for `--target`. `num-cores` is always the number of threads that will run.

    Raises:
        UsageError: the text is none of the spellings, or TVM refuses it.
    """
    try:
        config = _target_config(text)
        kind = str(Target(config).kind.name)
        if kind != "llvm":
            raise UsageError(
                f"--target {text!r} is for {kind}, but this tool makes CPU code; give a target of kind llvm"
            )
        target = Target({**config, "num-cores": threads})
        _check_cpu(target)
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, tvm.error.InternalError) as exc:
        reason = (str(exc).strip() or type(exc).__name__).splitlines()[-1].partition(_TVM_REPEATS)[0]
        raise UsageError(f"--target {text!r} is not a target ({reason}); give {_SPELLINGS}") from exc
    return target


def _check_cpu(target: Target) -> None:
    """LLVM itself takes any name of a CPU, warns, and makes code for none in particular.

    Raises:
        ValueError: no such CPU, or one of an architecture that cannot be measured on this machine.
    """
    here = str(tvm.target.codegen.llvm_get_system_triple()).partition("-")[0]
    wanted = str(target.attrs.get("mtriple", here)).partition("-")[0]
    if wanted != here:
        raise ValueError(f"it is for {wanted}, and candidates are measured on this {here} machine")
    cpu = str(target.attrs.get("mcpu", ""))
    if cpu and cpu not in set(map(str, tvm.target.codegen.llvm_get_cpu_archlist(target))):
        raise ValueError(f"LLVM knows no {here} CPU called {cpu}")


def _target_config(text: str) -> dict[str, Json]:
    text = text.strip()
    if text == "host":
        return {"kind": "llvm", "mcpu": tvm.target.codegen.llvm_get_system_cpu()}
    if text.startswith("@"):
        text = Path(text[1:]).read_text()
    if text.startswith("{"):
        config = json.loads(text)
    elif "/" in text.partition(" ")[0]:
        config = target_json(Target({"tag": text}))
    else:
        config = _legacy_config(text)
    if not isinstance(config, dict) or not config.get("kind"):
        raise ValueError("a target needs a kind")
    return config


def _legacy_config(text: str) -> dict[str, Json]:
    """The old string form, `llvm -mcpu=znver4 -mattr=+avx2`, which TVM itself no longer reads."""
    kind, *options = shlex.split(text) or [""]
    config: dict[str, Json] = {"kind": kind}
    words = iter(options)
    for word in words:
        if not word.startswith("-"):
            raise ValueError(f"{word!r} is not an option")
        name, equals, value = word.lstrip("-").partition("=")
        value = value if equals else next(words, "")
        config[name] = value.split(",") if name == "mattr" else value
    config.pop("num-cores", None)
    return config


def target_json(target: Target) -> dict[str, Json]:
    """TVM's target as plain JSON."""
    keep: dict[str, Json] = {"kind": str(target.kind.name)}
    for name, value in target.attrs.items():
        if isinstance(value, (bool, int, str)):
            keep[str(name)] = value if isinstance(value, (bool, int)) else str(value)
        elif hasattr(value, "value"):
            keep[str(name)] = int(value.value)
        elif name == "mattr":
            keep[str(name)] = [str(v) for v in value]
    return keep


def target_from_json(value: Json) -> Target:
    """The target written by `target_json`."""
    return Target(dict(value))


def describe_hardware(target: Target, threads: int, cold_weight_bytes: int) -> Hardware:
    """What a schedule has to fit: vector width and caches of this machine, as the target sees them."""
    features = set(map(str, tvm.target.codegen.llvm_get_cpu_features(target)))
    known = ("sse4.2", "avx", "avx2", "fma", "avx512f", "avx512vnni", "avx512bf16", "neon", "sve")
    return Hardware(
        cpu=str(target.attrs.get("mcpu", "generic")),
        target_triple=str(target.attrs.get("mtriple", "")),
        simd_bytes=64 if "avx512f" in features else 32 if "avx" in features else 16,
        threads=threads,
        l1_bytes=_cache_bytes(1, 32 << 10),
        l2_bytes=_cache_bytes(2, 1 << 20),
        l3_bytes=_cache_bytes(3, 16 << 20),
        features=tuple(name for name in known if name in features),
        cold_weight_bytes=cold_weight_bytes,
    )


def _cache_bytes(level: int, default: int) -> int:
    """Size of one data or unified cache of the first core, or `default` where the system hides it."""
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        try:
            if (index / "type").read_text().strip() == "Instruction":
                continue
            if int((index / "level").read_text()) == level:
                text = (index / "size").read_text().strip()
                return int(text.rstrip("KM")) << {"K": 10, "M": 20}.get(text[-1], 0)
        except (OSError, ValueError):
            continue
    return default
