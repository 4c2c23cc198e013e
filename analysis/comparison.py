"""Two scores side by side: which ranks the models better, beyond chance."""

from typing import Any

import numpy as np
import pandas as pd

from ..evaluate.registry import canonical
from . import association, resampling
from ._cells import shared_weights, weights_of
from ._columns import describe
from ._directions import declared_sign
from .baselines import judged_cells


def compare_scores(
    bench: Any,
    first: str,
    second: str,
    image: str | None = None,
    task: object | None = None,
    by: str | int = "best_psnr_smooth",
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Which of two scores ranks better: the difference of their directed taus, paired.

    Both are judged on the models that have both scores and the PSNR, and on the same resamples.

    Args:
        bench: A benchmark.
        first: A score with a declared direction.
        second: Another, such as the baseline `mean_rank_elsewhere`.
        image: One image; all where None.
        task: One task; all where None.
        by: The summary of a run, or an iteration of the smoothed curve.
        resamples: Bootstrap resamples.
        level: Of the interval of the difference.
        seed: Of the resampling.

    Returns:
        One row per (image, task) with the difference, its interval and its bootstrap p-value.

    Raises:
        QueryError: An unknown name, a score without direction, or fewer than 5 models.
    """
    rows = []
    for cell in judged_cells(bench, image, task, [first, second], by):
        [weights] = shared_weights([cell], resamples, seed)
        names = [canonical(first), canonical(second)]
        columns = [cell.score(name) for name in names]
        known = np.isfinite(columns[0] + columns[1] + cell.truth)
        truth = np.where(known, cell.truth, np.nan)
        weights = weights_of(cell, weights, known)
        taus, drawn = [], []
        for name, column in zip(names, columns, strict=True):
            sign = declared_sign(name)
            taus.append(sign * association.kendall_tau(column, truth).value)
            resampled = resampling.resampled_tau(column[known], truth[known], weights)
            drawn.append(sign * resampled)
        difference = drawn[0] - drawn[1]
        ends = resampling.interval(difference, level)
        rows.append(
            {
                "image": cell.image,
                "task": cell.task,
                "first": names[0],
                "second": names[1],
                "n": int(known.sum()),
                "missing": int((~known).sum()),
                "first_tau_directed": taus[0],
                "second_tau_directed": taus[1],
                "difference": taus[0] - taus[1],
                "low": ends.low,
                "high": ends.high,
                "p_bootstrap": resampling.bootstrap_p_value(taus[0] - taus[1], difference),
            }
        )
    return describe(pd.DataFrame(rows), by=by, level=level, resamples=resamples)
