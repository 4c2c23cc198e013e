"""What trains the units of a plan: one interface, and the executors that offer it."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol as Interface

from ..plan import Plan
from ..schema import RunKey

ATTEMPTS = 3
"""How often a run is tried when its worker dies."""

MEMORY = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1073741824"
    ":glibc.malloc.trim_threshold=4294967296"
}
"""Set for workers: every iteration asks for the memory again that the one before gave back, so it
stays with the process, in huge pages. See evaluate/PERFORMANCE.md on what that saves."""

Outcome = list[tuple[RunKey, str]]
"""Keys and statuses of runs that have reached the disk."""


@dataclass(frozen=True)
class Unit:
    """Runs that one worker makes in one go.

    >>> Unit((RunKey("dip", "camera", "denoising-25", 0),)).name
    '5d35614bda'
    """

    keys: tuple[RunKey, ...]

    @property
    def name(self) -> str:
        """Ten hexadecimal digits that its runs alone determine; its log bears them."""
        return hashlib.sha256("\n".join(map(str, self.keys)).encode()).hexdigest()[:10]


@dataclass(frozen=True)
class Lost:
    """Instead of an outcome: why there is none, though there may be at another attempt."""

    reason: str


class Executor(Interface):
    """Trains units and has their runs written as parts of the benchmark."""

    def run(self, folder: Path, plan: Plan, units: Sequence[Unit]) -> Iterator[Outcome]:
        """Yield the outcome of each unit once its part is published, in any order.

        The executor may train the runs in other units than these.
        """
