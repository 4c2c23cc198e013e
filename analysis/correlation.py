"""How well each training-free score ranks the models of a benchmark.

`tau` is always raw. `tau_directed` carries the score's declared direction: positive means that
the score works as declared, whichever end is its good one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import QueryError
from ..scalars import is_count
from . import association, resampling, resampling_top, selection
from .association import Floats
from .baselines import judged_cell, judged_cells, why_unknown
from .cells import (
    FEW_CODES,
    Cell,
    has_enough_codes,
    score_names,
    shared_weights,
    weights_of,
)
from .directions import declared_sign, directed, direction, turned
from .units import describe

METHOD = (
    "tau-b per (image, task) over the models that have both values; intervals: percentile "
    "bootstrap that resamples upsample codes; tau raw, tau_directed signed by the direction"
)

COLUMNS = (
    *("image", "task", "score", "direction", "by"),
    *("n", "missing", "missing_psnr", "missing_runs", "missing_score", "missing_initialisations"),
    *("tied_score_pairs", "tied_psnr_pairs", "seeds", "initialisations"),
    *("tau", "tau_low", "tau_high"),
    *("tau_directed", "tau_directed_low", "tau_directed_high"),
    *("tau_within", "tau_within_low", "tau_within_high"),
    *("tau_within_directed", "tau_within_directed_low", "tau_within_directed_high"),
    *("p_value", "p_holm", "p_max", "undefined_resamples"),
    *("spearman", "spearman_low", "spearman_high"),
    *("pearson", "pearson_low", "pearson_high", "tau_top", "tau_top_low", "tau_top_high"),
    *("k", "precision", "precision_low", "precision_high", "random_precision"),
    *("best_psnr", "random_best_psnr", "oracle_psnr"),
    *("regret", "random_regret", "regret_crossfit", "random_regret_crossfit", "reason"),
)


@dataclass(frozen=True)
class KendallResult:
    """Kendall's tau-b between a score and PSNR; unpacks as `tau, p_value, n`.

    Attributes:
        tau: Raw tau-b: negative for a score of which lower is better, if it works.
        p_value: Two-sided, the models taken as independent.
        n: Models that have both values.
        tau_directed: `tau` with the declared direction: positive if the score works as declared;
            None where no direction is registered.
        missing: Models that lack the score or have no usable run.
    """

    tau: float
    p_value: float
    n: int
    tau_directed: float | None
    missing: int

    def __iter__(self) -> Iterator[float]:
        return iter((self.tau, self.p_value, self.n))


def kendall(
    bench: Any,
    image: str,
    task: object,
    score: str,
    by: str | int = "best_psnr_smooth",
    where: Any = None,
) -> KendallResult:
    """Kendall's tau-b between a score and PSNR over the models of one (image, task).

    Args:
        bench: A benchmark.
        image: Its name.
        task: A task, its text form, or its bare kind where the benchmark holds one such task.
        score: A score that the benchmark holds, or `mean_rank_elsewhere`, the model's mean rank
            on the other images of the task, see `dipbench.analysis.baselines`.
        by: The summary of a run, or an iteration of the smoothed curve.
        where: Only models all of whose runs fulfil this, as in `bench.best`.

    Raises:
        QueryError: An unknown name, fewer than 5 models, or a score that is constant.
    """
    [found] = kendalls(bench, image, task, [score], by, where).values()
    if isinstance(found, str):
        raise QueryError(found)
    return found


def kendalls(
    bench: Any,
    image: str,
    task: object,
    scores: Sequence[str] | None = None,
    by: str | int = "best_psnr_smooth",
    where: Any = None,
) -> dict[str, KendallResult | str]:
    """`kendall` of several scores, all that are known where None, or why a score has none.

    The benchmark is read once.

    Raises:
        QueryError: An unknown name, or nothing was trained or scored there.
    """
    cell = judged_cell(bench, image, task, scores, by, where)
    return {name: _kendall(cell, name) for name in score_names([cell], scores)}


def _kendall(cell: Cell, name: str) -> KendallResult | str:
    try:
        found = association.kendall_tau(cell.score(name), cell.truth)
    except QueryError as error:
        return f"{name} on {cell.image} {cell.task}: {why_unknown(cell, name) or error}"
    p_value = np.nan if found.p_value is None else found.p_value
    return KendallResult(found.value, p_value, found.n, directed(name, found.value), found.missing)


def correlate(
    bench: Any,
    image: str | None = None,
    task: object | None = None,
    scores: Sequence[str] | None = None,
    by: str | int = "best_psnr_smooth",
    *,
    where: Any = None,
    k: int = 15,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Every score's association with PSNR on every (image, task), and what its picks are worth.

    Args:
        bench: A benchmark.
        image: One image; all where None.
        task: One task; all where None.
        scores: Names; all that the benchmark holds where None, and `mean_rank_elsewhere` where
            there is another image to rank the models on.
        by: The summary of a run, or an iteration of the smoothed curve.
        where: Only models all of whose runs fulfil this, as in `bench.best`: "kernel == 3".
        k: How many picks of the score are trained (precision, best PSNR, regret).
        resamples: Bootstrap resamples.
        level: Of the intervals.
        seed: Of the resampling.

    Returns:
        One row per (image, task, score). `.attrs` holds the `units` of the columns, the
        `directions` of the scores, `by`, `level`, `resamples` and `method`. Where a number is
        missing, `reason` says why.

    Raises:
        QueryError: An unknown name, or no (image, task, score) with at least 5 models.
    """
    if not is_count(k):
        raise QueryError(f"{k!r} picks of a score are none: give a whole number from 1")
    rows: list[dict[str, Any]] = []
    cells = judged_cells(bench, image, task, scores, by, where)
    asked = score_names(cells, scores)
    for cell in cells:
        [weights] = shared_weights([cell], resamples, seed)
        names = [name for name in asked if name in cell.scores]
        if names:
            rows += _adjusted([_judge(cell, name, weights, k, level) for name in names])
    if not rows:
        if scores is not None:
            raise QueryError(
                "nothing to correlate: no score is asked for; name one, or None for all"
            )
        raise QueryError("nothing to correlate: the benchmark holds no score here; score it first")
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    if table["tau"].isna().all():
        raise QueryError(f"nothing could be correlated: {table['reason'].iloc[0]}")
    return describe(
        table,
        directions={name: direction(name) for name in table["score"].unique()},
        by=by,
        level=level,
        resamples=resamples,
        method=METHOD,
    )


