"""Figures of the scores: how they rank models, how they resemble each other, what they pick."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator

from ..errors import QueryError, StoreError
from .averaging import correlate_over_images
from .baselines import judged_cell
from .cells import Cell, read_cell
from .correlation import correlate
from .directions import direction
from .picking import sure_picks
from .plots_style import (
    COLUMN_INCHES,
    DIVERGING,
    PALETTE,
    QUIET,
    annotate,
    colour_bar,
    heading,
    new_figure,
    style,
)
from .reliability import seed_reliability
from .tables import score_correlations
from .worth import summary_name, summary_words

MANY = 20
"""More scores than so many have a figure wider than a column."""

PICKS = ((15, PALETTE[5]), (5, PALETTE[1]))


def tau_per_image(bench: Any, task: object, by: str | int = "best_psnr_smooth") -> Figure:
    """Directed tau of every score: of several images a dot each and the mean with its interval.

    The dashed line is the ceiling, where two seeds of every image allow to know it: the mean tau
    that a perfect predictor of the expected PSNR would reach.
    """
    table = correlate(bench, None, task, None, by, resamples=0)
    table = table[table["tau_directed"].notna()]
    if table.empty:
        raise QueryError("nothing to draw: no score here has a declared direction")
    order = table.groupby("score")["tau_directed"].mean().sort_values()
    rows = {score: row for row, score in enumerate(order.index)}
    # Beside the means over images a ceiling is one over the same images.
    limit = seed_reliability(bench, None, task, by, resamples=0)["ceiling"].mean(skipna=False)
    images = table["image"].nunique()
    with style():
        figure = new_figure(height=1.0 + 0.15 * len(rows), width=_width(len(rows)))
        axes = figure.subplots()
        axes.axvline(0, color=QUIET, linewidth=0.6)
        if images > 1:
            at = table["score"].map(rows)
            axes.plot(table["tau_directed"], at, "o", color=QUIET, ms=3, alpha=0.6, mew=0)
            means = correlate_over_images(bench, task, list(rows), by)
        else:
            means = correlate(bench, None, task, list(rows), by)
        at = means["score"].map(rows)
        ends = means["tau_directed_low"], means["tau_directed_high"]
        axes.hlines(at, *ends, color=PALETTE[0], linewidth=1.2)
        axes.plot(means["tau_directed"], at, "o", color=PALETTE[0], markersize=2.5)
        if np.isfinite(limit):
            axes.axvline(limit, color=PALETTE[1], linewidth=0.8, linestyle="--")
            axes.annotate(
                f"ceiling {limit:.2f}",
                (limit, 1.0),
                xycoords=("data", "axes fraction"),
                ha="center",
                va="bottom",
                color=PALETTE[1],
                fontsize=7,
            )
        axes.set_yticks(range(len(rows)), list(rows))
        axes.set_ylim(-0.7, len(rows) - 0.3)
        axes.xaxis.set_major_locator(MultipleLocator(0.25 if len(rows) > MANY else 0.5))
        axes.tick_params(axis="y", labelsize=6)
        axes.set_xlabel(
            f"directed Kendall's τ\nwith {summary_name(by)}\n(positive: works as declared)"
        )
        shown = f"{images} images, blue: their mean" if images > 1 else table["image"].iloc[0]
        heading(figure, f"{table['task'].iloc[0]}, {shown}, 95 % interval")
    return figure


def score_heatmap(bench: Any, image: str, task: object) -> Figure:
    """Raw tau between every two scores on one image, scores that rank alike next to each other."""
    table = score_correlations(bench, image, task)
    size = len(table)
    if table.isna().all(axis=None):
        raise QueryError(f"nothing to draw: no two scores of {image} {task} can be correlated")
    with style():
        figure = new_figure(height=1.5 + 0.2 * size, width=max(3.3, 1.7 + 0.2 * size))
        figure.set_layout_engine("compressed")  # else square cells leave a gap above
        axes = figure.subplots()
        drawn = axes.imshow(table.to_numpy(), cmap=DIVERGING, vmin=-1, vmax=1)
        axes.set_xticks(range(size), table.index, rotation=90)
        axes.set_yticks(range(size), table.index)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        if size <= 20:
            annotate(axes, table.to_numpy(), drawn, fontsize=5)
        colour_bar(figure, axes, drawn, "Kendall's τ, raw")
        heading(figure, f"{table.attrs['image']}, {table.attrs['task']}")
    return figure


def psnr_histogram(
    bench: Any, image: str, task: object, by: str | int = "best_psnr_smooth"
) -> Figure:
    """The distribution of PSNR over the models, and below it what each score picks.

    Every row marks the PSNR of a score's 15 lowest (or highest, as declared) models, its 5 best
    picks stronger; a pick that a tie leaves to chance is left out. The score of the highest
    directed tau comes first.
    """
    try:
        cell = judged_cell(bench, image, task, None, by)
    except StoreError:  # there are no scores, which may be
        cell = read_cell(bench, image, task, by, scored=False)
    truth = cell.truth[np.isfinite(cell.truth)]
    if not truth.size:
        raise QueryError(f"nothing to draw: no usable run of {cell.image} {cell.task}")
    names = [name for name in cell.scores if direction(name) is not None]
    if names:
        table = correlate(bench, image, task, names, by, resamples=0).set_index("score")
        names = list(table["tau_directed"].sort_values(ascending=False, na_position="last").index)
    with style():
        figure = new_figure(height=1.7 + 0.15 * len(names), width=_width(len(names)))
        above, below = figure.subplots(
            2, 1, sharex=True, height_ratios=[1.0, max(0.15 * len(names), 0.2)]
        )
        above.hist(truth, bins=min(40, max(8, truth.size // 8)), color=QUIET)
        above.axvline(truth.max(), color="black", linewidth=0.8, linestyle="--")
        above.annotate(
            f"best {truth.max():.2f}",
            (truth.max(), 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(2, 0),
            textcoords="offset points",
            ha="right",
            va="bottom",
            fontsize=7,
        )
        above.set_ylabel("models")
        above.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        for row, name in enumerate(reversed(names)):
            _mark_picks(below, cell, name, row)
        below.set_yticks(range(len(names)), names[::-1])
        below.tick_params(axis="y", labelsize=6)
        below.set_ylim(-0.7, len(names) - 0.3)
        below.set_xlabel(summary_words(by))
        heading(figure, f"{cell.image}, {cell.task}")
        handles = [
            below.plot([], [], "|", color=colour, ms=7, mew=1.4, label=f"top {k} picks")[0]
            for k, colour in PICKS
        ]
        figure.legend(handles=handles, loc="outside upper right", ncols=2, handletextpad=0.1)
    return figure


def _width(scores: int) -> float:
    """Inches: the long names of many scores would leave their dots too little of one column."""
    return COLUMN_INCHES * (1.5 if scores > MANY else 1)


def _mark_picks(axes: Axes, cell: Cell, name: str, row: int) -> None:
    picked = sure_picks(cell, name)
    for k, colour in PICKS:
        sure = cell.truth[picked.get(k, [])]
        axes.plot(sure, np.full(sure.size, row), "|", color=colour, ms=6, mew=1.1)
    if picked and not any(map(len, picked.values())):
        axes.annotate(
            "all picks are ties",
            (0.02, row),
            xycoords=("axes fraction", "data"),
            va="center",
            color=QUIET,
            fontsize=6,
        )
