"""How every figure looks: sizes for one printed column, colours that the colour-blind can tell."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

# Okabe and Ito, "Color Universal Design", 2008; the pale yellow is left out.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
QUIET = "#8c8c8c"
SEQUENTIAL = "cividis"
# Matplotlib's diverging maps are not all safe for the colour-blind; blue to red through grey is.
DIVERGING = "coolwarm"
COLUMN_INCHES = 3.3

SETTINGS: dict[Any, Any] = {
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "legend.frameon": False,
    "savefig.dpi": 200,
    "svg.fonttype": "none",
    "svg.hashsalt": "dipbench",
}


@contextmanager
def style() -> Iterator[None]:
    """Draw with the settings of this module, and leave the reader's own as they were.

    >>> with style():
    ...     matplotlib.rcParams["font.size"]
    8.0
    """
    with matplotlib.rc_context(SETTINGS):
        yield


def new_figure(height: float = 2.4, width: float = COLUMN_INCHES) -> Figure:
    """An empty figure on the Agg canvas, in inches; no window and no global state.

    >>> new_figure().get_size_inches().tolist()
    [3.3, 2.4]
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def heading(figure: Figure, text: str) -> None:
    """Put a title at the left edge of the figure, where it has the whole width."""
    figure.suptitle(text, fontsize=8, x=0.02, ha="left")


def colour_bar(figure: Figure, axes: Axes, drawn: AxesImage, label: str) -> None:
    """A frameless colour bar beside an image."""
    bar = figure.colorbar(drawn, ax=axes, shrink=0.8, label=label)
    bar.outline.set_visible(False)


def annotate(
    axes: Axes,
    values: np.ndarray,
    drawn: AxesImage,
    fontsize: float,
    bold: np.ndarray | None = None,
) -> None:
    """Write the values into the cells of an image, dark on light cells and light on dark ones."""
    colours = np.asarray(drawn.to_rgba(np.ma.masked_invalid(values)))[..., :3]
    # Relative luminance of sRGB, near enough without the gamma.
    light = colours @ [0.2126, 0.7152, 0.0722] > 0.45
    for row, column in np.argwhere(np.isfinite(values)):
        strong = bold is not None and bool(bold[row, column])
        axes.text(
            column,
            row,
            short_number(values[row, column]),
            ha="center",
            va="center",
            fontsize=fontsize,
            fontweight="bold" if strong else "normal",
            color="black" if light[row, column] else "white",
        )


def short_number(value: float) -> str:
    """Two decimals, without the nought before the point.

    >>> short_number(0.5), short_number(-0.08), short_number(10.25)
    ('.50', '−.08', '10.25')
    """
    text = f"{abs(value):.2f}"
    return ("−" if value < 0 and float(text) else "") + text.removeprefix("0")
