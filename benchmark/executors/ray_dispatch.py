"""Units on their way: handed out, taken back with their parts, tried again when they are lost."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..logs import add_to_log, unit_log
from ..parts import receive_part
from ..roster import Roster
from ..store import PARTS
from ..training import record_failed
from . import ATTEMPTS, Lost, Outcome, Unit
from .ray_crew import CrewWorker
from .ray_worker import Answer
from .schedule import Schedule

SHORTEST_LIMIT_SECONDS = 600.0
TIMES_EXPECTED = 10


class Dispatch:
    """Hands out the units of a schedule, and keeps what comes back.

    Args:
        folder: of the benchmark.
        schedule: the runs that wait.
        roster: told who works on what.
        timeout: seconds that a run may take; None for ten times what is expected of a unit.
    """

    def __init__(
        self, folder: Path, schedule: Schedule, roster: Roster, timeout: float | None
    ) -> None:
        self._folder = folder
        self._schedule = schedule
        self._roster = roster
        self._timeout = timeout

    @property
    def waiting(self) -> int:
        """Runs that no worker has."""
        return len(self._schedule)

    def hand_out(self, idle: Sequence[CrewWorker], workers: int) -> None:
        """Give each idle worker a unit, sized for so many workers in all."""
        self._schedule.workers = workers
        for worker in idle:
            if self._schedule and worker.arrival is not None:
                unit = self._schedule.take()
                worker.take(unit)
                host, process = worker.arrival.host, worker.arrival.process
                self._roster.took(worker.name, unit.name, host, process)

    def take_back(self, worker: CrewWorker, found: Answer | Lost) -> Iterator[Outcome]:
        """Keep what a worker made of its unit; the outcome of what is made or given up."""
        unit, worker.unit = worker.unit, None
        if unit is None:
            return
        if isinstance(found, Lost):
            self._roster.gave(worker.name, 0)
            yield from self._lose(unit, found.reason)
        else:
            self._schedule.measured(unit, time.monotonic() - worker.since)
            self._roster.gave(worker.name, len(found.outcome))
            self._keep(unit, found)
            yield found.outcome
        self._roster.weigh(self._schedule.cost_made, self._schedule.cost_left)

    def exceeded_limit(self, worker: CrewWorker) -> float | None:
        """The seconds that a worker's unit may take, if it has taken longer."""
        limit = self._limit(worker.unit) if worker.unit is not None else None
        return limit if limit is not None and time.monotonic() - worker.since > limit else None

    def _limit(self, unit: Unit) -> float | None:
        if self._timeout is not None:
            return self._timeout * len(unit.keys)
        expected = self._schedule.expected_seconds(unit)
        return None if expected is None else max(SHORTEST_LIMIT_SECONDS, TIMES_EXPECTED * expected)

    def _lose(self, unit: Unit, reason: str) -> Iterator[Outcome]:
        with unit_log(self._folder, unit.name) as log:
            log.warning("unit %s is lost: %s", unit.name, reason)
        given_up = self._schedule.lost(unit)
        if given_up:
            told = f"lost {ATTEMPTS} times, last in unit {unit.name}: {reason}"
            yield record_failed(self._folder, given_up, told)

    def _keep(self, unit: Unit, answer: Answer) -> None:
        for name, content in answer.parts:
            receive_part(self._folder / PARTS, name, content)
        if answer.log:
            add_to_log(self._folder, unit.name, answer.log)
