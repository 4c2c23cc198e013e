"""Regret against cost of searches that were replayed."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from ..errors import QueryError
from .plots_style import PALETTE, new_figure, style
from .search.replaying import regret_by_cost
from .worth import summary_words

COST_WORDS = {
    "iterations": "iterations trained",
    "macs": "multiply-accumulates of the forward passes",
    "seconds": "seconds of the recorded trainings",
    "questions": "questions to the surrogate",
}

TICKS = (0, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)
"""Of regrets, dB."""


def regret_curves(replayed: pd.DataFrame, *, level: float = 0.95) -> Figure:
    """Mean regret of each algorithm against what it has spent, with an interval over searches.

    Args:
        replayed: from `replay` or `replay_surrogate`.
        level: of the interval.

    Raises:
        QueryError: more algorithms than can be told apart, or no search chose a model.
    """
    table = regret_by_cost(replayed, level=level)
    names = list(table["algorithm"].unique())
    if len(names) > len(PALETTE):
        raise QueryError(f"{len(names)} algorithms in one figure: draw {len(PALETTE)} at most")
    attrs = table.attrs
    with style():
        figure = new_figure(height=2.9)
        axes = figure.subplots()
        for name, colour in zip(names, PALETTE, strict=False):
            own = table[table["algorithm"] == name]
            axes.step(own["cost"], own["regret"], where="post", color=colour, label=name)
            axes.fill_between(
                own["cost"], own["low"], own["high"], step="post", color=colour, alpha=0.2, lw=0
            )
        axes.set_xlabel(COST_WORDS[attrs["unit"]])
        axes.set_ylabel("regret of the chosen model (dB)")
        axes.set_yscale("symlog", linthresh=0.1)
        axes.yaxis.set_major_locator(FixedLocator(TICKS))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylim(bottom=0)
        axes.legend()
        searches = int(table["searches"].min())
        interval = f", {level:.0%} interval" if table["low"].notna().any() else ""
        axes.set_title(
            f"{attrs['label']}\n{summary_words(attrs['by'])}; mean of {searches} searches"
            f"{interval}",
            loc="left",
            wrap=True,
        )
    return figure
