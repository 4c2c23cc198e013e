"""Commands that fetch and import published datasets."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ..benchmark.importing import ImportReport, import_published
from ..benchmark.intake import Problem
from ..data.catalogue import Dataset, find_dataset
from ..data.downloads import FileState, download_folder, list_files
from ..data.downloads import download as fetch_dataset
from ..errors import DipbenchError
from ..files import data_home
from . import options
from .output import console, notes, print_json, progress_bar, say, table


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    panel = "Published datasets"
    app.command(rich_help_panel=panel)(download)
    app.command("import", rich_help_panel=panel)(import_tree)


Outputs = Annotated[
    bool, typer.Option("--outputs", help="Keep the smoothed output of each run, too.")
]


def download(
    name: Annotated[str, typer.Argument(help="A dataset: isnas-dip.")] = "isnas-dip",
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the files as published; by default in the cache."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List files and sizes, and fetch nothing.")
    ] = False,
    offline: Annotated[
        bool,
        typer.Option("--offline", help="Fetch nothing: check what is here, say what is missing."),
    ] = False,
    import_it: Annotated[
        bool,
        typer.Option("--import/--no-import", help="Import the files, so that queries know them."),
    ] = True,
    outputs: Outputs = False,
    as_json: options.Json = False,
) -> None:
    """Fetch a published dataset, verify it, and import it.

    An interrupted download goes on where it ended when the command is run again. Files and the
    imported benchmark lie in the cache, or under `DIPBENCH_HOME`.

    Example: `dipbench download isnas-dip --dry-run`
    """
    if outputs and not import_it:
        raise DipbenchError(
            "--outputs says what is imported, and --no-import imports nothing: leave out one"
        )
    if dry_run:
        states = list_files(name, out, offline)
        if as_json:
            print_json([asdict(state) for state in states])
        else:
            _show_files(find_dataset(name), states, out or download_folder(name))
        return
    paths = fetch_dataset(name, out, offline)
    if import_it:
        _show_report(_import(paths, data_home() / name, outputs), data_home() / name, as_json)
    elif as_json:
        print_json([str(path) for path in paths])
    else:
        notes.print(f"{len(paths)} files, verified, in {out or download_folder(name)}")


def import_tree(
    sources: Annotated[
        list[Path],
        typer.Argument(help="Folders or archives with published trees.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="The benchmark's folder.", show_default=False)],
    outputs: Outputs = False,
    as_json: options.Json = False,
) -> None:
    """Import published trees (a folder, a zip, a tar) into a benchmark of ours.

    Exit status 1 where files were refused; the rest is imported all the same; 2 where there
    is nothing to import.

    Example: `dipbench import isnas-dip.zip --out isnas-dip`
    """
    _show_report(_import(sources, out, outputs), out, as_json)


def _import(sources: list[Path], out: Path, outputs: bool) -> ImportReport:
    with progress_bar() as progress:
        bar = progress.add_task("files read", total=None)
        return import_published(sources, out, outputs, lambda name: progress.advance(bar))


def _show_files(dataset: Dataset, files: list[FileState], folder: Path) -> None:
    rows = [
        (state.file.name, f"{state.file.size:,}", f"{state.have:,}", state.file.checksum)
        for state in files
    ]
    console.print(table(["file", ">bytes", ">here", "checksum"], rows))
    total = sum(state.file.size for state in files)
    missing = total - sum(state.have for state in files)
    say(f"{len(files)} files, {total:,} bytes; {missing:,} to fetch into {folder}")
    say(f"{dataset.title}, doi:{dataset.doi}, licence: {dataset.licence or 'see there'}")
    say(f"To cite: {dataset.citation}")


def _show_report(report: ImportReport, out: Path, as_json: bool) -> None:
    if as_json:
        print_json(report)
    else:
        _list("warning", [Problem("", warning) for warning in report.warnings])
        _list("duplicate", report.duplicates)
        _list("not understood", report.not_understood)
        _list("refused", report.refused)
        duplicates, refused, strange = report.counts
        listed = len(report.duplicates) + len(report.refused) + len(report.not_understood)
        if sum(report.counts) > listed:
            say(f"and {sum(report.counts) - listed} more files")
        held = f"it holds {report.runs} runs and {report.scores} scores"
        say(
            f"{out}: {report.imported} runs imported, {report.already} there before, "
            f"{duplicates} duplicates, {strange} files not understood, {refused} refused; "
            f"{held if report.runs else 'no benchmark is made'}"
        )
    if report.refused:
        raise typer.Exit(1)


def _list(kind: str, problems: list[Problem] | tuple[Problem, ...]) -> None:
    for problem in problems:
        place = f"{problem.name}: " if problem.name else ""
        # Names come from archives: as plain text, they cannot colour or move the cursor.
        console.print(_printable(f"{kind}: {place}{problem.reason}"), markup=False, soft_wrap=True)


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
