"""This machine's processor: its name, and what it multiplies with."""

import platform
from functools import cache
from pathlib import Path

import torch


@cache
def description() -> str:
    """What Linux tells of it, /proc/cpuinfo; empty elsewhere, where no units are assumed."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""


def name() -> str:
    """What it calls itself.

    >>> len(name()) > 0
    True
    """
    # platform.processor() is empty on most Linux systems.
    lines = description().splitlines()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def has_bfloat16() -> bool:
    """Whether it has units for bfloat16."""
    return _names("avx512_bf16") or _names("bf16") or has_amx()


def has_amx() -> bool:
    """Whether it multiplies matrices of bfloat16 by units made for it (Intel's AMX)."""
    return _names("amx_bf16")


def has_slow_bfloat16() -> bool:
    """Whether it is Intel's and multiplies bfloat16 without AMX, at half the rate of float32."""
    return _names("GenuineIntel") and _names("avx512_bf16") and not has_amx()


def units() -> str:
    """The best units that it multiplies with, by which its results are rounded.

    Machines with the same name of a processor may differ in them, for some hide a part of it.

    >>> units() in ("AMX", "AVX512_BF16") or units() == torch.backends.cpu.get_cpu_capability()
    True
    """
    if has_amx():
        return "AMX"
    return "AVX512_BF16" if _names("avx512_bf16") else torch.backends.cpu.get_cpu_capability()


def _names(word: str) -> bool:
    return word in _words(description())


@cache
def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())
