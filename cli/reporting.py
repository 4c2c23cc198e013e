"""Commands that tell what a benchmark tells: the table of correlations, and the report."""

import sys
from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..benchmark import load
from ..errors import QueryError
from ..evaluate.plugins import load_plugin
from . import options
from .output import (
    console,
    interval_text,
    notes,
    number_text,
    print_json,
    progress_bar,
    records_of,
    say,
    score_cell,
    table,
)
from .targets import check_apart, check_target, check_target_folder

if TYPE_CHECKING:
    import pandas as pd

FEWER = 200


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (correlate, report):
        app.command(rich_help_panel="Analyse")(command)


def correlate(
    store: options.Store = options.SHIPPED,
    image: options.OneImage = None,
    task: options.OneTask = None,
    score: Annotated[
        list[str] | None,
        typer.Option("--score", help="One score, or `published`; may be repeated."),
    ] = None,
    by: options.Judged = "best_psnr_smooth",
    where: options.Where = None,
    k: Annotated[int, typer.Option("--picks", min=1, help="Picks of a score that count.")] = 15,
    resamples: Annotated[
        int, typer.Option(min=FEWER, help="Bootstrap resamples of the intervals.")
    ] = 1000,
    plugin: options.Plugin = None,
    as_json: options.Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print all columns as CSV.")] = False,
) -> None:
    """How well every score ranks the models, with intervals and adjusted p-values.

    `directed` is Kendall's tau-b, positive where the score works in its declared direction, with
    its 95 % bootstrap interval by upsample block; `p max` is adjusted for the scores compared;
    `within` is the same tau over the pairs of models of one kind of upsampling, where a score that
    knows the kind alone has nothing to say; `regret` is what is lost against the best of the models
    that have the score by training its picks alone. `mean_rank_elsewhere` is a baseline that any
    score must beat, see `kendall --help`. `--json` and `--csv` give every column.

    Example: `dipbench correlate --image camera --task denoising --store demo-store`
    """
    from ..analysis import correlate as correlations

    if as_json and as_csv:
        raise QueryError("--json and --csv exclude each other: give one of them")
    if plugin is not None:
        load_plugin(plugin)
    asked = options.read_by(by)
    wanted = options.read_scores(score) if score else None
    found = correlations(
        load(store), image, task, wanted, asked, where=where, k=k, resamples=resamples
    )
    if as_csv:
        found.to_csv(sys.stdout, index=False)
    elif as_json:
        print_json(
            {
                "units": found.attrs["units"],
                "rows": records_of(found),
            }
        )
    else:
        for (image_name, task_name), rows in found.groupby(["image", "task"], sort=False):
            models = "-".join(f"{n}" for n in dict.fromkeys((rows["n"].min(), rows["n"].max())))
            how = options.asked_words(by, {"where": where})
            title = f"{image_name}, {task_name}, {models} models, by {how}; regret of {k} picks, dB"
            columns = ["score", ">directed", ">95 %", ">p max", ">within", ">regret"]
            differ = rows["n"].nunique() > 1
            console.print(table(columns + [">n"] * differ, _rows(rows, differ), title))
            for reason, concerned in _by_reason(rows).items():
                names = "all scores" if len(concerned) == len(rows) else ", ".join(concerned)
                say(f"{reason} ({names})")


def _by_reason(rows: "pd.DataFrame") -> dict[str, list[str]]:
    """The scores that each reason for a missing number is of."""
    found: dict[str, list[str]] = {}
    for row in rows.dropna(subset="reason").to_dict("records"):
        for reason in row["reason"].split("; "):
            found.setdefault(reason, []).append(row["score"])
    return found


def report(
    store: options.NamedStore,
    html: Annotated[
        Path | None, typer.Option("--html", help="The page to write.", show_default=False)
    ] = None,
    png: Annotated[
        Path | None, typer.Option("--png", help="A folder for the figures.", show_default=False)
    ] = None,
    svg: Annotated[
        Path | None, typer.Option("--svg", help="A folder for the figures.", show_default=False)
    ] = None,
    pdf: Annotated[
        Path | None, typer.Option("--pdf", help="A folder for the figures.", show_default=False)
    ] = None,
    by: options.Judged = "best_psnr_smooth",
    score: Annotated[
        str | None,
        typer.Option(help="The score shown first, and over images; the best without."),
    ] = None,
    resamples: Annotated[
        int,
        typer.Option(
            min=FEWER,
            help="Bootstrap resamples of tau and of reliability; other intervals have 300 or 1000.",
        ),
    ] = 1000,
    plugin: options.Plugin = None,
) -> None:
    """Write a benchmark's report: one page for the browser that needs nothing else, and figures.

    Example: `dipbench report demo-store --html report.html --png figures`
    """
    from ..analysis.reporting import report as write_report

    if html is None and png is None and svg is None and pdf is None:
        raise QueryError("nothing to write: give --html FILE, or --png, --svg or --pdf FOLDER")
    check_target(html, (), "--html")
    for option, folder in {"--png": png, "--svg": svg, "--pdf": pdf}.items():
        check_target_folder(folder, option)
        check_apart({"--html": html, option: folder})
    if plugin is not None:
        load_plugin(plugin)
    bench = load(store)
    asked = options.read_by(by)
    if html is not None:
        with progress_bar() as bar:
            line = bar.add_task("reading", total=None)
            path = write_report(
                *(bench, html, asked),
                score=score,
                resamples=resamples,
                progress=lambda name, done, total: bar.update(
                    line, description=name.replace("_", " "), completed=done, total=total
                ),
            )
        say(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    refused: dict[str, str] = {}
    for folder, ending in ((png, ".png"), (svg, ".svg"), (pdf, ".pdf")):
        if folder is not None:
            from ..analysis.plots_files import write_figures

            written, reasons = write_figures(
                *(bench, folder, ending, asked), score=score, resamples=resamples
            )
            say(f"{folder}: {len(written)} figures")
            refused |= reasons
    for name, reason in refused.items():
        notes.print(f"not drawn: {name}: {reason}")


def _rows(rows: "pd.DataFrame", count: bool) -> list[list[object]]:
    """The columns that fit on a terminal, the best score first; the models of each if asked."""
    ordered = rows.sort_values("tau_directed", ascending=False, na_position="last")
    return [_row(row) + [row["n"]] * count for row in ordered.to_dict("records")]


def _row(row: dict[Hashable, Any]) -> list[object]:
    return [
        score_cell(row["score"]),
        number_text(row["tau_directed"], "+.3f"),
        interval_text(row["tau_directed_low"], row["tau_directed_high"]),
        number_text(row["p_max"], ".2g"),
        number_text(row["tau_within_directed"], "+.2f"),
        number_text(row["regret"], ".2f"),
    ]
