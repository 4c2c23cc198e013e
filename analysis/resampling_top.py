"""The bootstrap of what happens at the top: precision of k picks and top-weighted tau.

Resamples are multiplicities, as in `resampling`; every figure is what `selection` and
`association` give on the resample written out, where copies of a model tie.

There is none of regret: a resample often lacks the best model, which regret turns on. In
simulated benchmarks such intervals at nominal 95 % held the expected regret in 78 to 93 % only.
"""

import numpy as np
from numpy.typing import ArrayLike

from .association import Floats
from .resampling import concordance, lower_and_tied


def resampled_precision(
    score: ArrayLike, psnr: ArrayLike, k: int, weights: Floats, *, pick_lowest: bool
) -> Floats:
    """Precision@k of every resample, ties averaged over their orders.

    Args:
        score: (models,) finite values.
        psnr: (models,) finite dB.
        k: How many are picked.
        weights: (resamples, models) multiplicities.
        pick_lowest: Whether a low score means a good model.

    Returns:
        (resamples,) shares; NaN where a resample has fewer than k models.

    >>> weights = np.array([[1.0, 1.0, 1.0], [2.0, 0.0, 1.0]])
    >>> resampled_precision([1, 2, 3], [20, 30, 25], 2, weights, pick_lowest=True).tolist()
    [0.5, 0.5]
    """
    values, truth = np.asarray(score, dtype=np.float64), np.asarray(psnr, dtype=np.float64)
    picked = _picked(values if pick_lowest else -values, k, weights)
    # Copies tie with each other in both, so that each is picked and is best independently.
    shared = picked * _picked(-truth, k, weights) / np.maximum(weights, 1)
    return np.where(weights.sum(axis=1) >= k, shared.sum(axis=1) / k, np.nan)


def resampled_top_tau(x: ArrayLike, truth: ArrayLike, weights: Floats) -> Floats:
    """`association.top_weighted_tau` of every resample, models ranked anew in each.

    Args:
        x: (models,) finite values.
        truth: (models,) finite dB.
        weights: (resamples, models) multiplicities.

    Returns:
        (resamples,); NaN where a resample ties all its models.

    >>> resampled_top_tau([1, 2, 3], [1, 2, 3], np.array([[1.0, 2.0, 1.0]])).round(6).tolist()
    [1.0]
    """
    x, truth = np.asarray(x, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    higher, tied = lower_and_tied(-truth, weights)
    # The weight of a model counts once for each of its copies.
    mass = weights / (1 + higher)
    agreement = (mass * concordance(x, truth, weights)).sum(axis=1)
    total = weights.sum(axis=1, keepdims=True)
    untied_x = (mass * (total - lower_and_tied(x, weights)[1])).sum(axis=1)
    untied_truth = (mass * (total - tied)).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(agreement / np.sqrt(untied_x * untied_truth))


def _picked(values: Floats, k: int, weights: Floats) -> Floats:
    """(resamples, models) expected copies of each model among the k lowest."""
    lower, tied = lower_and_tied(values, weights)
    return np.clip(k - lower, 0, tied) * weights / np.maximum(tied, 1)
