"""Training on this machine: worker processes side by side, each with the plan's threads."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from ...errors import DipbenchError, StoreError, named, one_line
from ...scalars import is_count
from ..logs import unit_log
from ..plan import Plan
from ..roster import Roster
from ..schema import RunKey
from ..store import writing
from ..training import record_failed, train_unit
from . import ATTEMPTS, MEMORY, Lost, Outcome, Unit
from .schedule import Schedule


@dataclass(frozen=True)
class LocalExecutor:
    """Trains units in worker processes: one run each on a CPU, several on a GPU.

    Attributes:
        workers: processes side by side; None takes as many as the cores hold of the plan's
            threads, or one a GPU.
        device: `auto`, `cpu`, `cuda` (all GPUs of this machine in turn) or `cuda:0`.
    """

    workers: int | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.workers is not None and not is_count(self.workers):
            raise StoreError(f"{self.workers!r} workers train nothing: give 1 or more")

    def run(self, folder: Path, plan: Plan, units: Sequence[Unit]) -> Iterator[Outcome]:
        """Train the runs of the units; those of a worker that dies are tried again, then failed.

        Raises:
            StoreError: if a part cannot be written; finished parts stay.
            DipbenchError: if the device cannot be used, or workers do not start.
        """
        devices = device_names(self.device)
        workers = self.workers or default_workers(plan.protocol.threads, self.device)
        keys = [key for unit in units for key in unit.keys]
        count = min(len(keys), workers)
        lanes = [_Lane(folder, plan, devices[index % len(devices)]) for index in range(count)]
        schedule = _schedule(keys, count, on_gpus=devices != ["cpu"])
        try:
            with Roster(folder) as roster:
                yield from _serve_lanes(folder, lanes, schedule, roster)
        finally:
            for lane in lanes:
                lane.end()


def _schedule(keys: Sequence[RunKey], workers: int, on_gpus: bool) -> Schedule:
    """The runs in their order: a unit is one on a CPU, where it is soon done, several on a GPU."""
    costs = dict.fromkeys(keys, 1.0)
    if not on_gpus:
        return Schedule(costs, workers, unit_seconds=0)
    from ...evaluate.together import MOST

    return Schedule(costs, workers, together=MOST)


def _serve_lanes(
    folder: Path, lanes: Sequence["_Lane"], schedule: Schedule, roster: Roster
) -> Iterator[Outcome]:
    unstarted = 0
    while schedule or any(lane.busy for lane in lanes):
        for index, lane in enumerate(lanes):
            if schedule and not lane.busy:
                unit = schedule.take()
                process = lane.start(unit)
                roster.took(str(index), unit.name, socket.gethostname(), process)
        for lane in _ready(lanes):
            answer = lane.receive()
            if answer is None:
                unstarted = 0
                continue
            outcome = [] if isinstance(answer, Lost) else answer
            roster.gave(str(lanes.index(lane)), len(outcome))
            if not isinstance(answer, Lost):
                schedule.measured(lane.unit, time.monotonic() - lane.since)
                yield answer
                continue
            with unit_log(folder, lane.unit.name) as log:
                log.warning("lost: %s", answer.reason)
            unstarted += not lane.started
            if unstarted >= ATTEMPTS * len(lanes):
                raise DipbenchError(
                    f"workers do not start, {unstarted} in a row ({answer.reason}): a script that "
                    'trains needs the `if __name__ == "__main__":` guard; what is finished is kept'
                )
            given_up = schedule.lost(lane.unit)
            if given_up:
                yield record_failed(folder, given_up, f"lost {ATTEMPTS} times: {answer.reason}")


class _Lane:
    """One worker process and the unit it has; a worker that lost one is replaced at the next."""

    def __init__(self, folder: Path, plan: Plan, device: str) -> None:
        self._work = folder, plan, device
        self._process: SpawnProcess | None = None
        self.connection: Connection | None = None
        self.busy = self.started = False
        self.unit = Unit(())
        self.since = 0.0

    def start(self, unit: Unit) -> int:
        """Hand a unit to the worker, and return the worker's process."""
        if self._process is None or self.connection is None:
            context = get_context("spawn")
            self.connection, theirs = context.Pipe()
            self._process = context.Process(
                target=_serve, args=(theirs, *self._work), name="dipbench-worker", daemon=True
            )
            resource_tracker.ensure_running()  # which unblocks them when it starts
            with _environment(MEMORY), _interrupts_blocked():
                self._process.start()
            theirs.close()
            self.started = False
        self.unit, self.since, self.busy = unit, time.monotonic(), True
        # A worker that died since is found when its answer is waited for.
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(unit)
        return self._process.pid or 0

    def receive(self) -> Outcome | Lost | None:
        """What became of the unit; None where its worker says that it has started."""
        answer: Outcome | Lost | Exception | None = Lost("its worker died (out of memory?)")
        if self.connection is not None:
            with suppress(EOFError, OSError):
                answer = self.connection.recv()
        self.started |= answer is None
        self.busy = answer is None
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Lost):
            self.end()
        return answer

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self.connection is not None:
            self.connection.close()
        self._process, self.connection = None, None


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Have processes that are started meanwhile find the variables, those aside that are set."""
    missing = variables.keys() - os.environ.keys()
    os.environ.update({name: variables[name] for name in missing})
    try:
        yield
    finally:
        for name in missing:
            del os.environ[name]


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Have processes that are started meanwhile never see an interrupt: the parent ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ready(lanes: Sequence[_Lane]) -> list[_Lane]:
    by_connection = {lane.connection: lane for lane in lanes if lane.busy and lane.connection}
    return [by_connection[connection] for connection in wait(list(by_connection))]  # type: ignore[index]


def device_names(device: str) -> list[str]:
    """The devices that workers take in turn: all GPUs where no single one is named.

    Raises:
        DeviceError: if the device is not there.

    >>> device_names("cpu")
    ['cpu']
    """
    if device == "cpu":
        return ["cpu"]
    from ...evaluate.devices import resolve_device
    from ...evaluate.gpus import count_gpus

    resolved = resolve_device(device)
    if resolved.type == "cuda" and device in ("auto", "cuda"):
        return [f"cuda:{index}" for index in range(count_gpus())]
    return [str(resolved)]


def default_workers(threads: int, device: str = "cpu") -> int:
    """Runs of so many threads that this process's cores hold side by side; one a GPU.

    Raises:
        DeviceError: if the device is not there.
    """
    devices = device_names(device)
    if devices != ["cpu"]:
        return len(devices)
    return max(1, len(os.sched_getaffinity(0)) // threads)


def _serve(connection: Connection, folder: Path, plan: Plan, device: str) -> None:
    """A worker's life: train the units that arrive until the parent hangs up or dies."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    connection.send(None)  # it has started
    while True:
        try:
            unit: Unit = connection.recv()
        except EOFError:
            return
        answer: Outcome | Lost | DipbenchError
        try:
            with writing(folder):
                answer = train_unit(folder, plan, unit.keys, device)
        except MemoryError as error:
            answer = Lost(one_line(error) or "out of memory")
        except DipbenchError as error:
            answer = error
        except Exception as error:
            answer = Lost(named(error))
        connection.send(answer)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