def _judge(
    cell: Cell, name: str, weights: Floats, k: int, level: float
) -> tuple[dict[str, Any], Floats]:
    """One row of `correlate`, and tau on every resample."""
    values, truth = cell.score(name), cell.truth
    row, known = _named(cell, name)
    row |= {
        "missing_psnr": int((~np.isfinite(truth)).sum()),
        "missing_runs": int((~np.isfinite(cell.psnr)).sum()),
        "missing_score": int((~np.isfinite(values)).sum()),
        "missing_initialisations": int((~np.isfinite(cell.scores[name])).sum()),
        "tied_score_pairs": association.tied_pairs(values[known]),
        "tied_psnr_pairs": association.tied_pairs(truth[known]),
        "seeds": len(cell.seeds),
        "initialisations": cell.scores[name].shape[1],
    }
    drawn = weights_of(cell, weights, known)
    try:
        tau = association.kendall_tau(values, truth)
    except QueryError as error:
        why = why_unknown(cell, name) or str(error)
        row |= {"tau": np.nan, "p_value": np.nan} | _worth(cell, name, known, drawn, k, level)
        told = dict.fromkeys(filter(None, (why, row["reason"])))
        return row | {"reason": "; ".join(told)}, np.full(drawn.shape[0], np.nan)
    row |= {
        "tau": tau.value,
        "p_value": tau.p_value,
        "spearman": association.spearman_rho(values, truth).value,
        "pearson": association.pearson_r(values, truth).value,
        "tau_top": association.top_weighted_tau(values, truth).value,
    }
    x, y, kinds = values[known], truth[known], cell.primitives[known]
    within, why_none = _within(x, y, kinds)
    row["tau_within"] = within
    resampled = {
        "tau": resampling.resampled_tau(x, y, drawn),
        "tau_within": np.full(len(drawn), np.nan)
        if why_none
        else resampling.resampled_tau(x, y, drawn, kinds),
        "spearman": resampling.resampled_spearman(x, y, drawn),
        "pearson": resampling.resampled_pearson(x, y, drawn),
        "tau_top": resampling_top.resampled_top_tau(x, y, drawn),
    }
    intervals = {name: resampling.interval(column, level) for name, column in resampled.items()}
    for statistic, ends in intervals.items():
        row |= {f"{statistic}_low": ends.low, f"{statistic}_high": ends.high}
    row |= turned(name, row, "tau") | turned(name, row, "tau_within")
    row["undefined_resamples"] = intervals["tau"].undefined
    row |= _worth(cell, name, known, drawn, k, level)
    reasons = [row["reason"]] if row["reason"] else []
    if why_none is not None:
        reasons.append(f"no tau within kinds: {why_none}")
    if drawn.any() and np.isnan(row["tau_low"]):
        reasons.append(f"no interval: tau is undefined on {row['undefined_resamples']} resamples")
    if drawn.any() and why_none is None and np.isnan(row["tau_within_low"]):
        undefined = intervals["tau_within"].undefined
        reasons.append(f"no interval of tau within kinds: it is undefined on {undefined} resamples")
    return row | {"reason": "; ".join(reasons) or None}, resampled["tau"]


