"""How many workers share a GPU, by what memory a run takes on it."""

from dataclasses import dataclass
from typing import Any

from ...errors import DipbenchError
from ...evaluate.gpus import CONTEXT_BYTES, MemoryUse
from ...evaluate.together import MOST
from ..plan import PLAN_PICTURES
from ..schema import RunKey
from . import Lost
from .ray_cluster import result, start_actor, stop_actor
from .ray_worker import Job, UnitWorker

SPARED = 0.1
"""The share of a GPU's memory that is left free."""

MOST_WORKERS = 64
"""On one GPU. Ray counts in ten-thousandths, too coarse to keep 101 workers from being 102."""

TRY_SECONDS = 300.0
"""How long a worker may take to arrive, and to train one run for a few iterations."""


@dataclass(frozen=True)
class Share:
    """The fraction of a GPU that a worker takes, and the runs that it trains side by side."""

    fraction: float
    together: int


def share_gpu(use: MemoryUse, most: int = MOST) -> Share:
    """The share of a GPU that holds a worker with as many runs side by side as fit, or `most`.

    >>> gigabytes = 10**9
    >>> share_gpu(MemoryUse(CONTEXT_BYTES + 1 * gigabytes, 80 * gigabytes))
    Share(fraction=0.25, together=16)
    >>> share_gpu(MemoryUse(CONTEXT_BYTES + 9 * gigabytes, 80 * gigabytes))
    Share(fraction=1.0, together=7)
    """
    usable = (1 - SPARED) * use.total
    run = max(1, use.needed - CONTEXT_BYTES)
    together = max(1, min(most, int((usable - CONTEXT_BYTES) / run)))
    workers = max(1, min(MOST_WORKERS, int(usable / (CONTEXT_BYTES + together * run))))
    return Share(int(10_000 / workers) / 10_000, together)


def share_of_gpu(job: Job, key: RunKey, resources: dict[str, float]) -> Share:
    """The share that workers take if their runs are as large as this one, tried on a GPU.

    Raises:
        DipbenchError: if it cannot be tried, such as for versions that differ.
    """
    actor = start_actor(UnitWorker, (job,), {**resources, "num_gpus": 1.0})
    try:
        arrival: Any = result(actor.arrive.remote(), TRY_SECONDS)
        if not isinstance(arrival, Lost):
            arrival.check()
        pictures = (job.folder / PLAN_PICTURES).read_bytes()
        measured: Any = result(actor.measure.remote(key, pictures), TRY_SECONDS)
        if isinstance(measured, Lost):
            raise DipbenchError(f"a run could not be tried on a GPU: {measured.reason}")
        return share_gpu(measured)
    finally:
        stop_actor(actor)
