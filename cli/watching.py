"""Commands that watch a benchmark under construction."""

import re
import sys
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live

from ..benchmark.locking import Builder
from ..benchmark.store import command
from ..benchmark.watching import BuildReport, Watch, is_silent
from ..errors import DipbenchError
from . import options
from .output import console, facts_table, print_json, say, table

SECONDS_BETWEEN_LOOKS = 5.0
WORKERS_SHOWN = 30


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel="Build a benchmark")(status)


def status(
    folder: options.StoreFolder,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Keep looking until all runs are made, or no one makes them."),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """How far a benchmark under construction is, who builds it, and when it should be done.

    It works on any machine that sees the folder.

    Example: `dipbench status my-store --watch`
    """
    if watch and as_json:
        raise DipbenchError("--watch is for people and --json for programs: leave out one")
    looking = Watch(folder)
    if watch:
        _watch(looking, folder)
        return
    report = looking.look()
    if as_json:
        print_json({**asdict(report), "remaining": report.remaining})
        return
    for row in _facts(report).items():
        say(f"{row[0]:<14} {row[1]}")
    for line in _builder_lines(report):
        say(line)
    if report.workers:
        console.print(_workers_table(report, folder))


def _watch(looking: Watch, folder: Path) -> None:
    report = (_watch_screen if console.is_terminal else _watch_lines)(looking, folder)
    if report.remaining:
        say(
            f"{report.remaining} of {report.planned} runs remain and no builder is at work: "
            f"{command('train --out', folder)} goes on"
        )


def _watch_screen(looking: Watch, folder: Path) -> BuildReport:
    """Show how far it is in one place, until it ends."""
    with Live(console=console, auto_refresh=False) as live:
        while True:
            report = looking.look()
            live.update(Group(*_shown(report, folder)), refresh=True)
            if _is_over(report):
                return report
            time.sleep(SECONDS_BETWEEN_LOOKS)


def _watch_lines(looking: Watch, folder: Path) -> BuildReport:
    """Print a line whenever something has changed, and all at the end."""
    before = ""
    while True:
        report = looking.look()
        line = f"{report.done} of {report.planned} done, {report.failed} failed"
        if line != before:
            say(line)
            sys.stdout.flush()
        before = line
        if _is_over(report):
            console.print(Group(*_shown(report, folder)))
            return report
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _shown(report: BuildReport, folder: Path) -> list[RenderableType]:
    workers = [_workers_table(report, folder)] if report.workers else []
    return [facts_table(_facts(report)), *_builder_lines(report), *workers]


def _is_over(report: BuildReport) -> bool:
    return not report.remaining or all(map(is_silent, _builders(report)))


def _facts(report: BuildReport) -> dict[str, object]:
    rate, work, end = report.runs_per_hour, report.work_made, report.expected_end
    unknown = "not known yet" if report.remaining and _builders(report) else "nothing is under way"
    local_end = end and datetime.fromisoformat(end).astimezone().strftime("%Y-%m-%d %H:%M")
    return {
        "planned": report.planned,
        "done": report.done,
        "failed": report.failed,
        "remaining": report.remaining,
        "running": f"{report.running} units",
        "rate": f"{rate:.1f} runs an hour" if rate else unknown,
        "work": unknown if work is None else f"{work:.1%} made, by what runs cost",
        "expected end": local_end or unknown,
    }


def _builders(report: BuildReport) -> list[Builder]:
    """Those who make runs; others hold a lock for a work of another name, such as scoring."""
    return [one for one in report.builders if re.fullmatch(r"\d+of\d+", one.shard)]


def _builder_lines(report: BuildReport) -> list[str]:
    making = _builders(report)
    return [
        ("shard " if one in making else "also at work, ")
        + f"{one.shard}: process {one.process} on {one.host}"
        + (f", not seen for {time.time() - one.seen:.0f} s" if is_silent(one) else "")
        for one in report.builders
    ]


def _workers_table(report: BuildReport, folder: Path) -> Group:
    now = time.time()
    rows = [
        [
            f"{worker.host} {worker.process}",
            worker.runs,
            "idle" if worker.unit is None else f"{folder / 'logs' / worker.unit}.log",
            "" if worker.since is None else f"{now - worker.since:.0f} s",
        ]
        for worker in report.workers[:WORKERS_SHOWN]
    ]
    hidden = len(report.workers) - WORKERS_SHOWN
    title = f"{hidden} more workers are in --json" if hidden > 0 else ""
    return table(["worker", ">runs made", "log of its unit", ">for"], rows, title)
