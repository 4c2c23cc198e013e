"""What runs on a cluster's machines: an actor that keeps images warm and trains units."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import ray

from ...errors import DipbenchError, StoreError
from ...evaluate.gpus import MemoryUse, measure_memory
from ..parts import list_parts, runs_to_table
from ..plan import PLAN_PICTURES, Plan
from ..schema import RunKey
from ..store import PARTS, check_writable, writing
from ..training import environment
from . import Outcome, Unit

Work = Callable[[Path, Plan, tuple[RunKey, ...], str], Outcome]
"""Makes the runs of a unit, given folder, plan, keys and device: `training.train_unit`, or what
stands in its place where the executor itself is measured."""

TRIED_ITERATIONS = 8
"""Of a run whose memory is measured: past those after which a GPU's iterations are captured."""


@dataclass(frozen=True)
class Job:
    """What every worker of a build is given.

    Attributes:
        folder: the builder's, absolute.
        plan: of the benchmark.
        device: `cpu` or `cuda`.
        work: makes the runs of a unit.
        beacon: name of a file that the builder has put into its folder, lest another folder of
            the same name be taken for it.
    """

    folder: Path
    plan: Plan
    device: str
    work: Work
    beacon: str


@dataclass(frozen=True)
class Arrival:
    """What a worker finds on the machine where it was started.

    Attributes:
        host: the machine's name.
        node: Ray's name of it.
        process: the worker's process.
        versions: of Python and the packages that results depend on.
        sees_folder: whether the builder's folder is there.
        trouble: why it cannot be written, else empty.
    """

    host: str
    node: str
    process: int
    versions: dict[str, str]
    sees_folder: bool
    trouble: str = ""

    def check(self) -> None:
        """See that the worker can do what this process would.

        Raises:
            DipbenchError: naming the versions that differ.
            StoreError: if it cannot write to the folder.
        """
        ours = versions()
        differing = [
            f"{name} {self.versions.get(name, 'none')} instead of {ours.get(name, 'none')}"
            for name in sorted({*ours, *self.versions})
            if ours.get(name) != self.versions.get(name)
        ]
        if differing:
            raise DipbenchError(
                f"{self.host} has {', '.join(differing)}: install the same versions on all machines"
            )
        if self.trouble:
            raise StoreError(f"workers on {self.host} {self.trouble}")


@dataclass(frozen=True)
class Answer:
    """The outcome of a unit, and its files where the builder's folder is not there.

    Attributes:
        outcome: keys and statuses.
        parts: names and bytes of parts.
        log: text for the unit's log.
    """

    outcome: Outcome
    parts: tuple[tuple[str, bytes], ...] = ()
    log: str = ""


class UnitWorker:
    """Trains units of one plan on one device."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._pictures: bytes | None = None

    def arrive(self) -> Arrival:
        """Say where this worker is and whether it can write to the builder's folder."""
        runs_to_table([])  # pyarrow loads pandas for the first one: not while a unit is timed
        sees = (self._job.folder / self._job.beacon).is_file()
        trouble = ""
        if sees:
            try:
                check_writable(self._job.folder / PARTS)
            except DipbenchError as error:
                trouble = str(error)
        return Arrival(
            socket.gethostname(),
            ray.get_runtime_context().get_node_id(),
            os.getpid(),
            versions(),
            sees,
            trouble,
        )

    def receive(self, pictures: bytes) -> None:
        """Take the plan's pictures: the builder's folder is not there, so use one of its own."""
        self._pictures = pictures

    def train(self, unit: Unit) -> Answer:
        """Train a unit.

        Raises:
            DipbenchError: if no unit could be trained.
            OSError: if this machine's own disk is full or fails; the unit is tried elsewhere.
        """
        if self._pictures is None:
            with writing(self._job.folder):
                return Answer(self._make(self._job.folder, self._job.plan, unit.keys))
        with _folder_with(self._pictures) as own:
            outcome = self._make(own, self._job.plan, unit.keys)
            parts = tuple((path.name, path.read_bytes()) for path in list_parts(own / PARTS))
            logs = "".join(path.read_text("utf-8") for path in own.glob("logs/*.log"))
        return Answer(outcome, parts, logs)

    def measure(self, key: RunKey, pictures: bytes) -> MemoryUse:
        """The memory that a run of the plan's pictures takes on this GPU; nothing of it is kept."""
        protocol = self._job.plan.protocol.with_iterations(TRIED_ITERATIONS)
        short = replace(self._job.plan, protocol=protocol)
        with _folder_with(pictures) as own:
            return measure_memory(lambda: self._make(own, short, (key,)))

    def _make(self, folder: Path, plan: Plan, keys: tuple[RunKey, ...]) -> Outcome:
        return self._job.work(folder, plan, keys, self._job.device)


@contextmanager
def _folder_with(pictures: bytes) -> Iterator[Path]:
    """A folder of this machine's own with a plan's pictures, for as long as it is needed."""
    with TemporaryDirectory(prefix="dipbench-") as name:
        (Path(name) / PLAN_PICTURES).write_bytes(pictures)
        yield Path(name)


def versions() -> dict[str, str]:
    """Versions of what results depend on, and of what this worker and its builder share."""
    found = {**environment(), "ray": ray.__version__}
    return {name: version for name, version in found.items() if name != "platform"}
