"""Figures of the models: which attributes matter, and when runs are at their best."""

from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from ..errors import QueryError
from ..genotypes.upsample import Block
from .association import MINIMUM_MODELS
from .attributes import attribute_effects
from .plots_style import (
    DIVERGING,
    PALETTE,
    QUIET,
    annotate,
    colour_bar,
    heading,
    new_figure,
    style,
)
from .tables import best_iterations
from .worth import summary_name


def attribute_plot(
    bench: Any,
    image: str,
    task: object,
    by: str | int = "best_psnr_smooth",
    *,
    resamples: int = 1000,
) -> Figure:
    """Effects on PSNR of the block's attributes, with intervals, and of the 25 skips.

    A skip's effect is in bold where it differs from 0 with all effects looked at together
    (max-statistic bootstrap, p < 0.05).
    """
    table = attribute_effects(bench, image, task, by, resamples=resamples)
    blocks = [table[table["attribute"] == name] for name in Block._fields]
    blocks = [block.sort_values("effect") for block in blocks if len(block)]
    if not blocks:
        raise QueryError(
            f"no effects to draw: no attribute of a block has {MINIMUM_MODELS} models with and "
            f"{MINIMUM_MODELS} without it; train more models"
        )
    lines = sum(len(block) + 1 for block in blocks)
    with style():
        figure = new_figure(height=2.9 + 0.15 * lines)
        above, below = figure.subplots(2, 1, height_ratios=[0.15 * lines, 2.0])
        above.axvline(0, color=QUIET, linewidth=0.6)
        at, labels, row = [], [], 0.0
        for block, colour in zip(blocks, PALETTE, strict=False):
            name = block["attribute"].iloc[0]
            places = row + np.arange(len(block))
            above.hlines(places, block["low"], block["high"], color=colour)
            above.plot(block["effect"], places, "o", color=colour, markersize=3.5)
            at += list(places)
            labels += [_words(name, level) for level in block["level"]]
            row += len(block) + 0.7
        above.set_yticks(at, labels)
        above.set_ylim(-0.7, row - 1)
        above.set_xlabel(f"{summary_name(by)}:\nmean with less mean without (dB)")
        few = [each for each in table.attrs["left_out"] if not each.startswith("skip")]
        told = f"not drawn, of fewer than {MINIMUM_MODELS} models: {', '.join(few)}" if few else ""
        title = f"{table.attrs['image']}, {table.attrs['task']}, 95 % interval"
        heading(figure, "\n".join([title, *wrap(told, 52)]))
        _skips(figure, below, table)
    return figure


def iteration_plot(bench: Any, task: object, by: str | int = "best_psnr_smooth") -> Figure:
    """The best iteration of the runs of every image: range, quartiles and median."""
    table = best_iterations(bench, task, by).query("runs > 0").iloc[::-1]
    rows = np.arange(len(table))
    with style():
        figure = new_figure(height=1.2 + 0.2 * len(table))
        axes = figure.subplots()
        axes.hlines(rows, table["earliest"], table["latest"], color=QUIET, linewidth=0.8)
        axes.hlines(rows, table["quartile_1"], table["quartile_3"], color=PALETTE[0], linewidth=4)
        axes.plot(table["median"], rows, "o", color=PALETTE[1], markersize=3.5)
        for row, share in zip(rows, table["share_at_end"], strict=True):
            axes.annotate(
                f"{share:.0%}",
                (1.01, row),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=7,
                annotation_clip=False,
            )
        axes.set_yticks(rows, table["image"])
        axes.set_ylim(-0.6, len(table) - 0.4)
        axes.set_xlim(left=0)
        axes.set_xlabel(f"iteration of the {summary_name(by)}")
        key = "line: all runs; bar: middle half; dot: median\nright: best in their last 5 %"
        heading(figure, f"{table['task'].iloc[0]}\n{key}")
    return figure


def _skips(figure: Figure, axes: Axes, table: Any) -> None:
    effects, certain = np.full((5, 5), np.nan), np.zeros((5, 5), dtype=bool)
    for row in table[table["attribute"] == "skip"].itertuples():
        place = int(row.level[0]) - 1, int(row.level[-1]) - 1
        effects[place], certain[place] = row.effect, row.p_max < 0.05
    reach = max(float(np.nanmax(np.abs(effects), initial=0.0)), 1e-6)
    drawn: AxesImage = axes.imshow(effects, cmap=DIVERGING, vmin=-reach, vmax=reach)
    annotate(axes, effects, drawn, fontsize=6, bold=certain)
    axes.set_xticks(range(5), [str(level) for level in range(1, 6)])
    axes.set_yticks(range(5), [str(level) for level in range(1, 6)])
    axes.set_xlabel("from encoder level")
    axes.set_ylabel("to decoder level")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    colour_bar(figure, axes, drawn, "skip: with less without (dB)")


def _words(attribute: str, level: str) -> str:
    word = f"{level}x{level}" if attribute == "kernel" else level
    return f"{attribute} {word}"
