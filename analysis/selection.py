"""What a user gains who trains only the k models that a score likes best.

Expectations are exact: ties in the score are broken by a uniformly random order, and so are ties
in what is chosen by; random choice is the same formula with every model tied. `pick_lowest` says
which end of the score is the good one.
"""

from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import ArrayLike

from ..errors import QueryError
from .association import Floats


@dataclass(frozen=True)
class Selection:
    """The outcome of training the k picks of a score and keeping the best; PSNRs in dB.

    `precision` is the share of the picks that are among the truly best k. A regret is what is
    lost against `oracle`, the best of all models; `random_*` is the expectation over k models
    drawn without replacement.
    """

    k: int
    n: int
    precision: float
    random_precision: float
    best_psnr: float
    random_best_psnr: float
    oracle: float

    @property
    def regret(self) -> float:
        """The dB lost against the oracle by the score's picks."""
        return self.oracle - self.best_psnr

    @property
    def random_regret(self) -> float:
        """The dB lost against the oracle by k random picks, in expectation."""
        return self.oracle - self.random_best_psnr


def select(score: ArrayLike, psnr: ArrayLike, k: int, *, pick_lowest: bool) -> Selection:
    """Judge the k picks of a score; models that lack a value must have been left out.

    Args:
        score: (models,) finite values.
        psnr: (models,) finite dB.
        k: How many models are trained, 1 to the number of models.
        pick_lowest: Whether a low score means a good model.

    >>> picked = select([1, 2, 3, 4], [20.0, 30.0, 25.0, 10.0], 2, pick_lowest=True)
    >>> picked.best_psnr, picked.regret, picked.precision, round(picked.random_best_psnr, 3)
    (30.0, 0.0, 0.5, 26.667)
    """
    score, psnr = _checked(k, score, psnr)
    chance = pick_chances(score if pick_lowest else -score, k)
    return Selection(
        k=k,
        n=score.size,
        precision=float(chance @ pick_chances(-psnr, k)) / k,
        random_precision=k / score.size,
        best_psnr=best_of_picks(chance, psnr),
        random_best_psnr=best_of_random(psnr, k),
        oracle=float(psnr.max()),
    )


def cross_fitted(score: ArrayLike, psnr: ArrayLike, k: int, *, pick_lowest: bool) -> Selection:
    """As `select`, but each choice by PSNR is made on one seed and paid on the others.

    The best of many noisy PSNRs is an optimistic figure for the oracle and for the picks alike;
    here the best is chosen on each seed in turn, its mean PSNR over the other seeds is what it is
    worth, and the turns are averaged. A regret may so be negative: the oracle is not clairvoyant.

    Args:
        score: (models,) finite values.
        psnr: (models, seeds) finite dB, at least two seeds.
        k: How many models are trained.
        pick_lowest: Whether a low score means a good model.

    Raises:
        QueryError: Fewer than two seeds, or an unusable k.

    >>> cross_fitted([1, 2, 3], [[3.0, 1.0], [2.0, 2.0], [1.0, 0.0]], 1, pick_lowest=True).regret
    -0.5
    """
    psnr = np.asarray(psnr, dtype=np.float64)
    if psnr.ndim != 2 or psnr.shape[1] < 2:
        raise QueryError("a cross-fitted regret needs PSNRs of at least 2 seeds: train another")
    turns = []
    for seed in range(psnr.shape[1]):
        choose, pay = psnr[:, seed], np.delete(psnr, seed, axis=1).mean(axis=1)
        values, choose, pay = _checked(k, score, choose, pay)
        chance = pick_chances(values if pick_lowest else -values, k)
        turns.append(
            (
                float(chance @ pick_chances(-pay, k)) / k,
                best_of_picks(chance, choose, pay),
                best_of_random(choose, k, pay),
                best_of_random(choose, choose.size, pay),
            )
        )
    precision, best, random_best, oracle = (float(mean) for mean in np.mean(turns, axis=0))
    n = psnr.shape[0]
    return Selection(k, n, precision, k / n, best, random_best, oracle)


def pick_chances(values: Floats, k: int) -> Floats:
    """The chance of each model to be among the k lowest, ties broken by a random order.

    >>> pick_chances(np.array([1.0, 2.0, 2.0, 3.0]), 2).tolist()
    [1.0, 0.5, 0.5, 0.0]
    """
    border = np.partition(values, k - 1)[k - 1]
    below, tied = values < border, values == border
    return np.asarray(below + tied * ((k - below.sum()) / tied.sum()))


def best_of_random(choose: Floats, k: int, pay: Floats | None = None) -> float:
    """The expected `pay` (dB) of the highest by `choose` among k models drawn at random.

    >>> round(best_of_random(np.array([1.0, 2.0, 4.0]), 2), 6)
    3.333333
    """
    return best_of_picks(np.full(choose.size, k / choose.size), choose, pay)


def best_of_picks(chance: Floats, choose: Floats, pay: Floats | None = None) -> float:
    """The expected `pay` of the highest by `choose` among the picks.

    Some models are picked for sure (A) and r of the g models of one tie group (T), every r-subset
    alike. The highest value v among the picks is reached with x members of T, where b of T tie at
    v and l lie below it, with probability C(b, x) C(l, r - x) / C(g, r); within that tie each pick
    is as likely to be kept.

    Args:
        chance: (models,) from `pick_chances`.
        choose: (models,) dB, by which the best pick is chosen.
        pay: (models,) dB, what a choice is worth; `choose` itself unless given.
    """
    pay = choose if pay is None else pay
    sure, drawn = chance == 1, (chance > 0) & (chance < 1)
    group, draws = int(drawn.sum()), round(float(chance[drawn].sum()))
    floor = choose[sure].max() if sure.any() else -np.inf
    values, place = np.unique(choose, return_inverse=True)
    kept, tied = (np.bincount(place, those).astype(int) for those in (sure, drawn))
    kept_sum, tied_sum = (np.bincount(place, those * pay) for those in (sure, drawn))
    lower = np.cumsum(tied) - tied
    expected = 0.0
    for level in np.flatnonzero((values >= floor) & (kept + tied > 0)).tolist():
        fixed, here, below = int(kept[level]), int(tied[level]), int(lower[level])
        for x in range(0 if fixed else 1, min(here, draws) + 1):
            ways = comb(here, x) * comb(below, draws - x)
            worth = kept_sum[level] + (x * tied_sum[level] / here if x else 0.0)
            expected += ways / comb(group, draws) * worth / (fixed + x)
    return float(expected)


def _checked(k: int, *columns: ArrayLike) -> list[Floats]:
    arrays = [np.asarray(column, dtype=np.float64) for column in columns]
    if any(array.shape != arrays[0].shape for array in arrays) or arrays[0].ndim != 1:
        raise QueryError("score and PSNR must be one-dimensional columns of equal length")
    if not all(np.isfinite(array).all() for array in arrays):
        raise QueryError("a selection takes finite values only: leave incomplete models out first")
    if not 1 <= k <= arrays[0].size:
        raise QueryError(f"k = {k} picks from {arrays[0].size} models: k must be 1 to that number")
    return arrays
