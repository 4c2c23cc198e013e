"""Which attributes of a genotype go with a higher PSNR: primitives, kernels, single skips."""

import math
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import ArrayLike, NDArray

from ..errors import QueryError
from ..genotypes.upsample import Block
from .association import MINIMUM_MODELS, Floats
from .cells import FEW_CODES, read_cell, shared_weights, weights_of
from .resampling import (
    MINIMUM_GROUPS,
    bootstrap_p_value,
    holm,
    interval,
    max_statistic,
    why_no_p_value,
)
from .units import UNITS, describe

SKIPS = 25
COLUMNS = (
    *("attribute", "level", "n_with", "n_without", "mean_psnr"),
    *("effect", "low", "high", "p_bootstrap", "p_max", "reason"),
)

OWN_UNITS = {
    "p_bootstrap": f"{UNITS['p_bootstrap']}; never below that of Welch's t test",
    "p_max": f"{UNITS['p_bootstrap']}, adjusted for all attributes (max-statistic); never below "
    "Holm's of Welch's t tests",
}
"""What columns mean in these frames alone."""


def level_effect(has: ArrayLike, psnr: ArrayLike, weights: Floats | None = None) -> Floats:
    """Mean PSNR of the models that have a level less that of those that do not, in dB.

    Args:
        has: (models,) whether a model has the level.
        psnr: (models,) finite dB.
        weights: (resamples, models) multiplicities; each model once where None.

    Returns:
        (resamples,); NaN where a resample has no model on one of the sides.

    >>> level_effect([True, True, False], [30.0, 28.0, 25.0]).tolist()
    [4.0]
    """
    has, psnr = np.asarray(has, dtype=bool), np.asarray(psnr, dtype=np.float64)
    weights = np.ones((1, psnr.size)) if weights is None else weights
    with np.errstate(invalid="ignore", divide="ignore"):
        means = [weights[:, side] @ psnr[side] / weights[:, side].sum(1) for side in (has, ~has)]
    return np.asarray(means[0] - means[1])


def attribute_effects(
    bench: Any,
    image: str,
    task: object,
    by: str | int = "best_psnr_smooth",
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """The effect of every level of every attribute on PSNR, with intervals by upsample code.

    Effects are marginal: nothing else is held fixed, and levels of a block's attributes occur
    together (a block without a convolution has no kernel). Skip bits were drawn independently of
    the block in the published models.

    Args:
        bench: A benchmark.
        image: Its name.
        task: A task, its text form or bare kind.
        by: The summary of a run, or an iteration of the smoothed curve.
        resamples: Bootstrap resamples.
        level: Of the intervals.
        seed: Of the resampling.

    Returns:
        One row per (attribute, level); attribute `skip` has levels `i<-j`, decoder level i
        receiving encoder level j, and `connections` the number of skips, at least against fewer
        than the median. A level with fewer than 5 models on a side is left out of the frame and
        named in `.attrs["left_out"]`; one with fewer than 5 upsample codes on a side has no
        interval, and of fewer than some 20 it is too narrow. `p_bootstrap` is never below the
        p-value of Welch's t test, the models independent, and `p_max` never below Holm's of those.

    Raises:
        QueryError: An unknown name, or fewer than 5 genotypes with a PSNR.
    """
    cell = read_cell(bench, image, task, by, scored=False)
    [weights] = shared_weights([cell], resamples, seed)
    genotypes = {str(genotype): genotype for genotype in bench.genotypes}
    truth = cell.truth
    known = np.array([model in genotypes for model in cell.models]) & np.isfinite(truth)
    if known.sum() < MINIMUM_MODELS:
        raise QueryError(
            f"no effects on {int(known.sum())} genotypes: at least {MINIMUM_MODELS} are needed"
        )
    chosen = [genotypes[model] for model, ok in zip(cell.models, known, strict=True) if ok]
    codes = cell.groups[known]
    rows, resampled, welch, left_out = [], [], [], []
    for (attribute, name), has in _levels(chosen).items():
        if min(has.sum(), (~has).sum()) < MINIMUM_MODELS:
            left_out.append(f"{attribute} {name}")
            continue
        enough = min(np.unique(codes[side]).size for side in (has, ~has)) >= MINIMUM_GROUPS
        drawn = level_effect(has, truth[known], weights_of(cell, weights, known) * enough)
        resampled.append(drawn)
        ends = interval(drawn, level)
        effect = float(level_effect(has, truth[known])[0])
        welch.append(_welch(truth[known][has], truth[known][~has]))
        # Of sides of few codes the resamples alone would find too much.
        p_value = float(_not_below(bootstrap_p_value(effect, drawn), welch[-1]))
        rows.append(
            {
                "attribute": attribute,
                "level": name,
                "n_with": int(has.sum()),
                "n_without": int((~has).sum()),
                "mean_psnr": float(truth[known][has].mean()),
                "effect": effect,
                "low": ends.low,
                "high": ends.high,
                "p_bootstrap": p_value,
                "reason": why_no_p_value(p_value, drawn) if enough else FEW_CODES,
            }
        )
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    if rows:
        largest = max_statistic(frame["effect"], np.stack(resampled, axis=1))
        frame["p_max"] = _not_below(largest, holm(welch))
    return describe(
        frame,
        OWN_UNITS,
        image=cell.image,
        task=cell.task,
        by=by,
        level=level,
        resamples=resamples,
        left_out=left_out,
        missing=int((~known).sum()),
    )


def _not_below(p_values: ArrayLike, floors: ArrayLike) -> Floats:
    """P-values raised to others; missing stays missing, and a missing floor is none."""
    p_values = np.asarray(p_values, dtype=np.float64)
    return np.where(np.isnan(p_values), np.nan, np.fmax(p_values, floors))


def _welch(a: Floats, b: Floats) -> float:
    """The p-value of Welch's t test; NaN where neither side varies."""
    if np.ptp(a) == np.ptp(b) == 0:
        return np.nan
    return float(scipy.stats.ttest_ind(a, b, equal_var=False).pvalue)


def _levels(genotypes: list[Any]) -> dict[tuple[str, str], NDArray[np.bool_]]:
    """(attribute, level) to (models,) which models have it."""
    found: dict[tuple[str, str], NDArray[np.bool_]] = {}
    for attribute in Block._fields:
        values = [getattr(genotype, attribute) for genotype in genotypes]
        for value in sorted({value for value in values if value is not None}):
            found[attribute, str(value)] = np.array([other == value for other in values])
    bits = np.array([[bit == "1" for bit in genotype.skip] for genotype in genotypes])
    for place in range(SKIPS):
        found["skip", f"{place // 5 + 1}<-{place % 5 + 1}"] = bits[:, place]
    count = bits.sum(axis=1)
    median = math.ceil(np.median(count))
    found["connections", f">= {median}"] = count >= median
    return found
