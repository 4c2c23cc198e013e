"""The GPUs of this machine: how many, and how much of one a training takes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

CONTEXT_BYTES = 600_000_000
"""What a process takes on a GPU besides its tensors: CUDA's context and the libraries' kernels."""

MARGIN = 1.2
"""What must be free for a further training, as a multiple of what the largest has taken: its first
iterations take somewhat more than what it then keeps."""


@dataclass(frozen=True)
class MemoryUse:
    """Bytes that a training takes on a GPU, and bytes that the GPU has."""

    needed: int
    total: int


def count_gpus() -> int:
    """How many CUDA devices this process sees.

    >>> count_gpus() >= 0
    True
    """
    return torch.cuda.device_count()


def measure_memory(work: Callable[[], object]) -> MemoryUse:
    """Do some work on the current GPU and say what memory it took at its peak."""
    torch.cuda.reset_peak_memory_stats()
    work()
    torch.cuda.synchronize()
    total = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
    return MemoryUse(torch.cuda.max_memory_reserved() + CONTEXT_BYTES, total)


class Room:
    """Whether a device has memory for one more training, learnt from those that have begun.

    On a CPU there always is.

    >>> room = Room(torch.device("cpu"))
    >>> with room.measured():
    ...     _ = torch.zeros(10)
    >>> room.for_one_more()
    True
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._on_gpu = device.type == "cuda"
        self._needed = 0

    def for_one_more(self) -> bool:
        """Whether what the largest training took is free, for other processes too."""
        if not self._on_gpu:
            return True
        free, _ = torch.cuda.mem_get_info(self._device)
        return free > MARGIN * self._needed

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Take note of what a part of a training takes: its beginning takes all of it."""
        if not self._on_gpu:
            yield
            return
        before = torch.cuda.memory_reserved(self._device)
        yield
        taken = torch.cuda.memory_reserved(self._device) - before
        self._needed = max(self._needed, taken)

    def release(self) -> None:
        """Give back what a training has left behind."""
        if self._on_gpu:
            torch.cuda.empty_cache()
