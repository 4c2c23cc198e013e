"""The command that scores the models of a benchmark."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..benchmark.scorefiles import committed_scores
from ..evaluate.plugins import load_plugin
from . import options
from .output import notes, print_json, progress_bar

if TYPE_CHECKING:
    from ..benchmark.scoring import Scored

MOST_REASONS = 5
"""Why values are missing: so many reasons are told."""


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel="Analyse")(score)


def score(
    folder: options.StoreFolder,
    names: Annotated[
        str,
        typer.Option(help="Comma list of scores; `published` are the 13. A plugin's are added."),
    ] = "published",
    how: Annotated[
        str, typer.Option(help="table: one channel, as published; search: as a restoration.")
    ] = "table",
    initialisations: Annotated[
        int,
        typer.Option(
            min=1,
            help="Initialisations of a model (where a score needs backward passes, 4 at most); "
            "those that are there stay.",
        ),
    ] = 32,
    sample: Annotated[
        int | None,
        typer.Option(min=1, help="Score so many models, drawn by the seed; by default all."),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=64, help="Side in pixels that outputs and packaged pictures are scored at instead."
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again what failed before.")
    ] = False,
    seed: Annotated[
        int,
        typer.Option(
            help="Seed of new initialisations; values that are there stay, whatever theirs."
        ),
    ] = 0,
    plugin: options.Plugin = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Score the untrained networks of a benchmark's models; run it again to resume.

    It exits with 1 where scores that were asked for lack values.

    Example: `dipbench score demo-store --names psd_db_strip_mse,psd_99_per_bw`
    """
    added = []
    if plugin is not None:
        added = load_plugin(plugin)
        _tell_held(folder, added, how, size)
    wanted = [*options.read_scores(filter(None, map(str.strip, names.split(",")))), *added]
    scored = run_scoring(
        folder,
        wanted,
        how=how,
        initialisations=initialisations,
        seed=seed,
        device=device,
        sample=sample,
        size=size,
        retry_failed=retry_failed,
        threads=threads,
    )
    lacking = _reasons(folder, wanted, how, size) if scored.missing else Counter()
    if as_json:
        told = [
            {"score": name, "reason": reason, "values": count}
            for (name, reason), count in lacking.most_common()
        ]
        values = {"values": scored.values, "missing": scored.missing}
        print_json({"store": str(folder), **values, "lacking": told})
    if lacking:
        raise typer.Exit(1)


def _tell_held(folder: Path, added: Sequence[str], how: str, size: int | None) -> None:
    """Say which values of a plugin's scores are there: they may be of an earlier formula."""
    from ..benchmark.scoring import way_of

    rows = committed_scores(folder).select(["score", "value", "how"]).to_pylist()
    held = Counter((row["score"], row["how"]) for row in rows if row["value"] is not None)
    for name in added:
        count = held[name, way_of(name, how, size)]
        if not count:
            continue
        notes.print(
            f"{name}: {count} values are there and stay as they are; after a change of its "
            "formula register it under another name"
        )


def run_scoring(folder: Path, names: Sequence[str], **wishes: Any) -> "Scored":
    """Score with a progress bar, say at the end what is there, and return it.

    Args:
        folder: of the benchmark.
        names: of the scores.
        wishes: what else `score_store` takes.
    """
    from ..benchmark.scoring import score_store

    with progress_bar() as bar:
        task = bar.add_task("scoring", total=None)
        scored = score_store(
            folder,
            names,
            on_start=lambda count: bar.update(task, total=count),
            on_model=lambda: bar.advance(task),
            **wishes,
        )
    missing = f", {scored.missing} of them missing" if scored.missing else ""
    notes.print(f"{folder}: {scored.values} values of scores{missing}")
    if scored.missing:
        _tell_missing(_reasons(folder, names, wishes.get("how", "table"), wishes.get("size")))
    return scored


def _reasons(
    folder: Path, names: Sequence[str], how: str, size: int | None
) -> Counter[tuple[str, str]]:
    """How many values scores made in this way lack, by the score and the reason."""
    from ..benchmark.scoring import way_of

    rows = committed_scores(folder).select(["score", "value", "how", "reason"]).to_pylist()
    bare = [row for row in rows if row["value"] is None and row["score"] in names]
    asked = [row for row in bare if row["how"] == way_of(row["score"], how, size)]
    return Counter((row["score"], row["reason"]) for row in asked)


def _tell_missing(reasons: Counter[tuple[str, str]]) -> None:
    """Say why values are missing, the commonest reasons first."""
    for (name, reason), count in reasons.most_common(MOST_REASONS):
        notes.print(f"{name} lacks {count} values: {reason}")
    if reasons:
        notes.print("--retry-failed tries them again, once the cause is mended")
