"""Rank and linear association of two columns; a pair with a missing value is left out and counted.

A value that is NaN or infinite is missing. Nothing is computed on fewer than `MINIMUM_MODELS`
complete pairs, nor on a column that never varies.
"""

from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike, NDArray

from ..errors import QueryError

MINIMUM_MODELS = 5

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Association:
    """A coefficient in [-1, 1], its two-sided p-value, the complete pairs and the pairs left out.

    The p-value treats the models as independent; `resampling` gives one that does not.
    """

    value: float
    p_value: float | None
    n: int
    missing: int


def complete_pairs(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats, int]:
    """The pairs of which both values are finite, and how many were left out.

    Args:
        x: (models,) numbers.
        y: (models,) numbers.

    Raises:
        QueryError: Shapes differ, fewer than 5 pairs are complete, or a column is constant.

    >>> complete_pairs([1, 2, 3, 4, 5, float("nan")], [2, 1, 3, 5, 4, 6])[2]
    1
    """
    first, second = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise QueryError(
            f"columns of shapes {first.shape} and {second.shape} cannot be paired: "
            "give two one-dimensional columns of equal length"
        )
    both = np.isfinite(first) & np.isfinite(second)
    n = int(both.sum())
    if n < MINIMUM_MODELS:
        raise QueryError(
            f"no correlation on {n} models: at least {MINIMUM_MODELS} need both values, "
            f"and {first.size - n} of {first.size} lack one"
        )
    first, second = first[both], second[both]
    for values in (first, second):
        if np.all(values == values[0]):
            raise QueryError(
                f"no correlation: all {n} values of a column equal {values[0]:g}, "
                "so they put no model before another"
            )
    return first, second, int(both.size - n)


def kendall_tau(x: ArrayLike, y: ArrayLike) -> Association:
    """Kendall's tau-b (M. G. Kendall, Biometrika 1945), raw: no sign is turned.

    >>> round(kendall_tau([1, 2, 3, 4, 5], [5, 4, 3, 2, 1]).value, 6)
    -1.0
    """
    x, y, missing = complete_pairs(x, y)
    found = scipy.stats.kendalltau(x, y, variant="b")
    return Association(float(found.statistic), float(found.pvalue), x.size, missing)


def spearman_rho(x: ArrayLike, y: ArrayLike) -> Association:
    """Spearman's rank correlation, tied values at their middle rank.

    >>> round(spearman_rho([1, 2, 3, 4, 5], [1, 2, 3, 5, 4]).value, 3)
    0.9
    """
    x, y, missing = complete_pairs(x, y)
    found = scipy.stats.spearmanr(x, y)
    return Association(float(found.statistic), float(found.pvalue), x.size, missing)


def pearson_r(x: ArrayLike, y: ArrayLike) -> Association:
    """Pearson's linear correlation.

    >>> round(pearson_r([1, 2, 3, 4, 5], [2, 4, 6, 8, 10]).value, 6)
    1.0
    """
    x, y, missing = complete_pairs(x, y)
    found = scipy.stats.pearsonr(x, y)
    return Association(float(found.statistic), float(found.pvalue), x.size, missing)


def top_weighted_tau(x: ArrayLike, truth: ArrayLike) -> Association:
    """Kendall's tau weighted towards the models that are truly best.

    The pair of models ranked r and s by `truth` (0 = highest, tied models at the smaller rank)
    weighs 1 / (r + 1) + 1 / (s + 1) (S. Vigna, WWW 2015, additive hyperbolic). No p-value: the
    null distribution is not known in closed form.

    >>> top = top_weighted_tau([1, 2, 3, 5, 4], [1, 2, 3, 4, 5]).value
    >>> bottom = top_weighted_tau([2, 1, 3, 4, 5], [1, 2, 3, 4, 5]).value
    >>> top < bottom
    True
    """
    x, y, missing = complete_pairs(x, truth)
    # scipy.stats.weightedtau gives wrong values for ranks that repeat. A pair's weight is a sum
    # over its two models, so that sums over the pairs of each model are all that is needed.
    weight = 1 / scipy.stats.rankdata(-y, method="min")
    pairs = zip(x, y, strict=True)
    agreement = np.array([np.sign(a - x) @ np.sign(b - y) for a, b in pairs])
    untied = [weight @ [np.count_nonzero(values != value) for value in values] for values in (x, y)]
    value = float(weight @ agreement / np.sqrt(untied[0] * untied[1]))
    return Association(value, None, x.size, missing)


def tied_pairs(values: ArrayLike) -> int:
    """How many pairs of the finite values are equal.

    >>> tied_pairs([1, 1, 1, 2, 2, float("nan")])
    4
    """
    values = np.asarray(values, dtype=np.float64)
    _, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    return int((counts * (counts - 1) // 2).sum())
