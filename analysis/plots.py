"""Figures of a benchmark: each function takes one and returns a matplotlib `Figure`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..errors import QueryError, listed_names
from ..evaluate.registry import canonical
from ..files import published
from ..genotypes.upsample import PRIMITIVES
from .baselines import judged_cell
from .cells import Cell, read_cell
from .correlation import KendallResult, correlate, kendall
from .directions import direction
from .plots_models import attribute_plot, iteration_plot
from .plots_scores import psnr_histogram, score_heatmap, tau_per_image
from .plots_style import COLUMN_INCHES, PALETTE, QUIET, heading, new_figure, style
from .plots_transfer import advantages, score_matrix, truth_heatmap, variance_shares
from .worth import summary_words

FORMATS = (".png", ".svg", ".pdf")
MOST_CURVES = len(PALETTE)
ACROSS = 5
NAMED = "named network"


def check_ending(path: Path) -> str:
    """The ending of a figure's path, in small letters.

    Raises:
        QueryError: No figure can be written so.
    """
    ending = path.suffix.lower()
    if ending not in FORMATS:
        raise QueryError(f"cannot write a figure as {path.name!r}: end it in {', '.join(FORMATS)}")
    return ending


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure by rename; the ending of `path` says whether PNG, SVG or PDF.

    Raises:
        QueryError: Another ending, or the file cannot be written.

    >>> import tempfile
    >>> save(new_figure(), Path(tempfile.mkdtemp()) / "empty.png").name
    'empty.png'
    """
    path = Path(path)
    ending = check_ending(path)
    # Without a date the same figure is the same file.
    metadata = {".png": None, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}[ending]
    with style(), published(path, QueryError) as temporary:
        figure.savefig(temporary, format=ending[1:], metadata=metadata)
    return path


def curves(
    bench: Any,
    image: str,
    task: object,
    models: Sequence[object],
    *,
    kind: str = "psnr_smooth",
    seed: int | None = None,
) -> Figure:
    """PSNR over the iterations of up to seven models, the best first in the legend.

    A dot marks a seed's best. Of several seeds a curve is their mean; the legend has the mean of
    their best, which is above it.

    Args:
        bench: A benchmark.
        image: Its name.
        task: A task, its text form or bare kind.
        models: Anything that `bench.curve` takes for a model.
        kind: The recorded curve, `psnr_smooth` or `psnr`.
        seed: One seed; the mean over seeds where None.

    Raises:
        QueryError: No model, or more than can be told apart.
    """
    if kind != "psnr" and not kind.startswith("psnr_smooth"):
        raise QueryError(f"no figure is drawn of {kind!r} curves: choose psnr_smooth or psnr")
    if not 1 <= len(listed_names("models", models)) <= MOST_CURVES:
        raise QueryError(f"{len(models)} curves in one figure: choose 1 to {MOST_CURVES} models")
    cell = read_cell(bench, image, task, scored=False)
    with style():
        figure = new_figure(height=2.5 + 0.13 * len(models))
        axes = figure.subplots()
        drawn = [
            (
                model_words(str(model)),
                bench.curve_iterations(model, image, cell.task, seed=seed),
                bench.curve(model, image, cell.task, kind=kind, seed=seed),
                # A compact benchmark's curve leaves out most iterations, so perhaps the best.
                bench.query(model, image, cell.task, by=f"best_{kind}", seed=seed),
            )
            for model in models
        ]
        drawn.sort(key=lambda line: -line[3].psnr)
        several = seed is None and len(cell.seeds) > 1
        for (name, at, values, best), colour in zip(drawn, PALETTE, strict=False):
            # The better ones above the others.
            order = 2 + best.psnr / 1000
            axes.plot(at, values, color=colour, label=f"{best.psnr:.2f} dB  {name}", zorder=order)
            if not several:
                dot = best.iteration, best.psnr
                axes.plot(*dot, "o", color=colour, markersize=3.5, zorder=order + 1)
        _trim_start(axes, [np.asarray(line.get_ydata()) for line in axes.lines])
        axes.set_xlabel("iteration")
        axes.set_ylabel(summary_words(f"best_{kind}").removeprefix("best "))
        told = "\nmean of the seeds; dB: the mean of their best" if several else " (dB: best)"
        heading(figure, f"{image}, {cell.task}{told}")
        figure.legend(loc="outside lower left", handlelength=1.0, borderaxespad=0.1, fontsize=6)
    return figure


def scatter(
    bench: Any, image: str, task: object, score: str, by: str | int = "best_psnr_smooth"
) -> Figure:
    """A score against PSNR, a dot per model, with Kendall's tau and what is missing.

    The colours are the kinds of upsampling: a score may do no more than tell these apart.

    Args:
        bench: A benchmark.
        image: Its name.
        task: A task, its text form or bare kind.
        score: A score that the benchmark holds, or `mean_rank_elsewhere`.
        by: The summary of a run, or an iteration of the smoothed curve.

    Raises:
        QueryError: As `kendall`.
    """
    cell = judged_cell(bench, image, task, [score], by)
    found = kendall(bench, image, task, score, by)
    with style():
        figure = new_figure(height=2.6)
        axes = figure.subplots()
        _dots(axes, cell, cell.score(score), size=9)
        name = canonical(score)
        good = direction(name)
        axes.set_xlabel(name if good is None else f"{name} ({good} is better)")
        axes.set_ylabel(summary_words(by))
        missing = f", {found.missing} missing" if found.missing else ""
        heading(
            figure,
            f"{image}, {cell.task}\n{_tau_words(found)}, "
            f"{p_words(found.p_value)}, n = {found.n}{missing}",
        )
        axes.grid(color=QUIET, alpha=0.2, linewidth=0.5)
        _legend(figure, axes, columns=3)
    return figure


