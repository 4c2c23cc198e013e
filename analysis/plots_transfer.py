"""Figures across images: does the ranking carry over, and is a score image-specific."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..errors import QueryError
from .directions import is_baseline, sees_the_image
from .plots_style import (
    DIVERGING,
    PALETTE,
    QUIET,
    SEQUENTIAL,
    annotate,
    colour_bar,
    heading,
    new_figure,
    style,
)
from .specificity import OF_EACH, all_score_transfers, score_transfer
from .tables import scores_over_images, truth_over_images, variance
from .worth import summary_name


def truth_heatmap(bench: Any, task: object, by: str | int = "best_psnr_smooth") -> Figure:
    """Kendall's tau-b between the true rankings of the models on every two images."""
    table = truth_over_images(bench, task, by)
    values = table.to_numpy(copy=True)
    # An image's agreement with itself says nothing and would take up the colours.
    np.fill_diagonal(values, np.nan)
    return _heatmap(
        *(values, list(table.index), "", "", "Kendall's τ"),
        f"{task}: two images' models\nranked by {summary_name(by)}",
        cmap=SEQUENTIAL,
        vmin=min(0, np.nanmin(values)),
        vmax=1,
    )


def score_matrix(
    bench: Any, task: object, score: str | None = None, by: str | int = "best_psnr_smooth"
) -> Figure:
    """Directed tau of a score made on one image (row) against PSNR on another (column).

    Without a score it is the one with the highest mean tau on the images that it was made on; of
    those that see the image if there are any, and no baseline if there is another.
    """
    # As many resamples as the table of all scores has, whose interval it is.
    name = score or _best_score(bench, task, by)
    found = score_transfer(bench, task, name, by, resamples=OF_EACH)
    ends = found.interval
    title = f"{found.score}, {found.task}\ndiagonal less rest: {found.advantage:+.3f}"
    if np.isfinite([ends.low, ends.high]).all():
        title += f" [{ends.low:+.3f}, {ends.high:+.3f}]"
    images = list(found.images)
    most = np.abs(found.taus).max()
    return _heatmap(
        *(found.taus, images, f"{summary_name(by)} on image", "score on image"),
        *("directed τ", title),
        cmap=DIVERGING,
        vmin=-most,
        vmax=most,
    )


def _best_score(bench: Any, task: object, by: str | int) -> str:
    found = all_score_transfers(bench, task, by, resamples=0)
    own = {
        name: float(np.trace(transfer.taus)) / len(transfer.images)
        for name, transfer in found.items()
        if not isinstance(transfer, str)
    }
    if not own:
        raise QueryError(f"no score can be compared over images: {next(iter(found.values()))}")
    return max(own, key=lambda name: (sees_the_image(name), not is_baseline(name), own[name]))


def advantages(bench: Any, task: object, by: str | int = "best_psnr_smooth") -> Figure:
    """What every score gains by having seen the image: tau on its own image less on others."""
    table = scores_over_images(bench, task, by)
    known = table[table["advantage"].notna()].sort_values("advantage")
    if known.empty:
        raise QueryError(f"no score can be compared over images: {table['reason'].iloc[0]}")
    table = known
    rows = np.arange(len(table))
    with style():
        figure = new_figure(height=0.9 + 0.17 * len(table))
        axes = figure.subplots()
        axes.axvline(0, color=QUIET, linewidth=0.6)
        axes.hlines(rows, table["low"], table["high"], color=PALETTE[0])
        axes.plot(table["advantage"], rows, "o", color=PALETTE[0], markersize=3.5)
        axes.set_yticks(rows, table["score"])
        axes.set_ylim(-0.7, len(table) - 0.3)
        axes.set_xlabel(f"directed τ\nwith {summary_name(by)},\nown image less others")
        heading(
            figure, f"{table.attrs['task']}, {int(table['images'].max())} images, 95 % interval"
        )
    return figure


def variance_shares(bench: Any, task: object, by: str | int = "best_psnr_smooth") -> Figure:
    """How much of the PSNR's variance belongs to models, to models on one image, and to seeds."""
    table = variance(bench, task, by)
    with style():
        figure = new_figure(height=1.5)
        axes = figure.subplots()
        axes.barh(table["source"], table["share"], color=PALETTE[: len(table)], height=0.65)
        for row, (share, value) in enumerate(zip(table["share"], table["variance"], strict=True)):
            axes.annotate(
                f"{share:.0%}, {np.sqrt(value):.2f} dB",
                (share, row),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
            )
        axes.invert_yaxis()
        axes.set_xlim(0, 1.35 * table["share"].max())
        axes.set_xlabel(f"share of the variance (and spread)\nof {summary_name(by)}")
        heading(figure, f"{task}, {table.attrs['images']} images")
        axes.tick_params(axis="y", length=0)
    return figure


def _heatmap(
    values: np.ndarray,
    images: list[str],
    across: str,
    down: str,
    what: str,
    title: str,
    **colours: Any,
) -> Figure:
    size = len(images)
    with style():
        side = max(3.3, 1.4 + 0.3 * size)
        figure = new_figure(height=side * 0.85, width=side)
        axes = figure.subplots()
        drawn = axes.imshow(values, **colours)
        axes.set_xticks(range(size), images, rotation=90 if size > 4 else 0)
        axes.set_yticks(range(size), images)
        axes.set_xlabel(across)
        axes.set_ylabel(down)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        annotate(axes, values, drawn, fontsize=6)
        colour_bar(figure, axes, drawn, what)
        heading(figure, title)
    return figure
