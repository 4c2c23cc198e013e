"""Commands for clusters, and for benchmarks that others made on theirs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ..benchmark.executors.slurm import Allocation, sbatch_script
from ..benchmark.loading import find
from ..errors import DipbenchError
from . import options
from .misuse import explained, is_misuse
from .output import notes, print_json, progress_bar, say
from .planning import plan_anew, planned_before
from .targets import check_target_folder

OWN = ("shard", "executor", "address", "device")
"""The options of `train` that the script gives itself, beside `--out`."""


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    passing = {"allow_extra_args": True, "ignore_unknown_options": True}
    app.command("slurm-script", rich_help_panel="Build a benchmark", context_settings=passing)(
        slurm_script
    )
    app.command(rich_help_panel="Look after a benchmark")(audit)


def slurm_script(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="The benchmark's folder.", show_default=False)],
    form: Annotated[
        str, typer.Option(help="ray: one job over machines; array: a job a shard, without Ray.")
    ] = "ray",
    count: Annotated[int, typer.Option(min=1, help="Machines, or shards.")] = 1,
    cpus: Annotated[int, typer.Option(min=1, help="CPUs of each.")] = 8,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs of each.")] = 0,
    time: Annotated[str, typer.Option(help="Longest time of a job.")] = "24:00:00",
    partition: Annotated[str | None, typer.Option(help="Where to queue it.")] = None,
) -> None:
    """Print a script for sbatch that builds a benchmark and goes on after every interruption.

    Further arguments go to `dipbench train`, but for `--shard`, `--executor`, `--address` and
    `--device`, which the script gives; none are needed where the folder holds a plan. The folder
    must be one that all machines see.

    Example: `dipbench slurm-script --out my-store --count 4 --gpus 8 --images camera > job.sh`
    """
    allocation = Allocation(form, count, cpus, gpus, time, partition)
    _check_further(context, out, form, cpus)
    print(sbatch_script(out, allocation, context.args), end="")


def _check_further(context: typer.Context, out: Path, form: str, cpus: int) -> None:
    """See that `train` would take the further arguments, and that none is the script's own.

    Raises:
        DipbenchError: if not.
    """
    group: Any = context.find_root().command
    try:
        train = group.commands["train"].make_context(
            "train", ["--out", str(out), *context.args], parent=context.find_root()
        )
    except Exception as error:
        if not is_misuse(error):
            raise
        raise DipbenchError(explained(error)) from error
    refused = options.given(train, OWN)
    refused += ["--out"] if train.params["out"] != out else []
    if refused:
        raise DipbenchError(
            f"{', '.join(refused)} is given by the script itself: leave it out; --gpus and --form "
            "say what machines do"
        )
    if train.params["dry_run"]:
        raise DipbenchError(
            "with --dry-run every job would train nothing: leave it out, and estimate with "
            "`dipbench train --dry-run`"
        )
    if form == "array" and train.params["timeout"] is not None:
        raise DipbenchError("--timeout is for Ray: leave it out, or choose --form ray")
    check_target_folder(out, "--out")
    if train.params["images"] is None and train.params["images_from"] is None:
        plan = planned_before(train, out).plan
    else:
        asked = train.params["precision"]
        # What the machines compute in by `auto` is not known here, and no plan fails by it.
        plan = plan_anew(train, out, "float32" if asked == "auto" else asked).plan
    if plan.protocol.threads > cpus:
        raise DipbenchError(
            f"a run takes {plan.protocol.threads} threads, more than the {cpus} CPUs of a "
            f"{'machine' if form == 'ray' else 'shard'}: give --cpus {plan.protocol.threads}, or "
            "plan with fewer --threads"
        )


def audit(
    store: options.NamedStore,
    sample: Annotated[int, typer.Option(min=1, help="Runs to train again.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed that the runs are drawn by.")] = 0,
    device: options.Device = "auto",
    as_json: options.Json = False,
) -> None:
    """Train random runs of a benchmark again and see whether they agree; exit with 1 if not.

    On the CPU and the versions that made them, runs agree to the bit; elsewhere within three
    standard deviations of the differences between seeds. Parameter counts agree exactly.

    Example: `dipbench audit my-store --sample 5`
    """
    from ..benchmark.auditing import audit_runs

    folder = find(store)
    with progress_bar() as bar:
        task = bar.add_task("training again", total=sample)
        found = audit_runs(
            folder,
            sample,
            seed,
            device,
            on_finding=lambda one: notes.print(str(one)),
            on_training=lambda made, of: bar.update(task, completed=made, total=of),
        )
    agreeing = sum(finding.agrees for finding in found)
    if as_json:
        print_json(found)
    else:
        say(f"{folder}: {agreeing} of {len(found)} runs agree")
    if agreeing < len(found):
        raise typer.Exit(1)
