"""Commands that ask a benchmark."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from ..benchmark import Benchmark, load
from ..benchmark.names import find_task, text_of
from ..benchmark.scorefiles import names_by_way
from . import options
from .output import console, facts_table, notes, print_json, results_table, say, table


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (best, top, query, curve, info, coverage):
        app.command(rich_help_panel="Ask a benchmark")(command)


def best(
    image: options.Image,
    task: options.Task,
    store: options.Store = options.SHIPPED,
    by: options.Summary = "best_psnr_smooth",
    seed: options.Seed = None,
    where: options.Where = None,
    budget_iterations: options.BudgetIterations = None,
    budget_seconds: options.BudgetSeconds = None,
    stopping: options.Stopping = None,
    as_json: options.Json = False,
) -> None:
    """The best model of an image and task.

    The table's `iteration` is where the PSNR was reached, from 0; over seeds, the lower median.

    Example: `dipbench best camera denoising --store demo-store`
    """
    limits = options.read_limits(where, budget_iterations, budget_seconds, stopping)
    bench = load(store)
    asked = image, task, options.read_by(by), seed
    found = bench.best(*asked, **limits)
    left_out = bench.left_out(*asked, **limits)
    _note_left_out(left_out)
    if as_json:
        print_json({**vars(found), "left_out": left_out})
    else:
        words = f"{options.asked_words(by, limits)} on {found.image}, {found.task}"
        among = _among(bench, _ranked(bench, *asked, **limits))
        console.print(results_table([found], f"best by {words}{among}"))


def top(
    image: options.Image,
    task: options.Task,
    k: Annotated[int, typer.Option("-k", min=1, help="How many models.")] = 10,
    store: options.Store = options.SHIPPED,
    by: options.Summary = "best_psnr_smooth",
    seed: options.Seed = None,
    where: options.Where = None,
    budget_iterations: options.BudgetIterations = None,
    budget_seconds: options.BudgetSeconds = None,
    stopping: options.Stopping = None,
    as_json: options.Json = False,
) -> None:
    """The k best models of an image and task, best first.

    The table's `iteration` is where the PSNR was reached, from 0; over seeds, the lower median.

    Example: `dipbench top camera inpainting-50 -k 5 --store demo-store`
    """
    limits = options.read_limits(where, budget_iterations, budget_seconds, stopping)
    bench = load(store)
    asked = image, task, options.read_by(by), seed
    found = bench.top(image, task, k, options.read_by(by), seed, **limits)
    _note_left_out(bench.left_out(*asked, **limits))
    if as_json:
        print_json(found)
    else:
        words = f"{options.asked_words(by, limits)} on {found[0].image}, {found[0].task}"
        among = _among(bench, _ranked(bench, *asked, **limits))
        console.print(results_table(found, f"top {len(found)} by {words}{among}"))


def query(
    model: options.Model,
    image: options.Image,
    task: options.Task,
    store: options.Store = options.SHIPPED,
    by: options.Summary = "best_psnr_smooth",
    seed: options.Seed = None,
    where: options.Where = None,
    budget_iterations: options.BudgetIterations = None,
    budget_seconds: options.BudgetSeconds = None,
    stopping: options.Stopping = None,
    as_json: options.Json = False,
) -> None:
    """How good one model is: PSNR, rank and regret.

    The table's `iteration` is where the PSNR was reached, from 0; over seeds, the lower median.

    Example: `dipbench query 70 camera denoising`
    """
    bench = load(store)
    asked = image, task, options.read_by(by), seed
    limits = options.read_limits(where, budget_iterations, budget_seconds, stopping)
    found = bench.query(model, *asked, **limits)
    rank = bench.rank(model, *asked, **limits)
    regret = bench.regret(model, *asked, **limits)
    ranked = _ranked(bench, *asked, **limits)
    left_out = bench.left_out(*asked, **limits)
    _note_left_out(left_out)
    if as_json:
        ranks = {"rank": rank, "ranked": ranked, "regret": regret, "left_out": left_out}
        print_json({**vars(found), **ranks})
    else:
        title = f"{found.image}, {found.task}, by {options.asked_words(by, limits)}"
        console.print(results_table([found], title, first=rank))
        say(f"rank {rank} of {ranked}, {regret:.2f} dB below the best")


def _ranked(bench: Benchmark, *asked: Any, **limits: Any) -> int:
    """How many models have an answer to a question."""
    return int(bench.query_many(None, *asked, **limits)["rank"].notna().sum())


def _among(bench: Benchmark, ranked: int) -> str:
    """Which of the models were compared, where not all of them were."""
    every = len(bench.models)
    return "" if ranked == every else f", among the {ranked:,} of {every:,} models that count"


def curve(
    model: options.Model,
    image: options.Image,
    task: options.Task,
    store: options.Store = options.SHIPPED,
    kind: Annotated[
        str,
        typer.Option(
            help="psnr, psnr_smooth, loss, variance, and what else was recorded: psnr_observed, or "
            "further averages such as psnr_smooth_0.99."
        ),
    ] = "psnr_smooth",
    seed: options.Seed = None,
    as_json: options.Json = False,
) -> None:
    """A model's training curve, as CSV or JSON.

    Example: `dipbench curve 70 camera denoising --kind psnr > curve.csv`
    """
    bench = load(store)
    values = bench.curve(model, image, task, kind, seed).tolist()
    iterations = bench.curve_iterations(model, image, task, seed).tolist()
    if as_json:
        names = {"model": text_of(model, dict.fromkeys(bench.models, 0)), "image": image}
        asked = {**names, "task": find_task(task, bench.tasks), "kind": kind}
        print_json({**asked, "iterations": iterations, "values": values})
        return
    print(f"iteration,{kind}")
    for iteration, value in zip(iterations, values, strict=True):
        print(f"{iteration},{value:.6g}")


def info(store: options.Store = options.SHIPPED, as_json: options.Json = False) -> None:
    """What a benchmark holds and how it was made.

    Example: `dipbench info --store demo-store`
    """
    bench = load(store)
    manifest = bench.manifest
    facts: dict[str, Any] = {
        "name": manifest.name,
        "folder": str(bench.folder),
        "generation": manifest.generation,
        "runs": len(bench.to_frame()),
        "models": len(bench.models),
        "images": list(bench.images),
        "tasks": list(bench.tasks),
        "scores": sorted(set(names_by_way(bench.scores()))) if "scores" in manifest.files else [],
        "protocol": dict(manifest.protocol),
        "environment": dict(manifest.environment),
        "content_sha256": manifest.content_sha256,
        "curve_stride": manifest.stride,
        "bytes": sum(entry["size"] for entry in manifest.files.values()),
    }
    if as_json:
        print_json(facts)
        return
    protocol = bench.protocol
    iterations = ", ".join(f"{kind} {n}" for kind, n in manifest.protocol["iterations"].items())
    shown = {
        **facts,
        "images": ", ".join(bench.images),
        "tasks": ", ".join(bench.tasks),
        "scores": ", ".join(facts["scores"]) or "none",
        "protocol": f"{protocol.name}: {iterations} iterations, {protocol.precision}, "
        f"smoothing {', '.join(map(str, protocol.ema))}, stop rule: {protocol.stop or 'none'}, "
        f"threads a run: {protocol.threads}",
        "environment": ", ".join(f"{name} {what}" for name, what in manifest.environment.items()),
        "curve_stride": manifest.stride or "1: every iteration",
        "bytes": f"{facts['bytes']:,}",
    }
    console.print(facts_table(shown))


def coverage(store: options.Store = options.SHIPPED, as_json: options.Json = False) -> None:
    """What was trained and what is missing, by image and task.

    Example: `dipbench coverage --store demo-store`
    """
    frame = load(store).coverage()
    rows = frame.to_dict("records")
    if as_json:
        print_json(rows)
    else:
        # Statuses that no run has would take the room that names need.
        rare = {"stopped", "diverged", "failed"}
        shown = [name for name in map(str, frame) if name not in rare or frame[name].any()]
        columns = [*shown[:2], *(f">{name}" for name in shown[2:])]
        console.print(table(columns, [[row[name] for name in shown] for row in rows]))


def _note_left_out(left_out: Mapping[str, int]) -> None:
    counted = ", ".join(f"{count} ({reason})" for reason, count in left_out.items() if count)
    if counted:
        notes.print(f"runs left out: {counted}")