def curves_of_ranks(bench: Any, image: str, task: object) -> Figure:
    """Curves of the best, the worst and three models between them, by best smoothed PSNR.

    Raises:
        QueryError: No model has a usable run.
    """
    cell = read_cell(bench, image, task, scored=False)
    order = np.argsort(-cell.truth, kind="stable")[: int(np.isfinite(cell.truth).sum())]
    if not order.size:
        raise QueryError(f"nothing to draw: no usable run of {cell.image} {cell.task}")
    places = np.unique(np.linspace(0, order.size - 1, 5).round().astype(int))
    return curves(bench, image, task, [cell.models[order[place]] for place in places])


def scatters(bench: Any, image: str, task: object, by: str | int = "best_psnr_smooth") -> Figure:
    """Every score against PSNR, small and side by side, best first by its directed tau.

    A score without a tau is left out; one without a direction comes last, with its raw tau.
    """
    cell = judged_cell(bench, image, task, None, by)
    table = correlate(bench, image, task, None, by, resamples=0).dropna(subset=["tau"])
    table = table.sort_values("tau_directed", ascending=False, na_position="last")
    lines = -(-len(table) // ACROSS)
    with style():
        figure = new_figure(height=1.0 + 1.1 * lines, width=2 * COLUMN_INCHES)
        panels = figure.subplots(lines, ACROSS, sharey=True, squeeze=False).ravel()
        for axes, row in zip(panels, table.to_dict("records"), strict=False):
            _dots(axes, cell, cell.score(row["score"]), size=4)
            tau = f"τ = {row['tau_directed']:+.2f}"
            tau = f"raw τ = {row['tau']:+.2f}" if row["direction"] is None else tau
            told = f", n = {row['n']}" if row["n"] < table["n"].max() else ""
            axes.set_title(f"{_in_lines(row['score'])}\n{tau}{told}", fontsize=6.5)
            axes.tick_params(labelsize=6)
            axes.locator_params(axis="x", nbins=3)
            axes.ticklabel_format(axis="x", scilimits=(-2, 4), useOffset=False)
            axes.xaxis.get_offset_text().set_fontsize(6)
        for axes in panels[len(table) :]:
            axes.set_visible(False)
        figure.supylabel(summary_words(by), fontsize=8)
        _legend(figure, panels[0], columns=6)
        directed = "τ directed: positive where a score works as declared"
        heading(figure, f"{cell.image}, {cell.task}; {directed}")
    return figure


def _tau_words(found: KendallResult) -> str:
    if found.tau_directed is None:
        return f"raw Kendall's τ = {found.tau:+.2f}"
    return f"directed Kendall's τ = {found.tau_directed:+.2f}"


def _in_lines(score: str) -> str:
    """A score's name, which may break after an underscore."""
    return fill(score.replace("_", "_ "), 22).replace("_ ", "_")


def model_words(model: str) -> str:
    """A model's name short enough for a figure: its skip bits in hexadecimal.

    >>> model_words("bilinear-conv-3x3-relu/1111001011111100010001110")
    'bilinear-conv-3x3-relu/1E5F88E'
    """
    block, slash, bits = model.partition("/")
    return f"{block}/{int(bits, 2):07X}" if slash else model


def p_words(p_value: float) -> str:
    """A p-value as text.

    >>> p_words(0.0312), p_words(3e-9)
    ('p = 0.031', 'p < 0.0001')
    """
    return "p < 0.0001" if p_value < 1e-4 else f"p = {p_value:.2g}"


def _dots(axes: Axes, cell: Cell, values: NDArray[np.float64], size: float) -> None:
    """A dot per model in the colour of its kind of upsampling; named networks in grey."""
    colours = dict(zip(PRIMITIVES, PALETTE, strict=False))
    kinds = np.where(np.isin(cell.primitives, PRIMITIVES), cell.primitives, NAMED)
    for kind in (*PRIMITIVES, NAMED):
        mine = kinds == kind
        if mine.any():
            axes.scatter(
                values[mine],
                cell.truth[mine],
                s=size,
                color=colours.get(kind, QUIET),
                alpha=0.6,
                linewidths=0,
                label=kind,
            )


def _legend(figure: Figure, axes: Axes, columns: int) -> None:
    """The kinds of upsampling below the figure."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=columns,
        handletextpad=0.2,
        columnspacing=1.0,
        borderaxespad=0.1,
        fontsize=6.5,
        markerscale=1.5,
    )


def _trim_start(axes: Axes, lines: list[np.ndarray]) -> None:
    """Leave the steep first iterations out of view, where every curve looks alike."""
    late = [line[len(line) // 20 :] for line in lines if line.size > 1]
    if not late:
        return
    values = np.concatenate(late)
    low, high = np.nanmin(values), max(np.nanmax(line) for line in lines)
    axes.set_ylim(low - 0.03 * (high - low), high + 0.08 * (high - low))


IMAGE_FIGURES: dict[str, Callable[..., Figure]] = {
    "curves": curves_of_ranks,
    "scatters": scatters,
    "score heatmap": score_heatmap,
    "psnr histogram": psnr_histogram,
    "attributes": attribute_plot,
}
"""Figures of one image: functions of a benchmark, an image and a task."""

TASK_FIGURES: dict[str, Callable[..., Figure]] = {
    "tau per image": tau_per_image,
    "best iterations": iteration_plot,
    "truth over images": truth_heatmap,
    "scores over images": advantages,
    "score matrix": score_matrix,
    "variance": variance_shares,
}
"""Figures over the images of a task: functions of a benchmark and a task."""

FIGURES = IMAGE_FIGURES | TASK_FIGURES
"""Every figure by name."""
