"""Two scores side by side: which ranks the models better, beyond chance."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..errors import QueryError
from ..evaluate.registry import canonical
from . import association, resampling
from .baselines import ELSEWHERE, ONE_IMAGE, judged_cells, why_unknown
from .cells import (
    FEW_CODES,
    Cell,
    Floats,
    has_enough_codes,
    score_names,
    shared_weights,
    weights_of,
)
from .directions import declared_sign, direction
from .resampling import resampled_tau_a
from .units import describe

COLUMNS = (
    *("image", "task", "first", "second", "n", "missing"),
    *("first_tau_directed", "second_tau_directed"),
    *("difference", "low", "high", "p_bootstrap", "reason"),
)


def compare_scores(
    bench: Any,
    first: str | Sequence[str] | None,
    second: str,
    image: str | None = None,
    task: object | None = None,
    by: str | int = "best_psnr_smooth",
    *,
    where: Any = None,
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
        first: A score with a declared direction, or several; where None all but the second.
        second: Another, such as the baseline `mean_rank_elsewhere`.
        image: One image; all where None.
        task: One task; all where None.
        by: The summary of a run, or an iteration of the smoothed curve.
        where: Only models all of whose runs fulfil this, as in `bench.best`: "kernel == 3".
        resamples: Bootstrap resamples.
        level: Of the interval of the difference.
        seed: Of the resampling.

    Returns:
        One row per (image, task, first) with the difference, its interval and its bootstrap
        p-value, which is of this one difference, not adjusted for several; `reason` says why a
        number is missing.

    Raises:
        QueryError: An unknown name, or a score without direction.
    """
    asked = [first] if isinstance(first, str) else first
    if asked is not None and not asked:
        raise QueryError("no first score is asked for: name one, or give None for all")
    other = canonical(second)
    wanted = None if asked is None else [*asked, second]
    cells = judged_cells(bench, image, task, wanted, by, where)
    if other == ELSEWHERE and not any(other in cell.scores for cell in cells):
        raise QueryError(ONE_IMAGE)
    score_names(cells, [second])
    declared_sign(other)
    if asked is None:
        known = score_names(cells, None)
        firsts = [name for name in known if name != other and direction(name) is not None]
    else:
        firsts = score_names(cells, asked)
    rows = []
    for cell in cells:
        [weights] = shared_weights([cell], resamples, seed)
        rows += [_compared(cell, [name, other], weights, level) for name in firsts]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return describe(frame, by=by, level=level, resamples=resamples)


def _compared(cell: Cell, names: list[str], weights: Floats, level: float) -> dict[str, object]:
    row: dict[str, object] = {"image": cell.image, "task": cell.task}
    row |= {"first": names[0], "second": names[1]}
    signs = [declared_sign(name) for name in names]
    lacking = [name for name in names if name not in cell.scores]
    if lacking == [ELSEWHERE]:
        return row | {"reason": ONE_IMAGE}
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
