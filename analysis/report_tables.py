"""The tables of a report as plain columns, each with the Python line that gives it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DipbenchError
from .attributes import attribute_effects
from .averaging import correlate_over_images
from .baselines import mean_rank_elsewhere
from .correlation import correlate, kendall
from .early_stops import stopping_losses
from .picking import picked_models
from .reliability import score_reliability, seed_reliability
from .report_shown import QUOTED_TASK, SHOWN, Shown
from .tables import (
    attributes_per_image,
    best_iterations,
    best_models,
    picks,
    score_correlations,
    score_over_images,
    scores_over_images,
    truth_over_images,
    truth_specificity,
    variance,
)
from .worth import STOP

SIGNIFICANT = 8
"""More than are shown by far: the page rounds again."""

NAMES: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        *(
            attribute_effects,
            attributes_per_image,
            best_iterations,
            best_models,
            correlate,
            correlate_over_images,
        ),
        *(kendall, picks, score_correlations, score_reliability, scores_over_images),
        *(mean_rank_elsewhere, picked_models, score_over_images),
        *(seed_reliability, stopping_losses, truth_over_images, truth_specificity, variance),
    )
}
"""What the queries of a report call, besides the benchmark's own methods."""


Progress = Callable[[str, int, int], None]
"""Told what is under way, how many things are done, and of how many."""


def all_tables(
    bench: Any, by: str | int, resamples: int, progress: Progress = lambda name, done, total: None
) -> dict[str, dict[str, Any]]:
    """Every table of `SHOWN`: its columns of plain values, or the reason why there is none."""
    found: dict[str, dict[str, Any]] = {}
    for name, shown in SHOWN.items():
        progress(name, len(found), len(SHOWN))
        found[name] = _table(bench, shown, by, resamples)
    return found


def ask(bench: Any, query: str, **names: str) -> Any:
    """What one of the report's queries gives.

    Args:
        bench: A benchmark.
        query: The report's own words, with `"{image}"` and the like for each of `names`.
        names: Words of the benchmark, which come into no code: they are passed beside it.
    """
    for name in names:
        query = query.replace('"{' + name + '}"', name)
    return eval(query, {"bench": bench, **NAMES, **names})


def arguments(by: str | int, resamples: int) -> dict[str, str]:
    """The parts of a query that are the same all over a report.

    >>> arguments("stop:variance", 1000)["asked"]
    'stopping="variance"'
    """
    word = f'"{by}"' if isinstance(by, str) else str(by)
    blind = isinstance(by, str) and by.startswith(STOP)
    asked = f'stopping="{str(by).removeprefix(STOP)}"' if blind else f"by={word}"
    return {"by": f"by={word}", "asked": asked, "resamples": str(resamples)}


def fill(query: str, values: dict[str, str]) -> str:
    """A query with the names in braces that are known put in.

    >>> fill("bench.best({image}, {asked})", {"asked": "by=3"})
    'bench.best({image}, by=3)'
    """
    for name, value in values.items():
        query = query.replace("{" + name + "}", value)
    return query


def columns(frame: pd.DataFrame, names: Sequence[str]) -> list[list[Any]]:
    """The columns as lists of plain values, floats to eight significant digits, None for missing.

    >>> columns(pd.DataFrame({"a": [1.23456789, np.nan], "b": ["x", None]}), ["a", "b"])
    [[1.2345679, None], ['x', None]]
    """
    return [[plain(value) for value in frame[name]] for name in names]


def plain(value: Any) -> Any:
    """A value of a frame's cell as JSON knows it."""
    if value is None or value is pd.NA:
        return None
    if isinstance(value, float | np.floating):
        return float(f"{value:.{SIGNIFICANT}g}") if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def _table(bench: Any, shown: Shown, by: str | int, resamples: int) -> dict[str, Any]:
    known = arguments(by, resamples)
    query = fill(shown.query, known)
    row = fill(shown.row or (shown.query if shown.tasks else ""), known)
    part: dict[str, Any] = {"query": query, "row": row}
    if shown.tasks:
        part["query"] = f"[{query.replace(QUOTED_TASK, 'task')} for task in bench.tasks]"
    try:
        frame = _frame(bench, query, shown.tasks)
    except DipbenchError as error:
        return part | {"reason": str(error)}
    # An empty column tells nothing; a benchmark of one image has no remark on any score.
    kept = [name for name in shown.columns if name in frame and frame[name].notna().any()]
    units = frame.attrs.get("units", {})
    return part | {
        "columns": [(name, *shown.columns[name], units.get(name, "")) for name in kept],
        "data": columns(frame, kept),
    }


def _frame(bench: Any, query: str, tasks: bool) -> pd.DataFrame:
    if not tasks:
        found: pd.DataFrame = ask(bench, query)
        return found
    frames: list[pd.DataFrame] = []
    reasons: list[DipbenchError] = []
    units: dict[str, str] = {}
    for task in bench.tasks:
        try:
            frame = ask(bench, query, task=task)
        except DipbenchError as error:
            reasons.append(error)
            continue
        units = frame.attrs["units"]
        frame.attrs = {}
        frames.append(frame.assign(task=task))
    if not frames:
        raise reasons[0]
    whole = pd.concat(frames, ignore_index=True)
    whole.attrs["units"] = units
    return whole
