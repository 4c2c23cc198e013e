"""Bootstrap by group: intervals and tests that know that models sharing a group are alike.

A resample is a vector of multiplicities, how often each model was drawn, so that a statistic of
all resamples is a weighted count: no resample is ever written out. Models of one group (an
upsample code) are drawn together.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import QueryError
from ..scalars import is_number
from .association import Floats

MINIMUM_GROUPS = 5
"""Of fewer groups there is no interval, and of fewer than some 20 it is too narrow: see the table
of calibration in docs/judging-scores.md."""

FEWEST_JUDGED = 8
"""Of fewer models some resamples are so alike that a p-value by them would find too much."""

UNDEFINED_SHARE = 0.05
SAME = 1e-12
"""Values that differ by less differ by rounding."""


@dataclass(frozen=True)
class Interval:
    """A percentile interval and the number of resamples on which the statistic is undefined.

    Both ends are NaN where more than 5 % of the resamples are undefined.
    """

    low: float
    high: float
    undefined: int


def group_weights(groups: ArrayLike, resamples: int, rng: np.random.Generator) -> Floats:
    """Multiplicities of the models in resamples that draw whole groups with replacement.

    Args:
        groups: (models,) labels.
        resamples: How many resamples.
        rng: The source of the draws.

    Returns:
        (resamples, models) whole numbers.

    Raises:
        QueryError: Fewer than 5 groups, on which no bootstrap interval is worth its name.

    >>> weights = group_weights([7, 7, 8, 9, 10, 11], 2, np.random.default_rng(0))
    >>> bool((weights[:, 0] == weights[:, 1]).all()), weights.shape
    (True, (2, 6))
    """
    labels, member = np.unique(np.asarray(groups), return_inverse=True)
    if labels.size < MINIMUM_GROUPS:
        raise QueryError(
            f"no bootstrap over {labels.size} groups of models: at least {MINIMUM_GROUPS} "
            "different upsample blocks are needed"
        )
    chances = np.full(labels.size, 1 / labels.size)
    counts = rng.multinomial(labels.size, chances, size=resamples)
    return counts[:, member].astype(np.float64)


def resampled_tau(
    x: ArrayLike, y: ArrayLike, weights: Floats, kinds: ArrayLike | None = None
) -> Floats:
    """Kendall's tau-b of every resample, over all pairs of models or those of one kind.

    With s_ij = sign(x_i - x_j) sign(y_i - y_j) and multiplicities w, concordant less discordant
    pairs are w' s w / 2, and the pairs untied in x are (N^2 - sum over distinct values of their
    squared multiplicity) / 2: copies of one model tie with each other, as in the written-out
    resample.

    Args:
        x: (models,) finite values.
        y: (models,) finite values.
        weights: (resamples, models) multiplicities.
        kinds: (models,) labels, where only pairs of one label are to be compared.

    Returns:
        (resamples,) tau-b; NaN where a resample ties all its pairs.

    >>> once = np.ones((1, 4))
    >>> resampled_tau([1, 2, 3, 4], [1, 3, 2, 0], once).round(3).tolist()
    [-0.333]
    >>> resampled_tau([1, 2, 3, 4], [1, 3, 2, 0], once, ["a", "a", "a", "b"]).round(3).tolist()
    [0.333]
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    within = np.zeros(x.size, np.int64) if kinds is None else _labels(kinds)
    comparable = _tied_square(within, weights, within)
    untied = [comparable - _tied_square(values, weights, within) for values in (x, y)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(_agreement(x, y, weights, within) / np.sqrt(untied[0] * untied[1]))


def resampled_tau_a(x: ArrayLike, y: ArrayLike, weights: Floats) -> Floats:
    """Kendall's tau-a of every resample: what tau is on average if ties are broken by chance.

    tau-b divides by the untied pairs, so that of two columns that order the same pairs alike the
    one with ties has the higher tau; here it has not. Copies of one model are no pair.

    Args:
        x: (models,) finite values.
        y: (models,) finite values.
        weights: (resamples, models) multiplicities.

    Returns:
        (resamples,) tau-a; NaN for a resample of one model.

    >>> resampled_tau_a([1, 1, 2, 2], [1, 2, 3, 4], np.ones((1, 4))).round(3).tolist()
    [0.667]
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    pairs = weights.sum(axis=1) ** 2 - (weights**2).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(_agreement(x, y, weights) / pairs)


def _agreement(
    x: Floats, y: Floats, weights: Floats, within: NDArray[np.int64] | None = None
) -> Floats:
    """(resamples,) concordant less discordant pairs of one label, each pair counted twice."""
    return np.asarray((concordance(x, y, weights, within) * weights).sum(axis=1))


def concordance(
    x: Floats, y: Floats, weights: Floats, within: NDArray[np.int64] | None = None
) -> NDArray[Any]:
    """(resamples, models) how many copies each model has the same order with in both columns.

    Those that it has another order with are taken off, and those of another label left out.

    >>> concordance(np.arange(3.0), np.array([0.0, 2.0, 1.0]), np.ones((1, 3))).tolist()
    [[2.0, 0.0, 0.0]]
    """
    # Whole numbers below 2**24 are exact in float32, where the product is twice as fast.
    precision = np.float32 if weights.sum(axis=1).max(initial=0) < 2**24 else np.float64
    signs: NDArray[Any] = np.sign(x[:, None] - x).astype(precision)
    signs *= np.sign(y[:, None] - y).astype(precision)
    if within is not None:
        signs *= within[:, None] == within
    return np.asarray(weights.astype(precision) @ signs)


def resampled_pearson(x: ArrayLike, y: ArrayLike, weights: Floats) -> Floats:
    """Pearson's correlation of every resample; shapes as in `resampled_tau`.

    >>> resampled_pearson([1, 2, 3], [2, 4, 6], np.array([[1.0, 2.0, 1.0]])).round(6).tolist()
    [1.0]
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    return _weighted_pearson(x[None], y[None], weights)


def resampled_spearman(x: ArrayLike, y: ArrayLike, weights: Floats) -> Floats:
    """Spearman's correlation of every resample, ranks taken anew in each.

    >>> resampled_spearman([1, 2, 9], [2, 4, 6], np.array([[1.0, 2.0, 1.0]])).round(6).tolist()
    [1.0]
    """
    return _weighted_pearson(_middle_ranks(x, weights), _middle_ranks(y, weights), weights)


def interval(resampled: ArrayLike, level: float = 0.95) -> Interval:
    """The percentile interval of a resampled statistic.

    Raises:
        QueryError: A level outside 0 to 1.

    >>> interval([0.25] * 100)
    Interval(low=0.25, high=0.25, undefined=0)
    """
    check_level(level)
    values = np.asarray(resampled, dtype=np.float64)
    defined = values[np.isfinite(values)]
    undefined = values.size - defined.size
    if defined.size == 0 or undefined > UNDEFINED_SHARE * values.size:
        return Interval(np.nan, np.nan, undefined)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), undefined)


