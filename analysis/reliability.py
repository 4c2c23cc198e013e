"""How far the truth itself can be trusted: tau between seeds, and the ceiling it sets.

The two answer different questions. Reliability compares one noisy table with another. The ceiling
is what a perfect predictor, which knows every model's expected PSNR, would reach against one noisy
table; it lies above the reliability, since only one side is noisy.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..errors import QueryError
from ..seeds import generator
from .association import MINIMUM_MODELS, Floats, kendall_tau
from .cells import (
    FEW_CODES,
    Cell,
    has_enough_codes,
    read_cells,
    shared_weights,
    weights_of,
)
from .resampling import interval, resampled_tau
from .units import describe

COLUMNS = (
    *("image", "task", "by", "seeds", "n", "missing"),
    *("reliability", "reliability_low", "reliability_high"),
    *("ceiling", "ceiling_low", "ceiling_high"),
    *("variance_between_models", "variance_within_models", "reason"),
)
SCORE_COLUMNS = (
    *("image", "task", "score", "initialisations", "n", "missing"),
    *("reliability", "share_of_mean", "reason"),
)


@dataclass(frozen=True)
class Components:
    """Variances (squared units of the table) of a models x repeats table, repeats' means removed.

    Attributes:
        between: Of the models' expected values; 0 where the estimate is negative.
        within: Of one repeat around its model's expected value.
        n: Models with every repeat.
        repeats: Seeds or initialisations.
        missing: Models left out.
    """

    between: float
    within: float
    n: int
    repeats: int
    missing: int

    @property
    def share(self) -> float:
        """Share of the models in the variance of the mean over the repeats (ICC of the mean)."""
        return self.between / (self.between + self.within / self.repeats)


@dataclass(frozen=True)
class Ceiling:
    """Simulated tau-b of a perfect predictor: its mean, and the middle 95 % of the tables."""

    tau: float
    low: float
    high: float


def variance_components(table: ArrayLike) -> Components:
    """Two-way analysis of variance (models x repeats, one value a cell) by mean squares.

    Args:
        table: (models, repeats); a model with a missing repeat is left out.

    Raises:
        QueryError: Fewer than 2 repeats or 5 complete models, or a table that never varies.

    >>> parts = variance_components([[1.0, 1.2], [2, 2], [3, 3.1], [4, 4], [5, 4.9]])
    >>> round(parts.between, 2), round(parts.within, 3)
    (2.35, 0.006)
    """
    table, missing = _complete(table)
    n, repeats = table.shape
    models = table.mean(axis=1, keepdims=True)
    residual = table - models - table.mean(axis=0) + table.mean()
    within = float((residual**2).sum() / ((n - 1) * (repeats - 1)))
    mean_square = float(repeats * models.var(ddof=1))
    between = max(0.0, (mean_square - within) / repeats)
    if between + within == 0:
        raise QueryError("no variance components: every value of the table is the same")
    return Components(between, within, n, repeats, missing)


def between_repeats(table: ArrayLike) -> Floats:
    """Kendall's tau-b between every two repeats of a (models, repeats) table.

    Returns:
        (pairs,) in the order of `itertools.combinations`.

    >>> between_repeats([[1, 1], [2, 3], [3, 2], [4, 4], [5, 5]]).round(2).tolist()
    [0.8]
    """
    table, _ = _complete(table)
    pairs = combinations(range(table.shape[1]), 2)
    return np.array([kendall_tau(table[:, a], table[:, b]).value for a, b in pairs])


def ceiling(table: ArrayLike, rng: np.random.Generator, draws: int = 500) -> Ceiling:
    """What a perfect predictor of the expected value would reach against the mean over repeats.

    The expected values are the models' means, drawn in towards their common mean until their
    variance is the estimated one (so that the shape of the distribution is kept); each draw adds
    normal noise of the variance within, divided by the repeats, and takes tau between the two.
    Noise of equal variance for every model is assumed.

    Args:
        table: (models, repeats); a model with a missing repeat is left out.
        rng: The source of the noise.
        draws: Simulated tables.

    Raises:
        QueryError: As `variance_components`, or the models do not differ beyond their noise.

    >>> table = [[1.0, 1.1], [2, 2], [3, 3.1], [4, 4], [5, 4.9]]
    >>> round(ceiling(table, np.random.default_rng(0), draws=50).tau, 3)
    1.0
    """
    complete, _ = _complete(table)
    parts = variance_components(complete)
    if parts.between == 0:
        raise QueryError(
            "no ceiling: the models differ by no more than the noise between repeats; add seeds"
        )
    means = complete.mean(axis=1)
    expected = means.mean() + np.sqrt(parts.share) * (means - means.mean())
    noise = rng.normal(0, np.sqrt(parts.within / parts.repeats), (draws, parts.n))
    taus = [kendall_tau(expected, expected + shift).value for shift in noise]
    low, high = np.quantile(taus, [0.025, 0.975])
    return Ceiling(float(np.mean(taus)), float(low), float(high))


def seed_reliability(
    bench: Any,
    image: str | None = None,
    task: object | None = None,
    by: str | int = "best_psnr_smooth",
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Reliability of the PSNR table and the ceiling it sets for any score, per (image, task).

    Args:
        bench: A benchmark.
        image: One image; all where None.
        task: One task; all where None.
        by: The summary of a run, or an iteration of the smoothed curve.
        resamples: Bootstrap resamples of the interval of the reliability.
        seed: Of resampling and simulation.

    Returns:
        One row per (image, task): `reliability` (mean tau between two seeds) with its interval,
        `ceiling` (against the mean over the seeds) with the middle 95 % of simulated tables, the
        variance components in dB^2; `reason` says why a number is missing.
    """
    rows = [
        _row(cell, resamples, seed) for cell in read_cells(bench, image, task, by, scored=False)
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    lacking = {"missing": "models that lack a usable run of one of the seeds"}
    return describe(frame, lacking, by=by, resamples=resamples)


def score_reliability(
    bench: Any,
    image: str | None = None,
    task: object | None = None,
    by: str | int = "best_psnr_smooth",
) -> pd.DataFrame:
    """How far a score repeats over the initialisations of the untrained networks.

    Args:
        bench: A benchmark.
        image: One image; all where None.
        task: One task; all where None.
        by: Any summary: a score does not depend on it.

    Returns:
        One row per (image, task, score): `reliability` (mean tau-b between two initialisations)
        and `share_of_mean`, the share of the models in the variance of the mean over all
        initialisations; models that lack one are left out and counted; `reason` says why a number
        is missing.
    """
    rows = []
    for cell in read_cells(bench, image, task, by, judged=False):
        for name, table in cell.scores.items():
            row: dict[str, object] = {"image": cell.image, "task": cell.task, "score": name}
            row["initialisations"] = table.shape[1]
            if table.shape[1] == 1:
                held = int(np.isfinite(table).sum())
                lacking = table.shape[0] - held
                rows.append(row | {"n": held, "missing": lacking, "reason": "one value a model"})
                continue
            try:
                parts = variance_components(table)
                row |= {"n": parts.n, "missing": parts.missing, "share_of_mean": parts.share}
                row["reliability"] = float(between_repeats(table).mean())
            except QueryError as error:
                row["reason"] = str(error)
            rows.append(row)
    frame = pd.DataFrame(rows, columns=list(SCORE_COLUMNS))
    return describe(frame, {"missing": "models that lack one of the initialisations"}, by=by)


def _row(cell: Cell, resamples: int, seed: int) -> dict[str, object]:
    known = np.asarray(np.isfinite(cell.psnr).all(axis=1) & bool(cell.seeds))
    row: dict[str, object] = {
        "image": cell.image,
        "task": cell.task,
        "by": cell.by,
        "seeds": len(cell.seeds),
        "n": int(known.sum()),
        "missing": int((~known).sum()),
    }
    if not cell.seeds:
        return row | {"reason": cell.reason}
    if len(cell.seeds) < 2:
        return row | {"reason": "reliability needs at least 2 seeds: train another"}
    [weights] = shared_weights([cell], resamples, seed)
    try:
        table = cell.psnr[known]
        parts = variance_components(table)
        row["reliability"] = float(between_repeats(table).mean())
        pairs = combinations(range(table.shape[1]), 2)
        weights = weights_of(cell, weights, known)
        drawn = [resampled_tau(table[:, a], table[:, b], weights) for a, b in pairs]
        ends = interval(np.mean(drawn, axis=0))
        row |= {"reliability_low": ends.low, "reliability_high": ends.high}
        if not has_enough_codes(cell, known):
            row["reason"] = FEW_CODES
        row["variance_between_models"] = parts.between
        row["variance_within_models"] = parts.within
        limit = ceiling(table, generator("ceiling", seed, cell.image, cell.task))
    except QueryError as error:
        return row | {"reason": str(error)}
    return row | {"ceiling": limit.tau, "ceiling_low": limit.low, "ceiling_high": limit.high}


def _complete(table: ArrayLike) -> tuple[Floats, int]:
    array = np.asarray(table, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] < 2:
        raise QueryError("reliability needs at least 2 repeats of every model")
    known = np.isfinite(array).all(axis=1)
    if known.sum() < MINIMUM_MODELS:
        raise QueryError(
            f"no reliability on {int(known.sum())} models with every repeat: at least "
            f"{MINIMUM_MODELS} are needed"
        )
    return array[known], int((~known).sum())
