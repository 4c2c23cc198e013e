"""The workers of a build on a Ray cluster: hired as machines come, checked, replaced when lost."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from secrets import token_hex

from ...errors import DipbenchError
from ..logs import logger
from ..plan import PLAN_PICTURES
from . import ATTEMPTS, Lost, Unit
from .ray_cluster import (
    Actor,
    Reference,
    capacity,
    end_process,
    result,
    start_actor,
    stop_actor,
    store_object,
    wait_for,
)
from .ray_worker import Answer, Arrival, Job, UnitWorker

CAPACITY_SECONDS = 10.0
"""Between two looks at what the cluster holds: machines come and go."""

GATHER_SECONDS = 60.0
"""How long units wait for every worker to arrive and be checked."""

TELL_SECONDS = 20.0
"""After so long without room for any worker, this is told."""

NO_ROOM_SECONDS = 300.0
"""After so long without it, the build ends."""


@dataclass
class CrewWorker:
    """An actor on a machine of the cluster, and the unit that it has.

    Attributes:
        name: unique in the crew.
        actor: Ray's handle.
        awaited: what it has been asked and has not answered yet.
        arrival: what it said of itself, once it was there.
        unit: what it works on.
        since: when it took the unit (`time.monotonic`).
    """

    name: str
    actor: Actor
    awaited: Reference | None
    arrival: Arrival | None = None
    unit: Unit | None = None
    since: float = 0.0

    def take(self, unit: Unit) -> None:
        """Begin with a unit."""
        self.unit, self.since = unit, time.monotonic()
        self.awaited = self.actor.train.remote(unit)


class Crew:
    """The workers of a build.

    Args:
        job: what each of them is given.
        resources: what each takes of its machine.
        wanted: how many; None for as many as the cluster holds at any time.
    """

    def __init__(self, job: Job, resources: dict[str, float], wanted: int | None) -> None:
        self.size = wanted or 1
        self._job = job
        self._resources = resources
        self._follows_cluster = wanted is None
        self._workers: list[CrewWorker] = []
        self._looked = -CAPACITY_SECONDS
        self._gathered = self._told = False
        self._began = self._last_sign = time.monotonic()
        self._lost_at_start = 0

    @property
    def busy(self) -> list[CrewWorker]:
        """Workers with a unit."""
        return [worker for worker in self._workers if worker.unit is not None]

    @property
    def idle(self) -> list[CrewWorker]:
        """Workers that may take a unit: none until all first ones have been checked or are late."""
        if not self._gathered:
            return []
        return [worker for worker in self._arrived if worker.unit is None]

    def hire(self, useful: int) -> None:
        """Start workers up to the crew's size, and no more than are useful."""
        now = time.monotonic()
        if self._follows_cluster and now - self._looked >= CAPACITY_SECONDS:
            self._looked = now
            self.size = max(1, capacity(self._resources))
        while len(self._workers) < min(self.size, useful):
            actor = start_actor(UnitWorker, (self._job,), self._resources)
            self._workers.append(CrewWorker(token_hex(3), actor, actor.arrive.remote()))

    def settle(self, seconds: float) -> Iterator[tuple[CrewWorker, Answer | Lost]]:
        """Wait so long for workers; yield those that are done with their unit or lost with it.

        Raises:
            StoreError: if a worker cannot write to the builder's folder.
            DipbenchError: if a worker has other versions, or none can be started.
        """
        awaited = {worker.awaited: worker for worker in self._workers if worker.awaited is not None}
        for reference in wait_for(list(awaited), seconds):
            worker, found = awaited[reference], result(reference)
            self._last_sign = time.monotonic()
            worker.awaited = None
            if isinstance(found, Lost):
                self.dismiss(worker)
                if worker.unit is None:
                    self._lost_before_work(found)
                    continue
            if isinstance(found, Arrival):
                self._welcome(worker, found)
                continue
            yield worker, found
        late = time.monotonic() - self._began > GATHER_SECONDS
        self._gathered |= late or 0 < len(self._arrived) == len(self._workers)
        self._see_that_some_work()

    def dismiss(self, worker: CrewWorker) -> None:
        """End a worker, and its process should it not answer."""
        self._workers.remove(worker)
        stop_actor(worker.actor)
        if worker.arrival is not None and worker.unit is not None:
            end_process(worker.arrival.node, worker.arrival.process)

    def disband(self) -> None:
        """End all workers."""
        for worker in list(self._workers):
            self.dismiss(worker)

    @property
    def _arrived(self) -> list[CrewWorker]:
        return [worker for worker in self._workers if worker.arrival is not None]

    def _welcome(self, worker: CrewWorker, arrival: Arrival) -> None:
        arrival.check()
        if not arrival.sees_folder:
            worker.actor.receive.remote(self._pictures)
        worker.arrival = arrival
        self._lost_at_start = 0

    @cached_property
    def _pictures(self) -> Reference:
        return store_object((self._job.folder / PLAN_PICTURES).read_bytes())

    def _lost_before_work(self, lost: Lost) -> None:
        self._lost_at_start += 1
        if self._lost_at_start >= ATTEMPTS * self.size:
            raise DipbenchError(f"workers do not start: {lost.reason}")

    def _see_that_some_work(self) -> None:
        now = time.monotonic()
        if self.busy:
            self._last_sign = now
        takes = f"{self._resources['num_cpus']:g} CPUs and {self._resources['num_gpus']:g} GPUs"
        if now - self._last_sign > TELL_SECONDS and not self._told:
            self._told = True
            logger.warning("waits for room on the Ray cluster: each worker takes %s", takes)
        if now - self._last_sign > NO_ROOM_SECONDS:
            raise DipbenchError(
                f"the Ray cluster had no room for a worker for {NO_ROOM_SECONDS:.0f} s (each takes "
                f"{takes}): see `ray status`; what is finished is kept"
            )