def check_level(level: float) -> None:
    """Refuse what is no level of an interval.

    Raises:
        QueryError: It is no number between 0 and 1.

    >>> check_level(0.95)
    """
    if not is_number(level) or not 0 < level < 1:
        raise QueryError(f"a level of {level!r} is none: give one between 0 and 1, such as 0.95")


def holm(p_values: ArrayLike) -> Floats:
    """Holm's step-down adjustment (Scand. J. Statist. 1979); a missing p-value stays missing.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p_values.shape, np.nan)
    known = np.flatnonzero(np.isfinite(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    steps = p_values[order] * np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if order.size else steps
    return adjusted


def max_statistic(estimates: ArrayLike, resampled: ArrayLike) -> Floats:
    """p-values of "this score's statistic is 0", adjusted for looking at all the scores at once.

    Each statistic is divided by its bootstrap standard error; its p-value is the share of
    resamples in which the largest centred statistic of any score exceeds it (P. H. Westfall and
    S. S. Young, 1993, single step). Correlation between the scores is so taken into account. A
    resample on which a score is undefined counts against it, and one is added to each count, so
    that the value is never 0. What is not 0 and the same on every resample (`is_same`), as a
    perfect order of few models is, cannot be judged by them and has none.

    Args:
        estimates: (scores,) statistics.
        resampled: (resamples, scores), the same resamples for every score.

    Returns:
        (scores,) p-values; NaN where a score has no statistic, most resamples have none, or all
        the same.

    >>> draws = np.random.default_rng(0).normal(0, 0.1, (999, 2))
    >>> max_statistic([0.6, 0.0], draws + [0.6, 0.0]).round(3).tolist()
    [0.001, 1.0]
    """
    found = np.asarray(estimates, dtype=np.float64)
    centred = np.asarray(resampled, dtype=np.float64) - found
    adjusted = np.full(found.shape, np.nan)
    spread = np.array([_spread(column) for column in centred.T])
    same, sizes = is_same(centred), np.abs(found)
    usable = np.isfinite(found) & np.isfinite(spread) & ~(same & (sizes > SAME))
    if not usable.any():
        return adjusted
    # What is 0 on every resample is surely 0.
    scale = np.where(same, np.inf, spread)[usable]
    observed, centred = sizes[usable] / scale, centred[:, usable]
    standard = np.abs(centred) / scale
    largest = np.fmax.reduce(standard, axis=1)
    exceeding = (~(largest[:, None] < observed) | np.isnan(centred)).sum(axis=0)
    adjusted[usable] = (exceeding + 1) / (largest.size + 1)
    return adjusted


def is_same(resampled: ArrayLike) -> NDArray[np.bool_]:
    """(scores,) whether a statistic is the same, but for rounding, on all resamples that define it.

    Args:
        resampled: (resamples, scores).

    >>> is_same([[0.5, 1.0], [0.5, np.nan], [0.6, 1.0]]).tolist()
    [False, True]
    """
    columns = np.asarray(resampled, dtype=np.float64).T
    known = [column[np.isfinite(column)] for column in columns]
    return np.array([each.size > 1 and bool(np.ptp(each) < SAME) for each in known], dtype=bool)


def bootstrap_p_value(estimate: float, resampled: ArrayLike) -> float:
    """`max_statistic` of one statistic alone: never above what it has among others.

    >>> bootstrap_p_value(0.6, np.random.default_rng(0).normal(0.6, 0.1, 99))
    0.01
    """
    return float(max_statistic([estimate], np.asarray(resampled, np.float64)[:, None])[0])


def why_no_p_value(p_value: float, resampled: Floats) -> str | None:
    """Why `bootstrap_p_value` gives none of a resampled statistic, if it does not.

    >>> why_no_p_value(np.nan, np.full(99, 0.3))
    'no p-value: it is the same on every resample'
    """
    if not np.isnan(p_value) or not resampled.size:
        return None
    undefined = int((~np.isfinite(resampled)).sum())
    if undefined > UNDEFINED_SHARE * resampled.size:
        return f"no interval and no p-value: it is undefined on {undefined} resamples"
    return "no p-value: it is the same on every resample"


def max_tau(taus: ArrayLike, resampled: ArrayLike, models: ArrayLike) -> Floats:
    """`max_statistic` of correlations, by Fisher's z of them.

    Args:
        taus: (scores,) correlations.
        resampled: (resamples, scores), the same resamples for every score.
        models: How many each is of.

    >>> draws = np.random.default_rng(0).normal(0, 0.1, (999, 2))
    >>> max_tau([0.6, 0.0], np.clip(draws + [0.6, 0.0], -1, 1), 100).round(3).tolist()
    [0.002, 1.0]
    """
    return max_statistic(fisher_z(taus, models), fisher_z(resampled, models))


def fisher_z(taus: ArrayLike, models: ArrayLike) -> Floats:
    """Arctanh of correlations (R. A. Fisher, 1921), whose spread hardly depends on their size.

    A correlation's own spread shrinks towards 1, so that a test that divides by it finds too much.
    A perfect one is taken for the highest tau below it that so many models have, with one pair in
    the wrong order, and for 0.999 at most: else the resamples of few models that happen to be
    in perfect order would lie so far from all others that they alone would decide.

    Args:
        taus: Correlations, the scores along the last axis.
        models: How many each is of, 5 or more.

    >>> fisher_z([0.0, 0.5, 1.0], 100).round(2).tolist()
    [0.0, 0.55, 3.8]
    >>> fisher_z([0.0, 0.5, 1.0], 8).round(2).tolist()
    [0.0, 0.55, 1.65]
    """
    n = np.maximum(np.asarray(models, dtype=np.float64), 5)
    highest = np.minimum(1 - 4 / (n * (n - 1)), 0.999)
    return np.asarray(np.arctanh(np.clip(np.asarray(taus, dtype=np.float64), -highest, highest)))


def _spread(column: Floats) -> float:
    """The standard deviation of what is defined; NaN where too little is."""
    defined = column[np.isfinite(column)]
    if defined.size < (1 - UNDEFINED_SHARE) * column.size or defined.size < 2:
        return np.nan
    return float(defined.std(ddof=1))


def _labels(values: ArrayLike) -> NDArray[np.int64]:
    """(models,) whole numbers from 0 on, the same for the same value."""
    return np.unique(np.asarray(values), return_inverse=True)[1]


def _tied_square(values: ArrayLike, weights: Floats, kinds: NDArray[np.int64]) -> Floats:
    """(resamples,) sums over the distinct values of a kind of their squared multiplicity."""
    labels = _labels(values)
    held = _multiplicities(_labels(labels + kinds * (labels.max(initial=0) + 1)), weights)
    return np.asarray(np.einsum("rl,rl->r", held, held))


def lower_and_tied(values: ArrayLike, weights: Floats) -> tuple[Floats, Floats]:
    """(resamples, models) how many copies are lower than each model, and how many equal it.

    >>> lower_and_tied([3.0, 1.0, 3.0], np.array([[1.0, 2.0, 1.0]]))
    (array([[2., 0., 2.]]), array([[2., 2., 2.]]))
    """
    level = _labels(values)
    here = _multiplicities(level, weights)
    return (np.cumsum(here, axis=1) - here)[:, level], here[:, level]


def _multiplicities(labels: NDArray[np.int64], weights: Floats) -> Floats:
    """(resamples, labels) how often models of each label, from 0 on, were drawn."""
    count = int(labels.max(initial=-1)) + 1
    if count == labels.size:
        return weights[:, np.argsort(labels)]
    return np.asarray(weights @ (labels[:, None] == np.arange(count)).astype(np.float64))


def _middle_ranks(values: ArrayLike, weights: Floats) -> Floats:
    """(resamples, models) ranks of each model in each resample, ties at their middle."""
    lower, tied = lower_and_tied(values, weights)
    return lower + (tied + 1) / 2


def _weighted_pearson(x: Floats, y: Floats, weights: Floats) -> Floats:
    total = weights.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        x = x - (weights * x).sum(axis=1, keepdims=True) / total
        y = y - (weights * y).sum(axis=1, keepdims=True) / total
        scale = np.sqrt((weights * x**2).sum(axis=1) * (weights * y**2).sum(axis=1))
        return np.asarray((weights * x * y).sum(axis=1) / scale)
