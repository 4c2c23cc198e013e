"""What this machine's processor multiplies with, as PyTorch tells."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch


@cache
def capabilities() -> Mapping[str, Any]:
    """PyTorch's list of the processor's units; empty where PyTorch is too old to tell.

    >>> "amx_bf16" in capabilities() or not capabilities()
    True
    """
    told: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return told


def has_amx() -> bool:
    """Whether it multiplies matrices of bfloat16 by units made for it (Intel's AMX)."""
    return bool(capabilities().get("amx_bf16", False))


def has_slow_bfloat16() -> bool:
    """Whether it is Intel's and multiplies bfloat16 without AMX, at half the rate of float32."""
    is_intel = "Intel" in capabilities().get("cpu_name", "")
    return is_intel and bool(capabilities().get("avx512_bf16", False)) and not has_amx()


def units() -> str:
    """The best units that it multiplies with, by which its results are rounded.

    Machines with the same name of a processor may differ in them, for some hide a part of it.

    >>> units() in ("AMX", "AVX512_BF16") or units() == torch.backends.cpu.get_cpu_capability()
    True
    """
    if has_amx():
        return "AMX"
    if capabilities().get("avx512_bf16", False):
        return "AVX512_BF16"
    return torch.backends.cpu.get_cpu_capability()
