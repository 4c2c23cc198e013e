"""Which device a training runs on."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

from ..errors import DeviceError
from ..genotypes import processor


def resolve_device(device: str = "auto") -> torch.device:
    """The torch device of that name; `auto` takes a GPU where there is one.

    Raises:
        DeviceError: if the name is no device or the device is not there.

    >>> from dipbench.evaluate.devices import resolve_device
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise DeviceError(f"{device!r} is no device: choose auto, cpu, cuda or cuda:0") from error
    if resolved.type == "cpu":
        return resolved
    if resolved.type != "cuda":
        raise DeviceError(f"device {device!r} is not supported: choose auto, cpu or cuda")
    there = torch.cuda.device_count()
    if (resolved.index or 0) >= there:
        raise DeviceError(
            f"device {device!r} is not there: this machine has {there} CUDA devices; choose cpu"
        )
    return resolved


def resolve_precision(precision: str, device: torch.device) -> str:
    """`float32` or `bf16`; `auto` is float32 until bf16 is shown to leave the benchmark the same.

    On a CPU one of four intervals ends 0.004 dB outside what was asked for, on CUDA it has not been
    run: see evaluate/PERFORMANCE.md.

    Raises:
        DeviceError: if the name is no precision or the device does not compute in it.

    >>> resolve_precision("auto", torch.device("cpu"))
    'float32'
    """
    if precision == "auto":
        return "float32"
    if precision not in ("float32", "bf16"):
        raise DeviceError(f"{precision!r} is no precision: choose auto, float32 or bf16")
    if precision == "bf16" and not _has_bf16(device):
        raise DeviceError(
            f"{device_name(device)} has no bf16 units: choose --precision float32, which is "
            "faster on it"
        )
    return precision


def torch_type(precision: str, device: torch.device) -> torch.dtype:
    """The type that a network computes in for a precision of a protocol.

    Raises:
        DeviceError: if the device does not compute in it.
    """
    if resolve_precision(precision, device) == "bf16":
        return torch.bfloat16
    return torch.float32


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return processor.has_bfloat16()


def device_name(device: torch.device) -> str:
    """What the hardware calls itself: the GPU's name, or the processor's."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return processor.name()


def described(device: torch.device) -> str:
    """Its name and how it multiplies: what has the same in both, and versions, gives the same bits.

    >>> described(torch.device("cpu")) == f"{processor.name()}, {processor.units()}"
    True
    """
    if device.type != "cuda":
        return f"{device_name(device)}, {processor.units()}"
    tf32 = torch.cuda.get_device_capability(device) >= (8, 0)
    return device_name(device) + (", TF32" if tf32 else "")


def thread_count(threads: int | None) -> int:
    """The CPU threads asked for; without a number, all that this process may use.

    `OMP_NUM_THREADS`, where it is set, says how many that are.

    >>> thread_count(2), thread_count(None) >= 1
    (2, True)
    """
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0))
    return threads or (min(int(allowed), cores) if allowed.isdecimal() and int(allowed) else cores)


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Have torch use so many threads meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def single_threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """So many Python threads of which each computes with one CPU thread of torch's, meanwhile.

    What has not begun at the end is not done.
    """
    # A thread that asks for one sets it for all that come after.
    with cpu_threads(torch.get_num_threads()):
        pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)
