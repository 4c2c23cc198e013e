"""The command that lists what names there are."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer

from ..benchmark.loading import known_names
from ..data import PACKAGED
from ..errors import QueryError, unknown
from ..evaluate.protocol import PROTOCOLS
from ..evaluate.scores import SCORES
from ..genotypes.reference import REFERENCE
from . import options
from .output import console, print_json, table

Rows = list[dict[str, Any]]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("list", rich_help_panel="Ask a benchmark")(list_names)


def list_names(
    what: Annotated[
        str,
        typer.Argument(
            help="scores, networks, protocols, images or benchmarks.", show_default=False
        ),
    ],
    as_json: options.Json = False,
) -> None:
    """The names that commands take, and what they stand for.

    Example: `dipbench list scores`
    """
    if what not in KINDS:
        raise QueryError(unknown("kind of name", what, KINDS))
    rows = KINDS[what]()
    if as_json:
        print_json(rows)
        return
    # Name and what is short of it to the left, the rest of it to the right, a line each.
    shown = [[_lines(row, long=False), _lines(row, long=True)] for row in rows]
    console.print(table([what, ""], shown))


def _lines(row: dict[str, Any], long: bool) -> str:
    lines = [
        str(value) if name in ("name", "formula", "summary", "source") else f"{name}: {value}"
        for name, value in row.items()
        if (name in LONG) == long
    ]
    return "\n".join(lines)


LONG = ("formula", "summary", "source", "iterations", "smoothing", "stop rule")


def _scores() -> Rows:
    return [
        {
            "name": score.name,
            "better": score.direction,
            "passes": f"{score.cost.forward} forward, {score.cost.backward} backward",
            "formula": score.formula,
            "source": score.source,
        }
        for score in SCORES.values()
    ]


def _networks() -> Rows:
    return [
        {"name": network.name, "summary": network.summary, "source": network.source}
        for network in REFERENCE.values()
    ]


def _protocols() -> Rows:
    return [
        {
            "name": protocol.name,
            "size": protocol.size or "the image's own",
            "iterations": _words(asdict(protocol.iterations)),
            "smoothing": ", ".join(map(str, protocol.ema)),
            "stop rule": _words(asdict(protocol.stop)) if protocol.stop else "none",
        }
        for protocol in PROTOCOLS.values()
    ]


def _words(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _images() -> Rows:
    return [{"name": name} for name in PACKAGED]


def _benchmarks() -> Rows:
    return [{"name": name} for name in known_names()]


KINDS: dict[str, Callable[[], Rows]] = {
    "scores": _scores,
    "networks": _networks,
    "protocols": _protocols,
    "images": _images,
    "benchmarks": _benchmarks,
}
