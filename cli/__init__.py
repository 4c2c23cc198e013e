"""The command line: thin commands over the package, one line for every mistake."""

import os
import sys
import warnings
from importlib import metadata
from pathlib import Path
from shutil import get_terminal_size
from typing import Annotated, NoReturn, TextIO

import typer

from ..errors import DipbenchError, MissingExtraError, one_line
from ..files import expanded
from . import (
    analysing,
    cluster,
    datasets,
    demonstration,
    listing,
    queries,
    replaying,
    reporting,
    restoring,
    scoring,
    stores,
    training,
    watching,
)
from .misuse import exit_status, explained, is_misuse
from .output import notes

app = typer.Typer(
    name="dipbench",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
for module in (
    demonstration,
    queries,
    listing,
    analysing,
    reporting,
    scoring,
    training,
    watching,
    cluster,
    replaying,
    restoring,
    datasets,
    stores,
):
    module.register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(metadata.version("dipbench"))
        raise typer.Exit


@app.callback()
def face(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Neural architecture search on Deep Image Prior: query, correlate, train a benchmark."""


EXTRAS = {
    "torch": "train",
    "skimage": "train",
    "zenodo_get": "download",
    "ray": "cluster",
}
"""Modules that a core install lacks, and the extra that brings each."""

NARROW = 80
"""Columns, below which help is plain text."""

_PACKAGE = Path(__file__).parents[1]


def main() -> None:
    """Run the command line; exit with 1 on a failure, 2 on bad arguments, 130 on an interrupt."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # no table without a ± in an encoding without it
    try:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _note
                status = _run([_home_told(argument) for argument in sys.argv[1:]])
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # here, where a full disk is still one line
    except BrokenPipeError:
        # Who reads has heard enough; at its exit Python would flush into the pipe once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except DipbenchError as error:
        _refuse(str(error), exit_status(error))
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        _refuse(f"{where}{one_line(error)}", exit_status(error))
    except MemoryError:
        told = "ask for less (a smaller picture, fewer iterations or resamples)"
        _refuse(f"too little memory: {told}, or take a larger machine", 1)
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        _refuse(str(MissingExtraError(EXTRAS[error.name], "this command")))
    sys.exit(status)


def _run(arguments: list[str]) -> int:
    """Run a command; return its exit status."""
    # Help with markup is in tables, which cut the names of options where there is no room.
    app.rich_markup_mode = "markdown" if get_terminal_size().columns >= NARROW else None
    command = typer.main.get_command(app)
    try:
        # Not `app()`, which puts its own errors on several lines.
        with command.make_context("dipbench", list(arguments)) as context:  # which empties it
            command.invoke(context)
    except typer.Exit as ended:
        return ended.exit_code
    except KeyboardInterrupt:
        notes.print("dipbench: interrupted; what is finished is kept")
        return 130
    except Exception as error:
        if not is_misuse(error):
            raise
        if arguments:  # without any there is the help instead
            _refuse(explained(error))
        return 2
    return 0


def _home_told(argument: str) -> str:
    """An argument in which `~` stands behind an option's `=`, where bash leaves it as it is.

    >>> _home_told("--out=~/clean.png") == f"--out={Path.home() / 'clean.png'}"
    True
    """
    option, _, value = argument.partition("=")
    told = option.startswith("--") and value.startswith("~/")
    return f"{option}={expanded(Path(value))}" if told else argument


def _note(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Show a remark of this package's own as one line, others' warnings as Python does."""
    own = category is UserWarning and Path(filename).is_relative_to(_PACKAGE)
    if own:
        notes.print(f"note: {one_line(message)}")
    else:
        text = warnings.formatwarning(message, category, filename, lineno, line)
        print(text, end="", file=file or sys.stderr)


def _refuse(why: str, status: int = 2) -> NoReturn:
    if sys.stderr is not None:
        print(f"dipbench: {why}", file=sys.stderr)
    sys.exit(status)
