"""Watching a build from any machine that sees its folder: counts, rate, expected end, workers."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from .locking import HEARTBEAT_SECONDS, Builder, builders
from .parts import glance, list_parts, table_keys
from .plan import read_plan
from .roster import Sheet, Worker, read_sheets
from .schema import RunKey, furthest
from .store import PARTS, find_manifest, read_table

SILENT_SECONDS = 6 * HEARTBEAT_SECONDS
"""A builder that has not been seen for so long is taken for dead."""


@dataclass(frozen=True)
class BuildReport:
    """How far a build is.

    Attributes:
        planned: runs of the plan.
        done: those on disk, with whatever status but `failed`.
        failed: those recorded as failed.
        running: units that workers have now.
        runs_per_hour: of the living builders, since each began; None before the first run.
        work_made: the share of the work of the living builders that they have made since they
            began, by what runs cost: the costliest are made first. None where no costs are counted.
        work_per_hour: the share that they make in an hour.
        expected_end: when the last builder should be done (ISO 8601): at its rate of work, or of
            runs where costs are not counted; None where there is none.
        builders: who builds, or died while building.
        workers: of the living builders.
    """

    planned: int
    done: int
    failed: int
    running: int
    runs_per_hour: float | None
    work_made: float | None
    work_per_hour: float | None
    expected_end: str | None
    builders: tuple[Builder, ...]
    workers: tuple[Worker, ...]

    @property
    def remaining(self) -> int:
        """Runs that have no record yet."""
        return self.planned - self.done - self.failed


class Watch:
    """Looks at a build again and again, and reads each part only once.

    Args:
        folder: a benchmark with a plan.

    Raises:
        StoreError: if it has none.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._planned = set(read_plan(folder).run_keys())
        self._parts: dict[Path, list[tuple[RunKey, str]]] = {}
        self._generation = 0
        self._committed: list[tuple[RunKey, str]] = []

    def look(self) -> BuildReport:
        """How far the build is now; it touches nothing."""
        statuses = self._statuses()
        failed = sum(status == "failed" for status in statuses.values())
        known = builders(self._folder)
        alive = {(one.host, one.process) for one in known if not is_silent(one)}
        sheets = [one for one in read_sheets(self._folder) if (one.host, one.process) in alive]
        workers = tuple(worker for sheet in sheets for worker in sheet.workers)
        remaining = len(self._planned) - len(statuses)
        return BuildReport(
            planned=len(self._planned),
            done=len(statuses) - failed,
            failed=failed,
            running=sum(worker.unit is not None for worker in workers),
            runs_per_hour=_runs_per_hour(sheets),
            work_made=_work_made(sheets, lambda sheet: 1.0),
            work_per_hour=_work_made(sheets, _hours),
            expected_end=_end(sheets, remaining) if remaining else None,
            builders=tuple(known),
            workers=workers,
        )

    def _statuses(self) -> dict[RunKey, str]:
        paths = list_parts(self._folder / PARTS)
        # The parts come first: a generation that is committed meanwhile holds what was in them.
        self._parts = {path: self._parts.get(path) or glance(path) for path in paths}
        self._read_generation()
        statuses = furthest(chain(self._committed, *self._parts.values()))
        return {key: status for key, status in statuses.items() if key in self._planned}

    def _read_generation(self) -> None:
        manifest = find_manifest(self._folder)
        if manifest is not None and manifest.generation != self._generation:
            self._generation = manifest.generation
            self._committed = table_keys(read_table(self._folder, manifest, "runs"))


def is_silent(builder: Builder) -> bool:
    """Whether a builder has not been seen for so long that it must have died.

    By this machine's clock and by its own: those of a build must go alike within half a minute.
    """
    return time.time() - builder.seen > SILENT_SECONDS


def _runs_per_hour(sheets: list[Sheet]) -> float | None:
    return sum(sheet.runs / _hours(sheet) for sheet in sheets) or None


def _work_made(sheets: list[Sheet], per: Callable[[Sheet], float]) -> float | None:
    weighed = [sheet for sheet in sheets if sheet.cost_left is not None]
    work = sum(sheet.cost_made + (sheet.cost_left or 0.0) for sheet in weighed)
    return sum(sheet.cost_made / per(sheet) for sheet in weighed) / work if work else None


def _end(sheets: list[Sheet], remaining: int) -> str | None:
    """When the last builder is done if costs go on to be made as fast; else if runs do."""
    hours = [
        _hours(sheet) * sheet.cost_left / sheet.cost_made
        for sheet in sheets
        if sheet.cost_left is not None and sheet.cost_made
    ]
    rate = _runs_per_hour(sheets)
    if not hours and rate:
        hours = [remaining / rate]
    if not hours:
        return None
    end = datetime.fromtimestamp(time.time() + 3600 * max(hours), UTC)
    return end.isoformat(timespec="seconds")


def _hours(sheet: Sheet) -> float:
    """How long a builder has been at work."""
    return max(1.0, time.time() - sheet.since) / 3600
