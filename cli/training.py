"""Commands that build a benchmark."""

import time
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer
from rich.progress import Task

from ..benchmark import load
from ..benchmark.building import WHOLE, Progress, Shard, build, read_progress, recorded, remaining
from ..benchmark.building import finish as merge_parts
from ..benchmark.executors import Executor
from ..benchmark.executors.local import LocalExecutor, default_workers
from ..benchmark.logs import told
from ..benchmark.parts import readable_keys
from ..benchmark.plan import Plan, freeze_plan
from ..benchmark.schema import RunKey
from ..benchmark.store import MANIFEST, check_writable
from ..data import Image
from ..errors import DipbenchError
from . import options
from .output import notes, print_json, progress_bar, say
from .planning import plan_anew, planned_before
from .targets import check_target_folder

TOLD_SECONDS = 60.0
"""How often a build says how far it is where no terminal shows its bar."""


class ExecutorName(StrEnum):
    """What trains the runs."""

    LOCAL = "local"
    RAY = "ray"


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (train, finish):
        app.command(rich_help_panel="Build a benchmark")(command)


def train(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="The benchmark's folder.", show_default=False)],
    images: Annotated[
        str | None,
        typer.Option(
            help="Comma list of packaged names, image files and folders; with --images-from, of "
            "names in that benchmark."
        ),
    ] = None,
    images_from: Annotated[
        str | None,
        typer.Option(help="A benchmark whose images and observations are trained on, as they are."),
    ] = None,
    tasks: Annotated[str, typer.Option(help="Comma list of tasks.")] = "denoising",
    models: Annotated[
        str,
        typer.Option(
            help="isnas522, stratified:32 of them, indices, random:32:7 (count, seed), genotypes, "
            "or a file."
        ),
    ] = "isnas522",
    protocol: Annotated[
        str, typer.Option("--protocol", "--preset", help="isnas, quick or mini64.")
    ] = "isnas",
    size: Annotated[
        int | None, typer.Option(min=64, help="Cut out a square of each image and resize it.")
    ] = None,
    iterations: Annotated[
        int | None, typer.Option(min=1, help="Instead of the protocol's.")
    ] = None,
    seeds: Annotated[str, typer.Option(help="Comma list of run seeds.")] = "0",
    observation_seed: Annotated[int, typer.Option(help="Seed of the noise and the masks.")] = 0,
    outputs: Annotated[bool, typer.Option("--outputs", help="Keep smoothed outputs.")] = False,
    device: options.Device = "auto",
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Runs side by side; by default as many as there are cores for."),
    ] = None,
    threads: Annotated[
        int, typer.Option(min=1, max=options.MOST_THREADS, help="CPU threads of each run.")
    ] = 1,
    precision: options.Precision = "auto",
    executor: Annotated[
        ExecutorName, typer.Option(help="This machine's processes, or a Ray cluster.")
    ] = ExecutorName.LOCAL,
    address: Annotated[
        str | None,
        typer.Option(
            help="Address of the Ray cluster: auto, or host and port; by default a Ray of its own."
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(min=0.1, help="Seconds that a run on Ray may take before it is tried again."),
    ] = None,
    shard: Annotated[str, typer.Option(help="Take share i of n of the runs.")] = "1/1",
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Take up runs recorded as failed, too.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would cost, and start nothing.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Train models on images and tasks; run it again to resume.

    To resume, `--out` is enough: the plan is in the folder. Other seeds, images or tasks of the
    same protocol are trained into another folder, and `dipbench add` brings the two together. It
    exits with 1 where runs have failed.

    Example: `dipbench train --images camera --tasks denoising,inpainting-50 --models
    random:32:7 --protocol quick --out my-store`
    """
    plans = images is not None or images_from is not None
    # The options of which a plan is made are read from the context.
    plan, pictures, observations = (
        plan_anew(context, out, _precision(precision, device, executor))
        if plans
        else planned_before(context, out)
    )
    trainer = _executor(executor, workers, device, address, timeout)
    share = Shard.parse(shard)
    if dry_run:
        check_target_folder(out, "--out")
        statuses, _ = recorded(out, plan, readable_keys)  # nothing is touched
        left = remaining(plan, share, statuses, retry_failed)
        _print_estimate(plan, left, pictures, LocalExecutor(workers, device), as_json)
        return
    check_writable(out)
    if plans:
        freeze_plan(out, plan, pictures, observations)
    made, left_failed = run_build(out, trainer, share, retry_failed)
    if as_json:
        print_json({"store": str(out), "made": made, **asdict(read_progress(out))})
    if made.get("failed") or left_failed:
        raise typer.Exit(1)


def run_build(
    folder: Path, executor: Executor, shard: Shard = WHOLE, retry_failed: bool = False
) -> tuple[dict[str, int], int]:
    """Build with a progress bar, or lines where there is no terminal, and say what was made.

    Returns:
        Runs made, by status, and how many had failed before and were left so.
    """
    counts: dict[str, int] = {}
    left_failed, told_at = 0, time.monotonic()
    with progress_bar() as bar:
        task = bar.add_task("training", total=None)

        def start(progress: Progress) -> None:
            nonlocal left_failed
            left_failed = progress.failed
            for path in progress.damaged:
                notes.print(f"a damaged part is set aside as {path}; its runs are trained again")
            bar.update(task, total=progress.planned, completed=progress.done + progress.failed)

        def advance(key: RunKey, status: str) -> None:
            nonlocal told_at
            counts[status] = counts.get(status, 0) + 1
            bar.advance(task)
            due = time.monotonic() - told_at >= TOLD_SECONDS and not bar.finished
            if due and not notes.is_terminal:
                told_at = time.monotonic()
                notes.print(_so_far(bar.tasks[task]))

        with told(notes.print):
            build(
                folder,
                executor,
                shard=shard,
                retry_failed=retry_failed,
                on_start=start,
                on_run=advance,
            )
    made = ", ".join(f"{count} {status}" for status, count in counts.items()) or "nothing to do"
    notes.print(f"{folder}: {made}")
    failed = counts.get("failed", 0) + left_failed
    if failed:
        again = f"dipbench train --out {quote(str(folder))} --retry-failed"
        notes.print(f"{failed} failed: `{again}` tries again{_first_reason(folder)}")
    return counts, left_failed


def _so_far(line: Task) -> str:
    left = line.time_remaining
    rest = "" if left is None else f", about {_span(left / 3600)} left"
    return f"{line.completed:.0f} of {line.total or 0:.0f} runs{rest}"


def _first_reason(folder: Path) -> str:
    """Why the first failed run of a merged benchmark failed; empty where none is merged yet."""
    if not (folder / MANIFEST).is_file():
        return ""
    failed = load(folder).to_frame().query("status == 'failed'").to_dict("records")
    if not failed:
        return ""
    first = failed[0]
    return f"; {first['model']} on {first['image']}, {first['task']}: {first['reason']}"


def finish(folder: options.StoreFolder) -> None:
    """Merge the runs that are there into a readable benchmark; can be repeated at any time.

    Example: `dipbench finish my-store`
    """
    manifest = merge_parts(folder)
    say(f"{folder}: generation {manifest.generation}; ask it with --store {quote(str(folder))}")


def _executor(
    name: ExecutorName,
    workers: int | None,
    device: str,
    address: str | None,
    timeout: float | None,
) -> Executor:
    if name is ExecutorName.RAY:
        from ..benchmark.executors.ray import RayExecutor

        return RayExecutor(address, workers, device, timeout)
    if address is not None or timeout is not None:
        raise DipbenchError("--address and --timeout are for --executor ray")
    from ..evaluate.devices import resolve_device

    resolve_device(device)
    return LocalExecutor(workers, device)


def _precision(name: str, device: str, executor: ExecutorName) -> str:
    """The precision of a plan; what a cluster's machines compute in is not known here."""
    if executor is ExecutorName.RAY:
        return "float32" if name == "auto" else name
    from ..evaluate.devices import resolve_device, resolve_precision

    return resolve_precision(name, resolve_device(device))


def _print_estimate(
    plan: Plan,
    keys: list[RunKey],
    pictures: list[Image],
    executor: LocalExecutor,
    as_json: bool,
) -> None:
    from ..benchmark.estimating import estimate

    workers = executor.workers or default_workers(plan.protocol.threads, executor.device)
    if keys:
        notes.print(f"timing some iterations of a run by the protocol {plan.protocol.name}")
    found = estimate(plan, keys, pictures, workers, executor.device)
    if as_json:
        print_json(found)
        return
    about = "about" if plan.protocol.stop is None else "at most about"  # a rule may end runs early
    planned = len(plan.run_keys())
    say(
        f"{found.runs:,}{'' if found.runs == planned else f' of {planned:,}'} "
        f"run{'s' * (planned != 1)}, {about} {_span(found.hours)} with {workers} side by side on "
        f"this machine, and {_size(found.gigabytes)} of curves"
    )


def _span(hours: float) -> str:
    """A length of time in words.

    >>> _span(0.03), _span(12.34)
    ('1.8 minutes', '12.3 hours')
    """
    return f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.1f} minutes"


def _size(gigabytes: float) -> str:
    """An amount of bytes in words.

    >>> _size(0.0123), _size(2.5)
    ('12.3 MB', '2.50 GB')
    """
    return f"{gigabytes:.2f} GB" if gigabytes >= 1 else f"{1000 * gigabytes:.1f} MB"
