"""Who works on what: the sheet that a builder keeps of its workers, for those who watch."""

import json
import os
import socket
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..files import published
from .store import LEFTOVER_SECONDS

ROSTERS = "workers"
SECONDS_BETWEEN_WRITES = 1.0


@dataclass(frozen=True)
class Worker:
    """One worker of a builder.

    Attributes:
        name: unique among the builder's workers.
        host: its machine.
        process: its process there.
        unit: the name of the unit that it has, or None.
        since: when it took that unit (Unix time), or None.
        runs: how many it has made.
    """

    name: str
    host: str
    process: int
    unit: str | None = None
    since: float | None = None
    runs: int = 0


@dataclass(frozen=True)
class Sheet:
    """The workers of one builder.

    Attributes:
        host: the builder's machine.
        process: its process there.
        since: when it began (Unix time).
        workers: those that it has had.
        cost_made: of the runs made, in any measure that grows with the time they take.
        cost_left: of those that it has yet to make; None from a builder that counts no costs.
    """

    host: str
    process: int
    since: float
    workers: tuple[Worker, ...] = ()
    cost_made: float = 0.0
    cost_left: float | None = None

    @property
    def runs(self) -> int:
        """Runs that all its workers have made."""
        return sum(worker.runs for worker in self.workers)


class Roster:
    """Keeps the sheet of this process's workers in a benchmark's folder while it is entered."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / ROSTERS / f"{socket.gethostname()}-{os.getpid()}.json"
        self._workers: dict[str, Worker] = {}
        self._since = time.time()
        self._costs: tuple[float, float | None] = (0.0, None)
        self._changed = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> "Roster":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def took(self, name: str, unit: str, host: str, process: int) -> None:
        """A worker has taken a unit."""
        runs = self._workers[name].runs if name in self._workers else 0
        self._workers[name] = Worker(name, host, process, unit, time.time(), runs)
        self._changed.set()

    def gave(self, name: str, runs: int) -> None:
        """A worker has made runs, or lost its unit (none)."""
        known = self._workers[name]
        self._workers[name] = replace(known, unit=None, since=None, runs=known.runs + runs)
        self._changed.set()

    def weigh(self, cost_made: float, cost_left: float) -> None:
        """What has been made so far cost so much, and what is left will cost so much."""
        self._costs = cost_made, cost_left
        self._changed.set()

    def _keep(self) -> None:
        written = time.monotonic()
        while not self._ended.wait(SECONDS_BETWEEN_WRITES):
            # Now and then in any case: what is old is taken for a dead builder's and removed.
            if self._changed.is_set() or time.monotonic() - written > LEFTOVER_SECONDS / 4:
                self._changed.clear()
                self._write()
                written = time.monotonic()

    def _write(self) -> None:
        workers = tuple(self._workers.values())
        sheet = Sheet(socket.gethostname(), os.getpid(), self._since, workers, *self._costs)
        # A full disk must not end a build that could still finish what it has.
        with suppress(OSError):
            self._path.parent.mkdir(exist_ok=True)
            with published(self._path) as temporary:
                temporary.write_text(json.dumps(asdict(sheet)), encoding="utf-8")


def read_sheets(folder: Path) -> list[Sheet]:
    """The sheets of all builders, of those that died at work too."""
    found = []
    for path in sorted((folder / ROSTERS).glob("*.json")):
        try:
            record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            workers = tuple(Worker(**worker) for worker in record.pop("workers"))
            found.append(Sheet(**record, workers=workers))
        except (OSError, ValueError, TypeError, KeyError):
            continue  # removed or renamed while we looked
    return found