def _within(x: Floats, y: Floats, kinds: NDArray[np.str_]) -> tuple[float, str | None]:
    """Tau over the pairs of models of one kind, or why there is none."""
    _, counts = np.unique(kinds, return_counts=True)
    alike = int(counts[counts > 1].sum())
    if alike < association.MINIMUM_MODELS:
        return np.nan, f"{alike} models share their kind with another"
    [tau] = resampling.resampled_tau(x, y, np.ones((1, x.size)), kinds)
    if np.isnan(tau):
        return np.nan, "score or PSNR is the same for all models of each"
    return float(tau), None


def _named(cell: Cell, name: str) -> tuple[dict[str, Any], NDArray[np.bool_]]:
    """The first columns of a score's row, and which models have the score and the PSNR."""
    known = np.isfinite(cell.score(name)) & np.isfinite(cell.truth)
    row = {
        "image": cell.image,
        "task": cell.task,
        "score": name,
        "direction": direction(name),
        "by": cell.by,
        "n": int(known.sum()),
        "missing": int((~known).sum()),
    }
    return row, known


def picks_of(
    bench: Any, task: object | None, by: str | int, numbers: Sequence[int], resamples: int
) -> pd.DataFrame:
    """The columns of `correlate` on the picks of every score, for each number of picks.

    Raises:
        QueryError: An unknown name, or no score.
    """
    cells = judged_cells(bench, None, task, None, by)
    weights = [shared_weights([cell], resamples, seed=0)[0] for cell in cells]
    rows = []
    for k in numbers:
        for cell, drawn in zip(cells, weights, strict=True):
            for name in cell.scores:
                row, known = _named(cell, name)
                rows.append(
                    row | _worth(cell, name, known, weights_of(cell, drawn, known), k, 0.95)
                )
    if not rows:
        raise QueryError("nothing to pick by: the benchmark holds no score here; score it first")
    directions = {name: direction(name) for cell in cells for name in cell.scores}
    return describe(pd.DataFrame(rows), directions=directions)


