"""Commands that look after finished benchmarks: add to one, make one compact, verify one."""

from pathlib import Path
from typing import Annotated

import typer

from ..benchmark import adding, verifying
from ..benchmark.card import read_sections
from ..benchmark.loading import find
from ..benchmark.store import MANIFEST, orphaned, read_manifest
from . import options
from .output import notes, print_json, say


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (add, compact, verify):
        app.command(rich_help_panel="Look after a benchmark")(command)


def add(
    folder: options.StoreFolder,
    other: Annotated[
        str,
        typer.Argument(help="The benchmark whose runs are added, or its name.", show_default=False),
    ],
    as_json: options.Json = False,
) -> None:
    """Add the runs of another benchmark of the same protocol and images.

    Example: `dipbench add demo-store other-store`
    """
    done = adding.add(folder, find(other))
    facts = {
        "runs": done.runs,
        "alike": done.alike,
        "scores": done.scores,
        "differing_scores": done.differing,
        "generation": done.manifest.generation,
        "content_sha256": done.manifest.content_sha256,
    }
    if as_json:
        print_json(facts)
        return
    if done.differing:
        notes.print(f"{done.differing} scores differ from those of {other}, and stay as they are")
    say(
        f"{folder}: {done.runs} runs and {done.scores} scores added, {done.alike} runs were "
        f"there already; generation {done.manifest.generation}"
    )


def compact(
    folders: Annotated[
        list[str],
        typer.Argument(
            help="Benchmarks or their names, of which one may be compact.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option(help="The copy's folder, not there yet.")],
    stride: Annotated[
        int, typer.Option(min=1, help="The curves keep one iteration in so many.")
    ] = 4,
    initialisations: Annotated[
        int | None, typer.Option(min=1, help="Keep the scores of so many alone.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="Licence of the data, such as CC-BY-4.0.", show_default=False)
    ] = None,
    card: Annotated[
        Path | None,
        typer.Option(
            help="A Markdown file whose `## ` sections go into the copy's card.",
            show_default=False,
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Make a small copy to ship: complete seeds alone, thinned and rounded curves, exact summaries.

    Several benchmarks go into one copy; a compact one among them grows by the others' runs.

    Example: `dipbench compact my-store --out small --stride 8`
    """
    from ..benchmark.compacting import compact as make_copy

    sections = {} if card is None else read_sections(card)
    done = make_copy(
        [find(name) for name in folders],
        out,
        stride,
        licence=licence,
        card=sections,
        initialisations=initialisations,
    )
    if as_json:
        names = ("image", "task", "seed")
        left_out = [dict(zip(names, sweep, strict=True)) for sweep in done.left_out]
        print_json({"store": str(out), "runs": done.runs, "bytes": done.size, "left_out": left_out})
        return
    for image, task, seed in done.left_out:
        notes.print(f"left out, for it is not complete: {image}, {task}, seed {seed}")
    say(f"{out}: {done.runs} runs in {done.size:,} bytes")


def verify(store: options.NamedStore, as_json: options.Json = False) -> None:
    """Check a benchmark: hashes, schema, rows against curves, pictures; exit with 1 if not sound.

    Example: `dipbench verify demo-store`
    """
    folder = find(store)
    if not (folder / MANIFEST).is_file() and orphaned(folder) is None:
        read_manifest(folder)  # says that it is no benchmark, which is no damage of one
    problems = verifying.verify(folder, lambda step: notes.print(f"checking {step}"))
    if as_json:
        print_json({"folder": str(folder), "problems": problems})
    elif problems:
        for problem in problems:
            say(problem)
    else:
        say(f"{folder}: sound")
    if problems:
        raise typer.Exit(1)
