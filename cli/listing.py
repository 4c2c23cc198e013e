"""The command that lists what names there are."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any, NamedTuple

import typer

from ..benchmark.loading import known_names, load
from ..data import PACKAGED
from ..data.tasks import FORMS
from ..errors import QueryError, StoreError, unknown
from ..evaluate.protocol import PROTOCOLS
from ..evaluate.scores import SCORES
from ..genotypes.reference import BY_TASK, REFERENCE
from . import options
from .output import console, print_json, table, text_cell

Rows = list[dict[str, Any]]

LEFT = ("name", "better", "passes", "size")
SPEAK_FOR_THEMSELVES = ("name", "formula", "summary", "source")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("list", rich_help_panel="Ask a benchmark")(list_names)


def list_names(
    what: Annotated[
        str | None,
        typer.Argument(
            help="scores, tasks, networks, protocols, images or benchmarks; those without it.",
            show_default=False,
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """The names that commands take, and what they stand for.

    Example: `dipbench list scores`
    """
    if what is not None and what not in KINDS:
        raise QueryError(unknown("kind of name", what, KINDS))
    rows = KINDS[what].rows() if what else [{"name": n, "summary": k.are} for n, k in KINDS.items()]
    if as_json:
        print_json(rows)
        return
    cells = [["\n".join(_lines(row, True)), text_cell(_lines(row, False))] for row in rows]
    console.print(table([what or "names", ""], cells))


def _lines(row: dict[str, Any], left: bool) -> list[str]:
    """The values of a row that stand on one side, a line each."""
    return [
        str(value) if name in SPEAK_FOR_THEMSELVES else f"{name.replace('_', ' ')}: {value}"
        for name, value in row.items()
        if (name in LEFT) == left
    ]


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
    families = [
        {
            "name": family,
            "summary": "by the task: "
            + ", ".join(f"{name} for {kind}" for kind, name in variants.items()),
            "source": REFERENCE[variants["denoising"]].source,
        }
        for family, variants in BY_TASK.items()
    ]
    return families + [
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
            "stop_rule": _words(asdict(protocol.stop)) if protocol.stop else "none",
        }
        for protocol in PROTOCOLS.values()
    ]


def _words(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _tasks() -> Rows:
    return [{"name": form, "summary": summary} for form, summary in FORMS.items()]


def _images() -> Rows:
    return [{"name": name} for name in PACKAGED]


def _benchmarks() -> Rows:
    return [{"name": name, **_held(name)} for name in sorted(known_names())]


def _held(name: str) -> dict[str, Any]:
    try:
        bench = load(name)
    except StoreError as error:
        return {"summary": str(error)}
    return {
        "models": len(bench.models),
        "images": ", ".join(bench.images),
        "tasks": ", ".join(bench.tasks),
        "runs": len(bench.to_frame()),
    }


class Kind(NamedTuple):
    """A kind of name: what they are, and a row for each."""

    are: str
    rows: Callable[[], Rows]


KINDS = {
    "scores": Kind("numbers of a model that is not trained yet, or little", _scores),
    "tasks": Kind("what was done to a picture, and is to be undone", _tasks),
    "networks": Kind("models that are no genotypes", _networks),
    "protocols": Kind("all that defines a training beside model, image, task and seed", _protocols),
    "images": Kind("pictures inside the packages", _images),
    "benchmarks": Kind("what --store takes beside a folder", _benchmarks),
}