def _adjusted(judged: list[tuple[dict[str, Any], Floats]]) -> list[dict[str, Any]]:
    """The rows with the p-values that know how many scores were tried on this (image, task)."""
    rows = [row for row, _ in judged]
    resampled = np.stack([taus for _, taus in judged], axis=1)
    holm = resampling.holm([row["p_value"] for row in rows])
    models = [row["n"] for row in rows]
    largest = resampling.max_tau([row["tau"] for row in rows], resampled, models)
    # Of few models a perfect order is one on every resample too, which says nothing of chance.
    few = np.array(models) < resampling.FEWEST_JUDGED
    largest = np.maximum(largest, np.where(few, holm, [row["p_value"] for row in rows]))
    largest = np.where(resampling.is_same(resampling.fisher_z(resampled, models)), holm, largest)
    return [
        row | {"p_holm": float(first), "p_max": float(second)}
        for row, first, second in zip(rows, holm, largest, strict=True)
    ]


def _worth(
    cell: Cell, name: str, known: NDArray[np.bool_], weights: Floats, k: int, level: float
) -> dict[str, Any]:
    """The columns on the k picks of the known models, and why any of them is missing."""
    why = why_unknown(cell, name)
    if why:
        return {"k": k, "reason": why}
    row, reasons = _picks(cell, name, known, k)
    if "precision" in row:
        drawn = resampling_top.resampled_precision(
            *(cell.score(name)[known], cell.truth[known], k, weights),
            pick_lowest=declared_sign(name) < 0,
        )
        ends = resampling.interval(drawn, level)
        row |= {"precision_low": ends.low, "precision_high": ends.high}
        if weights.any() and np.isnan(ends.low):
            told = f"it is undefined on {ends.undefined} resamples"
            reasons.append(f"no interval of precision: {told}")
    if not has_enough_codes(cell, known):
        reasons.append(FEW_CODES)
    return row | {"reason": "; ".join(reasons) or None}


def _picks(
    cell: Cell, name: str, known: NDArray[np.bool_], k: int
) -> tuple[dict[str, Any], list[str]]:
    """The columns on the k picks without an interval, and why any of them is missing."""
    values, truth = cell.score(name)[known], cell.truth[known]
    if direction(name) is None:
        return {"k": k}, ["no picks: the score has no declared direction, so register it first"]
    if k > values.size:
        return {"k": k}, [f"no picks: k = {k} of {values.size} models"]
    lowest = declared_sign(name) < 0
    plain = selection.select(values, truth, k, pick_lowest=lowest)
    row: dict[str, Any] = {
        "k": k,
        "precision": plain.precision,
        "random_precision": plain.random_precision,
        "best_psnr": plain.best_psnr,
        "random_best_psnr": plain.random_best_psnr,
        "oracle_psnr": plain.oracle,
        "regret": plain.regret,
        "random_regret": plain.random_regret,
    }
    reasons = []
    above = float(np.nanmax(cell.truth)) - plain.oracle
    if above > 0:
        reasons.append(
            f"regret is below the best of the models that have the score; the best of all, "
            f"{above:.2f} dB higher, has none"
        )
    if len(cell.seeds) < 2:
        return row, [*reasons, "no cross-fitted regret: one seed"]
    every = np.isfinite(cell.psnr[known]).all(axis=1)
    if k > every.sum():
        told = f"no cross-fitted regret: k = {k} of {every.sum()} models with every seed"
        return row, [*reasons, told]
    fitted = selection.cross_fitted(values[every], cell.psnr[known][every], k, pick_lowest=lowest)
    row |= {"regret_crossfit": fitted.regret, "random_regret_crossfit": fitted.random_regret}
    told = f"cross-fitted over the {every.sum()} of {every.size} models that have every seed"
    return row, reasons if every.all() else [*reasons, told]
