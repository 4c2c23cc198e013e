"""Telling a training that does not fit into memory, whoever says so, and what to do about it."""

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import DeviceError

_SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")
"""What torch's allocators and CUDA's libraries say, all by a RuntimeError."""


_UNSURE = ("unable to find an engine", "valid cuDNN algorithm", "STATUS_NOT_INITIALIZED")
"""What CUDA's libraries say where memory ran out while they looked for a way, or for a fault."""


class TooLittleMemoryError(DeviceError):
    """A single training that its device has too little memory for."""


def is_out_of_memory(error: object) -> bool:
    """Whether it is an exception that says that memory ran out.

    >>> is_out_of_memory(RuntimeError("CUDA out of memory.")), is_out_of_memory(ValueError("bad"))
    (True, False)
    """
    if isinstance(error, RuntimeError):
        return any(sign in str(error) for sign in _SIGNS)
    return isinstance(error, MemoryError)


def may_be_out_of_memory(error: object) -> bool:
    """Whether it says what a library says of memory or of a fault of its own.

    >>> may_be_out_of_memory(RuntimeError("GET was unable to find an engine to execute this"))
    True
    """
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _UNSURE)


def too_little_memory(
    device: object,
    what: str = "one run",
    remedy: str = "choose a smaller picture, bf16 or another device",
) -> TooLittleMemoryError:
    """The error for what does not fit even alone.

    >>> print(too_little_memory("cuda:0"))
    too little memory on cuda:0 for one run: choose a smaller picture, bf16 or another device
    """
    return TooLittleMemoryError(f"too little memory on {device} for {what}: {remedy}")


@contextmanager
def memory_told(device: object, *what_and_remedy: str) -> Iterator[None]:
    """Have memory that runs out meanwhile told as `too_little_memory`."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise too_little_memory(device, *what_and_remedy) from error
        raise
