"""Pictures of restorations: the dynamics of a training, contact sheets, the course of a search."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import nan
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..errors import QueryError
from .plots_style import PALETTE, QUIET, new_figure, style

if TYPE_CHECKING:
    from ..data import Image, Observation
    from ..evaluate.comparing import Row
    from ..evaluate.restoring import Restoration
    from .search.isnas import SearchResult

TILE_INCHES = 2.0
MOST_COLUMNS = 5
_SELECTED_BY = {
    "average": "distance from average",
    "discrepancy": "discrepancy from noise",
    "discrepancy_variance": "variance at the noise",
}
_FIGURES = (("psnr", 2, " dB"), ("ssim", 3, " SSIM"))


@dataclass(frozen=True)
class Tile:
    """A picture of a contact sheet.

    Attributes:
        title: what it is.
        image: (C, H, W) in [0, 1].
        caption: a line of figures under it.
    """

    title: str
    image: np.ndarray = field(repr=False)
    caption: str = ""


def dynamics(restoration: "Restoration") -> Figure:
    """Loss, PSNR and moving variance over the iterations; a line marks the output that was kept.

    PSNR against the truth is there where the truth is known.
    """
    curves = restoration.fit.curves
    with style():
        figure = new_figure(height=4.6)
        upper, middle, lower = figure.subplots(3, 1, sharex=True)
        upper.semilogy(curves["loss"], color=PALETTE[0], linewidth=0.9)
        upper.set_ylabel("loss")
        if "psnr" in curves:
            middle.plot(curves["psnr"], color=PALETTE[5], linewidth=0.7, label="output")
            middle.plot(curves["psnr_smooth"], color=PALETTE[0], label="smoothed output")
        middle.plot(
            curves["psnr_observed"], color=PALETTE[4], linewidth=0.9, label="against observation"
        )
        middle.set_ylabel("PSNR (dB)")
        # Above the curves, which may run anywhere.
        middle.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=3,
            fontsize=6,
            borderaxespad=0,
            borderpad=0.2,
            handlelength=1.2,
            columnspacing=1,
        )
        _trim(middle, [curves[kind] for kind in curves if kind.startswith("psnr")])
        lower.semilogy(np.maximum(curves["variance"], 1e-12), color=PALETTE[2], linewidth=0.9)
        lower.set_ylabel("moving variance")
        lower.set_ylim(bottom=float(np.min(curves["variance"][1:], initial=1.0)) / 2)
        lower.set_xlabel("iteration")
        for axes in (upper, middle, lower):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.axvline(restoration.iteration, color=QUIET, linestyle="--", linewidth=0.8)
        upper.set_title(
            f"{_in_two(restoration.model)}\n{restoration.task}; dashed: iteration "
            f"{restoration.iteration}, kept ({restoration.kept.replace('_', ' ')})",
            loc="left",
            fontsize=6,
        )
    return figure


def contact_sheet(tiles: Sequence[Tile], title: str = "") -> Figure:
    """Pictures side by side, each with its name above and its figures below.

    Raises:
        QueryError: there is none.

    >>> import numpy as np
    >>> from dipbench.analysis.plots_restoration import Tile, contact_sheet
    >>> len(contact_sheet([Tile("a", np.zeros((1, 64, 64)))]).axes)
    1
    """
    if not tiles:
        raise QueryError("a contact sheet of no pictures: give one Tile or more")
    rows = -(-len(tiles) // MOST_COLUMNS)
    columns = -(-len(tiles) // rows)
    _, height, width = tiles[0].image.shape
    tall = TILE_INCHES * height / width + 0.5
    with style():
        figure = new_figure(height=rows * tall + 0.3 * bool(title), width=columns * TILE_INCHES)
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, tile in zip(grid, tiles, strict=False):
            _show(axes, tile)
        for axes in grid[len(tiles) :]:
            axes.remove()
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=8)
    return figure


def comparison_sheet(
    rows: "Sequence[Row]", observation: "Observation", truth: "Image | None", title: str = ""
) -> Figure:
    """The truth where it is known, the observation, and what each model made of it."""
    zoom = observation.zoom
    enlarged = observation.observed.repeat(zoom, axis=1).repeat(zoom, axis=2)
    tiles = [] if truth is None else [Tile("truth", truth.array)]
    tiles.append(Tile("observation", enlarged))
    for row in rows:
        if row.image is None:
            continue
        figures = [
            f"{row.quality[key]:.{digits}f}{unit}"
            for key, digits, unit in _FIGURES
            if key in row.quality
        ]
        tiles.append(Tile(row.model, row.image, ", ".join(figures)))
    return contact_sheet(tiles, title)


def search_course(found: "SearchResult") -> Figure:
    """The scores of all models, which were kept, and the distances that selected one of them."""
    kept = [candidate.score for candidate in found.candidates]
    with style():
        figure = new_figure(height=3.8)
        upper, lower = figure.subplots(2, 1)
        upper.hist(list(found.scores.values()), bins=40, color=QUIET, alpha=0.6)
        for score in kept:
            upper.axvline(score, color=PALETTE[0], linewidth=0.7)
        upper.set_xlabel(found.score)
        upper.set_ylabel("models")
        upper.yaxis.set_major_locator(MaxNLocator(integer=True))
        upper.set_title(
            f"{len(found.scores)} models scored, lines: the {len(kept)} trained", loc="left"
        )
        colours = [
            PALETTE[1] if candidate.model == found.selected else PALETTE[0]
            for candidate in found.candidates
        ]
        distances = [candidate.distance for candidate in found.candidates]
        known = [nan if distance is None else distance for distance in distances]
        lower.scatter(kept, known, color=colours, s=14)
        lower.set_xlabel(found.score)
        lower.set_ylabel(_SELECTED_BY[found.selected_by])
        lower.set_title("the trained ones; orange: selected", loc="left")
    return figure


def _show(axes: Axes, tile: Tile) -> None:
    image = tile.image.clip(0, 1)
    if len(image) == 1:
        axes.imshow(image[0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    else:
        axes.imshow(np.moveaxis(image, 0, 2), interpolation="nearest")
    axes.set_title(_in_two(tile.title), fontsize=5.5 if "/" in tile.title else 7)
    axes.set_xlabel(tile.caption, fontsize=7)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _in_two(model: str) -> str:
    """A genotype's text, which is wider than a tile or a column, in two lines."""
    return model.replace("/", "/\n")


def _trim(axes: Axes, curves: list[np.ndarray]) -> None:
    """Leave the steep first iterations out of view."""
    late = np.concatenate([curve[len(curve) // 20 :] for curve in curves])
    late = late[np.isfinite(late)]
    if late.size and late.max() > late.min():
        margin = 0.06 * (late.max() - late.min())
        axes.set_ylim(late.min() - margin, late.max() + margin)
