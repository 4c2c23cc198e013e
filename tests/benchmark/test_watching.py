"""What those who watch a build are told."""

import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dipbench.benchmark.building import finish
from dipbench.benchmark.locking import builder_lock, builders
from dipbench.benchmark.parts import list_parts, write_part
from dipbench.benchmark.plan import Plan
from dipbench.benchmark.roster import ROSTERS, Roster, Sheet, Worker, read_sheets
from dipbench.benchmark.schema import Run
from dipbench.benchmark.store import PARTS
from dipbench.benchmark.watching import SILENT_SECONDS, Watch, is_silent
from dipbench.errors import StoreError

Freeze = Callable[..., Plan]


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    assert condition()


def test_counts_come_from_parts_and_from_the_generation(
    tmp_path: Path, frozen_plan: Freeze, make_run: Callable[..., Run]
) -> None:
    plan = frozen_plan(tmp_path, ("deep-decoder",), seeds=range(5))
    watch = Watch(tmp_path)
    assert (watch.look().planned, watch.look().remaining) == (5, 5)
    write_part(tmp_path / PARTS, [make_run(plan.models[0], seed=0)])
    write_part(tmp_path / PARTS, [make_run(plan.models[0], seed=1, status="failed", psnr=())])
    write_part(tmp_path / PARTS, [make_run("of another plan")])
    report = watch.look()
    assert (report.done, report.failed, report.remaining) == (1, 1, 3)
    assert (report.running, report.runs_per_hour, report.expected_end) == (0, None, None)
    for part in list_parts(tmp_path / PARTS):
        if "another" in str(part.read_bytes()):
            part.unlink()
    finish(tmp_path)
    write_part(tmp_path / PARTS, [make_run(plan.models[0], seed=1)])
    for looking in (watch, Watch(tmp_path)):
        assert (looking.look().done, looking.look().failed) == (2, 0)


def test_a_damaged_part_is_left_where_it_is(tmp_path: Path, frozen_plan: Freeze) -> None:
    frozen_plan(tmp_path, ("deep-decoder",))
    (tmp_path / PARTS).mkdir()
    damaged = tmp_path / PARTS / "a-b.parquet"
    damaged.write_bytes(b"PAR1 cut")
    assert Watch(tmp_path).look().done == 0
    assert damaged.exists()


def test_workers_their_units_and_the_expected_end(tmp_path: Path, frozen_plan: Freeze) -> None:
    frozen_plan(tmp_path, ("deep-decoder",), seeds=range(50))
    with builder_lock(tmp_path, "1of1"), Roster(tmp_path) as roster:
        roster.took("a", "unit1", "far", 7)
        roster.gave("a", 3)
        roster.took("a", "unit2", "far", 7)
        roster.took("b", "unit3", "near", 8)
        roster.gave("b", 0)
        roster.weigh(30.0, 470.0)
        wait_for(lambda: bool(read_sheets(tmp_path)) and bool(builders(tmp_path)))
        report = Watch(tmp_path).look()
        first, second = report.workers
        assert (first.host, first.process, first.unit, first.runs) == ("far", 7, "unit2", 3)
        assert first.since == pytest.approx(time.time(), abs=20)
        assert (second.unit, second.since, second.runs) == (None, None, 0)
        assert report.running == 1
        assert report.runs_per_hour is not None
        assert report.work_per_hour is not None
        assert report.expected_end is not None
        assert datetime.fromisoformat(report.expected_end) > datetime.now(UTC)
    assert read_sheets(tmp_path) == []
    assert Watch(tmp_path).look().workers == ()


def test_the_expected_end_is_weighted_by_what_runs_cost(
    tmp_path: Path, frozen_plan: Freeze
) -> None:
    frozen_plan(tmp_path, ("deep-decoder",), seeds=range(50))
    began = time.time() - 3600
    host, process = socket.gethostname(), os.getpid()
    made = Worker("a", host, process, runs=5)
    weighed = Sheet(host, process, began, (made,), cost_made=80.0, cost_left=20.0)
    (tmp_path / ROSTERS).mkdir()

    def hours_left(sheet: Sheet) -> float:
        (tmp_path / ROSTERS / "a.json").write_text(json.dumps(asdict(sheet)))
        end = Watch(tmp_path).look().expected_end
        assert end is not None
        return (datetime.fromisoformat(end) - datetime.now(UTC)).total_seconds() / 3600

    with builder_lock(tmp_path, "1of1"):
        wait_for(lambda: bool(builders(tmp_path)))
        # The five costliest of fifty runs are four fifths of the work.
        assert hours_left(weighed) == pytest.approx(0.25, abs=0.01)
        report = Watch(tmp_path).look()
        assert report.work_made == 0.8
        assert report.work_per_hour == pytest.approx(0.8, abs=0.01)
        assert hours_left(replace(weighed, cost_left=None)) == pytest.approx(10, abs=0.1)
        other = replace(weighed, cost_left=160.0)
        (tmp_path / ROSTERS / "b.json").write_text(json.dumps(asdict(other)))
        assert hours_left(weighed) == pytest.approx(2, abs=0.01), "the last shard ends the build"


def test_a_builder_that_died_counts_for_nothing(tmp_path: Path, frozen_plan: Freeze) -> None:
    frozen_plan(tmp_path, ("deep-decoder",))
    host, process = socket.gethostname(), os.getpid()
    with Roster(tmp_path) as roster:
        roster.took("a", "unit", host, process)
        wait_for(lambda: bool(read_sheets(tmp_path)))
        seen = time.time() - SILENT_SECONDS - 1
        record = {"shard": "1of1", "host": host, "process": process, "since": seen, "seen": seen}
        (tmp_path / "builders").mkdir(exist_ok=True)
        (tmp_path / "builders" / "1of1.json").write_text(json.dumps(record))
        report = Watch(tmp_path).look()
    assert is_silent(report.builders[0])
    assert report.workers == ()


def test_what_is_no_build_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no plan"):
        Watch(tmp_path)
