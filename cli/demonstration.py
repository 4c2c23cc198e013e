"""The whole way on a small scale: train, ask, score, correlate, draw."""

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from ..benchmark import Benchmark, load
from ..benchmark.executors.local import LocalExecutor
from ..benchmark.plan import freeze_plan, make_plan
from ..benchmark.store import check_writable
from ..data import load_images
from ..evaluate.protocol import get_protocol
from ..genotypes import ISNAS522
from ..seeds import generator
from . import options
from .output import console, notes, print_json, results_table, say, table
from .scoring import run_scoring
from .training import run_build

MODELS = 6
ITERATIONS = 100
INITIALISATIONS = 8
TASKS = ("denoising-25", "inpainting-50")
SCORES = ("psd_db_mse", "psd_db_strip_mse", "psd_strip_hist_emd", "psd_99_per_bw")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel="Start here")(demo)


def demo(
    out: Annotated[Path, typer.Option(help="Folder of the benchmark it makes.")] = Path(
        "demo-store"
    ),
    as_json: options.Json = False,
) -> None:
    """Train six of the 522 models on a photograph and ask which is best (CPU, minutes).

    Example: `dipbench demo --out demo-store`
    """
    from ..evaluate.devices import resolve_device

    resolve_device("cpu")  # without torch nothing is begun
    check_writable(out)
    draw = generator("demo").choice(len(ISNAS522), MODELS, replace=False)
    images = load_images("camera", size=64)
    protocol = get_protocol("quick").with_iterations(ITERATIONS).replace(name="demo")
    models = [str(ISNAS522[index]) for index in sorted(draw)]
    plan = make_plan("demo", models, images, TASKS, [0], protocol)
    notes.print(
        f"training {MODELS} of the 522 models on camera at 64x64, {' and '.join(TASKS)}, "
        f"{ITERATIONS} iterations each"
    )
    freeze_plan(out, plan, images)
    run_build(out, LocalExecutor())
    run_scoring(out, SCORES, initialisations=INITIALISATIONS)
    bench = load(out)
    figures = _draw(bench, out)
    if as_json:
        _print_answers(bench, figures)
    else:
        _show_answers(bench, figures)


def _show_answers(bench: Benchmark, figures: list[Path]) -> None:
    from ..analysis import kendall

    for image, task in bench.pairs:
        console.print(results_table(bench.top(image, task, MODELS), f"{image}, {task}"))
    rows = []
    for name in SCORES:
        taus = [kendall(bench, image, task, name) for image, task in bench.pairs]
        rows.append([name, *(f"{tau.tau_directed:+.2f} (p {tau.p_value:.2f})" for tau in taus)])
    columns = ["score", *(f">{task}" for _, task in bench.pairs)]
    title = f"Kendall's tau with PSNR, directed; {MODELS} models are too few to judge a score by"
    console.print(table(columns, rows, title))
    say(f"benchmark: {bench.folder}")
    say(f"figures:   {', '.join(map(str, figures))}")
    say(f"ask it:    dipbench best camera denoising --store {quote(str(bench.folder))}")


def _print_answers(bench: Benchmark, figures: list[Path]) -> None:
    from ..analysis import kendall

    answers = [
        {
            "best": bench.best(image, task),
            "kendall": {name: vars(kendall(bench, image, task, name)) for name in SCORES},
        }
        for image, task in bench.pairs
    ]
    print_json({"store": str(bench.folder), "figures": figures, "answers": answers})


def _draw(bench: Benchmark, folder: Path) -> list[Path]:
    from ..analysis import plots

    image, task = bench.pairs[0]
    curves = plots.curves(bench, image, task, bench.models)
    scatter = plots.scatter(bench, image, task, SCORES[1])
    return [
        plots.save(curves, folder / "curves.png"),
        plots.save(scatter, folder / "scatter.png"),
    ]
