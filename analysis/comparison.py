"""Two scores side by side: which ranks the models better, beyond chance."""

from typing import Any

import numpy as np
import pandas as pd

from ..errors import QueryError
from ..evaluate.registry import canonical
from . import association, resampling
from ._cells import FEW_CODES, Cell, has_enough_codes, score_names, shared_weights, weights_of
from ._columns import describe
from ._directions import declared_sign
from .baselines import judged_cells, why_unknown
from .resampling import resampled_tau_a

COLUMNS = (
    *("image", "task", "first", "second", "n", "missing"),
    *("first_tau_directed", "second_tau_directed"),
    *("difference", "low", "high", "p_bootstrap", "reason"),
)


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
    tau is tau-a, in which ties count as if broken by chance: in tau-b a score that knows a few
    kinds of models and no more would gain by its ties.

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
        One row per (image, task) with the difference, its interval and its bootstrap p-value;
        `reason` says why a number is missing.

    Raises:
        QueryError: An unknown name, or a score without direction.
    """
    names = [canonical(first), canonical(second)]
    signs = [declared_sign(name) for name in names]
    cells = judged_cells(bench, image, task, names, by)
    score_names(cells, names)
    rows = [_compared(cell, names, signs, resamples, level, seed) for cell in cells]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return describe(frame, by=by, level=level, resamples=resamples)


def _compared(
    cell: Cell, names: list[str], signs: list[float], resamples: int, level: float, seed: int
) -> dict[str, object]:
    row: dict[str, object] = {"image": cell.image, "task": cell.task}
    row |= {"first": names[0], "second": names[1]}
    lacking = [name for name in names if name not in cell.scores]
    if lacking:
        return row | {"reason": f"no score {' and '.join(lacking)} here: score it first"}
    columns = [sign * cell.score(name) for name, sign in zip(names, signs, strict=True)]
    known = np.isfinite(columns[0] + columns[1] + cell.truth)
    row |= {"n": int(known.sum()), "missing": int((~known).sum())}
    truth = cell.truth[known]
    try:
        for name in names:
            association.complete_pairs(np.where(known, cell.score(name), np.nan), cell.truth)
    except QueryError as error:
        told = filter(None, (why_unknown(cell, name) for name in names))
        return row | {"reason": next(told, str(error))}
    once = np.ones((1, truth.size))
    [weights] = shared_weights([cell], resamples, seed)
    drawn = weights_of(cell, weights, known)
    taus = [float(resampled_tau_a(column[known], truth, once)[0]) for column in columns]
    difference = np.subtract(*(resampled_tau_a(column[known], truth, drawn) for column in columns))
    ends = resampling.interval(difference, level)
    p_value = resampling.bootstrap_p_value(taus[0] - taus[1], difference)
    few = None if has_enough_codes(cell, known) else FEW_CODES
    return row | {
        "first_tau_directed": taus[0],
        "second_tau_directed": taus[1],
        "difference": taus[0] - taus[1],
        "low": ends.low,
        "high": ends.high,
        "p_bootstrap": p_value,
        "reason": few or resampling.why_no_p_value(p_value, difference),
    }
