"""Training on a Ray cluster: the same runs, through actors that stay warm on its machines."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from ...errors import DeviceError, StoreError
from ...scalars import is_count, is_number
from ..costs import run_cost
from ..pictures import read_images
from ..plan import PLAN_PICTURES, Plan
from ..roster import Roster
from ..schema import RunKey
from ..store import BEACON
from ..training import train_unit
from . import Lost, Outcome, Unit
from .local import default_workers
from .ray_cluster import cluster_device, joined
from .ray_crew import Crew
from .ray_dispatch import Dispatch
from .ray_gpus import share_of_gpu
from .ray_worker import Job, Work
from .schedule import UNIT_SECONDS, Schedule

POLL_SECONDS = 1.0


@dataclass(frozen=True)
class RayExecutor:
    """Trains units on a Ray cluster, longest runs first.

    Attributes:
        address: `auto`, or host and port of the cluster's head; None starts Ray on this machine.
        workers: units side by side; None takes as many as the cluster holds, as machines come and
            go.
        device: `auto`, `cpu` or `cuda`.
        timeout: seconds that a run may take before its worker is given up; None takes ten times
            what it is expected to, and no less than ten minutes.
        work: makes the runs of a unit.
        unit_seconds: how long a unit is meant to last.
    """

    address: str | None = None
    workers: int | None = None
    device: str = "auto"
    timeout: float | None = None
    work: Work = train_unit
    unit_seconds: float = UNIT_SECONDS

    def __post_init__(self) -> None:
        if self.device not in ("auto", "cpu", "cuda"):
            raise DeviceError(
                f"a cluster gives out its GPUs itself: choose auto, cpu or cuda, not {self.device}"
            )
        if self.workers is not None and not is_count(self.workers):
            raise StoreError(f"{self.workers!r} workers train nothing: give 1 or more")
        if self.timeout is not None and not (is_number(self.timeout) and self.timeout > 0):
            raise StoreError(f"a timeout of {self.timeout!r} seconds trains nothing: give more")

    def run(self, folder: Path, plan: Plan, units: Sequence[Unit]) -> Iterator[Outcome]:
        """Train the runs of the units; those of lost workers again, then recorded as failed.

        Raises:
            StoreError: if a part cannot be written; finished parts stay.
            DipbenchError: if the cluster does not answer, has no room or no such device, or its
                machines have other versions.
        """
        keys = [key for unit in units for key in unit.keys]
        if not keys:
            return
        threads = plan.protocol.threads
        cpus = (self.workers or default_workers(threads)) * threads
        with joined(self.address, cpus), _beacon(folder) as beacon, Roster(folder) as roster:
            job = Job(folder.resolve(), plan, cluster_device(self.device), self.work, beacon)
            costs = _costs(folder, plan, keys)
            resources, together = {"num_cpus": float(threads), "num_gpus": 0.0}, 1
            if job.device == "cuda":
                share = share_of_gpu(job, max(keys, key=costs.__getitem__), resources)
                resources["num_gpus"], together = share.fraction, share.together
            crew = Crew(job, resources, self.workers)
            schedule = Schedule(costs, 1, self.unit_seconds, together)
            try:
                yield from _work_off(crew, Dispatch(folder, schedule, roster, self.timeout))
            finally:
                crew.disband()


def _work_off(crew: Crew, dispatch: Dispatch) -> Iterator[Outcome]:
    while dispatch.waiting or crew.busy:
        crew.hire(dispatch.waiting + len(crew.busy))
        dispatch.hand_out(crew.idle, crew.size)
        for worker, found in crew.settle(POLL_SECONDS):
            yield from dispatch.take_back(worker, found)
        for worker in crew.busy:
            limit = dispatch.exceeded_limit(worker)
            if limit is not None:
                crew.dismiss(worker)
                yield from dispatch.take_back(worker, Lost(f"took longer than {limit:.0f} s"))


def _costs(folder: Path, plan: Plan, keys: Sequence[RunKey]) -> dict[RunKey, float]:
    shapes = {name: image.shape for name, image in read_images(folder / PLAN_PICTURES).items()}
    return {key: run_cost(plan, key, shapes[key.image]) for key in keys}


@contextmanager
def _beacon(folder: Path) -> Iterator[str]:
    """A file by which workers know this folder from another one of the same name."""
    name = f"{BEACON}{token_hex(8)}"
    (folder / name).touch()
    try:
        yield name
    finally:
        (folder / name).unlink(missing_ok=True)
