"""The command line: thin commands over the package, one line for every mistake."""

import sys
import warnings
from importlib import metadata
from pathlib import Path
from typing import Annotated, NoReturn, TextIO

import typer

from ..errors import DipbenchError, MissingExtraError, one_line
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
    "PIL": "train",
    "zenodo_get": "download",
    "ray": "cluster",
}
"""Modules that a core install lacks, and the extra that brings each."""

_PACKAGE = Path(__file__).parents[1]


def main() -> None:
    """Run the command line; exit with 2 on bad arguments and 130 on an interrupt."""
    try:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _note
                app()
        finally:
            sys.stdout.flush()  # here, where a full disk is still one line
    except SystemExit as ended:
        _explain(ended.__context__)
        raise
    except DipbenchError as error:
        _refuse(error)
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        _refuse(DipbenchError(f"{where}{one_line(error.strerror or error)}"))
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        _refuse(MissingExtraError(EXTRAS[error.name], "this command"))


def _explain(cause: BaseException | None) -> None:
    """Say what typer does not: that an interrupt loses nothing, and where a store's name goes."""
    if isinstance(getattr(cause, "__cause__", None), KeyboardInterrupt):
        notes.print("dipbench: interrupted; what is finished is kept")
    command = getattr(getattr(cause, "ctx", None), "command", None)
    if command is None:
        return
    named = {option for parameter in command.params for option in parameter.opts}
    if "unexpected extra argument" in getattr(cause, "message", "") and "--store" in named:
        notes.print(f"a benchmark is named by --store, as in: dipbench {command.name} --store NAME")
    if getattr(cause, "option_name", None) == "--store" and named & {"store", "folder"}:
        notes.print(f"the benchmark stands without --store, as in: dipbench {command.name} NAME")


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


def _refuse(error: DipbenchError) -> NoReturn:
    print(f"dipbench: {error}", file=sys.stderr)
    sys.exit(2)
