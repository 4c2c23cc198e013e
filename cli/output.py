"""How commands print: tables and notes for people, JSON for programs."""

import json
import math
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ..benchmark import Result
from ..genotypes import ISNAS522, Genotype

if TYPE_CHECKING:
    import pandas as pd

WIDEST = 10_000
"""Characters that no table needs."""


class _Console(Console):
    """Prints what is wider than the terminal over its edge, where another would cut it off."""

    def print(self, *objects: Any, **how: Any) -> None:
        super().print(*objects, **{"crop": False, **how})


console = _Console(highlight=False, markup=False)
notes = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
"""Progress and remarks go to standard error, so that standard output holds the answer alone."""


def say(text: str) -> None:
    """Print a line of the answer, however long, as one line."""
    console.print(text, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print plain values or dataclasses as JSON; infinity and NaN, which JSON lacks, as null."""
    print(json.dumps(_plain(value), indent=2, default=str, allow_nan=False))


def table(columns: Iterable[str], rows: Iterable[Sequence[object]], title: str = "") -> Group:
    """A table for people; columns whose names start with `>` are right-aligned and never cut.

    Args:
        columns: their names.
        rows: of cells that are shown as `str` makes them, but for `Pieces`.
        title: above the table.
    """
    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        right = column.startswith(">")
        made.add_column(
            column.removeprefix(">"),
            justify="right" if right else "left",
            no_wrap=right,
            overflow="fold",
        )
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Pieces) else str(cell) for cell in row))
    for numbers in made.columns:
        if numbers.no_wrap:
            # By itself the least width is that of a word, of which `26.5 ± 0.1` has three.
            texts = "\n".join(map(str, [numbers.header, *numbers.cells]))
            numbers.min_width = max(map(cell_len, texts.splitlines()), default=0)
    # Not the table's own title, which would be as narrow as the table.
    return Group(*filter(None, [title]), _Whole(made))


def number_text(value: float | None, form: str) -> str:
    """A number as a format gives it, empty for a missing one.

    >>> number_text(0.123, "+.2f"), number_text(math.nan, "+.2f"), number_text(None, ".2f")
    ('+0.12', '', '')
    """
    return "" if value is None or math.isnan(value) else format(value, form)


def interval_text(low: float | None, high: float | None) -> str:
    """The ends of an interval of correlations, empty for a missing one.

    >>> interval_text(-0.123, 0.5), interval_text(math.nan, math.nan)
    ('-0.12 +0.50', '')
    """
    return f"{number_text(low, '+.2f')} {number_text(high, '+.2f')}".strip()


class Pieces:
    """A cell of several lines, each broken between its pieces where the column is too narrow."""

    def __init__(self, *lines: Sequence[str]) -> None:
        self._lines = [line for line in lines if line]

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        least = max((cell_len(piece) for line in self._lines for piece in line), default=0)
        most = max((cell_len("".join(line)) for line in self._lines), default=0)
        return Measurement(least, most)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self._lines:
            yield Text("\n".join(_filled(line, options.max_width)))


def model_cell(model: str) -> Pieces:
    """The upsample block over the skip bits, since a genotype is wider than many a terminal.

    The block is broken after its hyphens, the bits after the rows of the skip matrix.
    """
    block, slash, bits = model.partition("/")
    if bits.strip("01"):
        return Pieces([model])  # a name of one's own
    return Pieces(re.split("(?<=-)", block + slash), re.findall(".{1,5}", bits))


def score_cell(name: str) -> Pieces:
    """A score's name, broken before the way that it was made in, such as `:table-512`."""
    return Pieces(re.split("(?=:)", name))


def text_cell(lines: Iterable[str]) -> Pieces:
    """Lines broken between words, and within those that have a slash, as genotypes do."""
    return Pieces(*(_words(line) for line in lines))


def _words(line: str) -> list[str]:
    """Words with the space after them, those with a slash in parts.

    >>> _words("found: nearest-none-3x3/0101 dip-sr-4")
    ['found: ', 'nearest-', 'none-', '3x3/', '0101 ', 'dip-sr-4']
    """
    pieces = []
    for word in re.findall(r"\S+\s*", line):
        pieces += re.split("(?<=[/-])", word) if "/" in word else [word]
    return pieces


def _filled(pieces: Iterable[str], width: int) -> list[str]:
    """Lines of as many pieces as each has room for.

    >>> _filled(["trans_conv-", "3x3-", "none/"], 15)
    ['trans_conv-3x3-', 'none/']
    """
    lines = [""]
    for piece in pieces:
        if lines[-1] and cell_len(lines[-1] + piece) > width:
            lines.append("")
        lines[-1] += piece
    return lines


class _Whole:
    """A table that runs over the edge of a terminal too narrow for its numbers, whole."""

    def __init__(self, made: Table) -> None:
        self._made = made

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths = Measurement.get(console, options.update_width(WIDEST), self._made)
        width = max(options.max_width, widths.minimum)
        yield from console.render(self._made, options.update_width(width))


def facts_table(facts: Mapping[str, object]) -> Table:
    """Names and what they are, one a line."""
    made = Table.grid(padding=(0, 2))
    made.add_column()
    made.add_column(overflow="fold")
    for name, fact in facts.items():
        made.add_row(name, str(fact))
    return made


def records_of(frame: "pd.DataFrame") -> list[dict[Hashable, Any]]:
    """The rows of a frame, None where a value is missing."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def results_table(results: Sequence[Result], title: str, first: int = 1) -> Group:
    """Results best first: place, index among the 522, model, PSNR ± its deviation over n seeds.

    Args:
        results: that follow each other.
        title: of the table.
        first: the place of the first of them.
    """
    rows = [
        [
            place,
            _index_of_522(result.model),
            model_cell(result.model),
            _psnr(result),
            result.n,
            result.iteration,
        ]
        for place, result in enumerate(results, start=first)
    ]
    return table([">#", ">index", "model", ">PSNR dB", ">n", ">iteration"], rows, title)


def progress_bar() -> Progress:
    """A bar with the count and the remaining time; silent when not a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=notes,
        disable=not notes.is_terminal,
    )


def _index_of_522(model: str) -> str:
    if "/" not in model:
        return ""
    genotype = Genotype.parse(model)
    return str(ISNAS522.index(genotype)) if genotype in ISNAS522 else ""


def _psnr(result: Result) -> str:
    spread = "" if result.psnr_std is None else f" ± {result.psnr_std:.2f}"
    return f"{result.psnr:.2f}{spread}"


def _plain(value: Any) -> Any:
    """Plain values, None for what is not finite, such as the PSNR of no difference at all.

    >>> _plain({"psnr": float("inf"), "tried": (1.5, "a", float("nan"))})
    {'psnr': None, 'tried': [1.5, 'a', None]}
    """
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
