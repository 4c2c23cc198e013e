"""What is image-specific: the order of the models, and a score, is it better on its own image."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations, permutations, product
from typing import Any

import numpy as np
import pandas as pd

from ..errors import QueryError
from ..evaluate.registry import canonical
from ..seeds import generator
from .association import MINIMUM_MODELS, Floats, kendall_tau
from .baselines import ELSEWHERE
from .cells import Cell, score_names, weights_over
from .directions import declared_sign
from .resampling import Interval, interval, resampled_tau
from .transfer import aligned, seeded_cells, task_cells, union
from .units import describe

EXACT_IMAGES = 7
PERMUTATIONS = 5000
OF_EACH = 300
"""Resamples where all scores are judged: each takes a tau for every score and pair of images."""

Across = Callable[[Sequence[Floats], Sequence[Floats]], Iterable[tuple[Floats, ...]]]


def truth_specificity(
    bench: Any,
    task: object,
    by: str | int = "best_psnr_smooth",
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Is the best model image-specific: do two seeds of one image agree better than two images?

    Both are taus between the orders of two single seeds, so that the noise of a seed is in both: a
    mean over seeds would agree better with anything. Two images are held against how well each
    agrees with itself, so that only images with two seeds count. All seeds of an image share its
    observation: what is specific is the image together with its noise or mask.

    Args:
        bench: A benchmark.
        task: A task, its text form or bare kind.
        by: The summary of a run, or an iteration of the smoothed curve.
        resamples: Bootstrap resamples by upsample code.
        level: Of the interval.
        seed: Of the resampling.

    Returns:
        One row: `other_tau` between seeds of two images, mean over the pairs of images; `own_tau`,
        what it would be if both images had one order, from the taus between two seeds of each
        (see `seeds_against_others`); `advantage`, the second less the first, with its interval.

    Raises:
        QueryError: Fewer than two images with two seeds, or fewer than 5 complete models.
    """
    cells = seeded_cells(bench, task, by)
    models = union(cells)
    truth = [aligned(cell, cell.psnr, models) for cell in cells]
    known = np.asarray(np.isfinite(np.concatenate(truth, axis=1)).all(axis=1))
    if known.sum() < MINIMUM_MODELS:
        raise QueryError(
            f"{known.sum()} models have every seed on all of {len(cells)} images of {task}: at "
            f"least {MINIMUM_MODELS} are needed; train the missing runs"
        )
    runs = [list(table[known].T) for table in truth]
    weights, reason = weights_over(cells, models, known, resamples, seed)
    own, other, drawn = seeds_against_others(runs, weights)
    ends = interval(drawn, level)
    row = {
        "task": cells[0].task,
        "own_tau": own,
        "other_tau": other,
        "advantage": own - other,
        "low": ends.low,
        "high": ends.high,
        "images": len(cells),
        "n": int(known.sum()),
        "missing": int((~known).sum()),
        "reason": reason,
    }
    lacking = {"missing": "models that lack a usable run of one of the images' seeds"}
    return describe(pd.DataFrame([row]), lacking, by=by, level=level, resamples=resamples)


@dataclass(frozen=True, eq=False)
class ScoreTransfer:
    """Directed tau between a score on image i (row) and PSNR on image j (column).

    `advantage` is the mean of the diagonal less the mean of the rest: what the score gains by
    having seen the image itself. `p_value` is one-sided, over assignments of score images to
    truth images; the smallest it can be is one over their number. `reason` says why there is no
    interval.
    """

    score: str
    task: str
    images: tuple[str, ...]
    taus: Floats
    advantage: float
    interval: Interval
    p_value: float
    n: int
    missing: int
    reason: str | None


def score_transfer(
    bench: Any,
    task: object,
    score: str,
    by: str | int = "best_psnr_smooth",
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> ScoreTransfer:
    """Is a score image-specific? Tau of each image's score against each image's PSNR.

    All entries are over the images that have the score and the models complete on each of them,
    and over the same resamples. An image is one observation of it, as in `truth_specificity`.

    Args:
        bench: A benchmark.
        task: A task, its text form or bare kind.
        score: A score with a declared direction, known on at least two images.
        by: The summary of a run, or an iteration of the smoothed curve.
        resamples: Bootstrap resamples by upsample code.
        level: Of the interval of the advantage.
        seed: Of resampling and permutation.

    Raises:
        QueryError: An unknown name, no declared direction, or fewer than 5 complete models.
    """
    return _transfer(task_cells(bench, task, by, scored=True), score, resamples, level, seed)


def all_score_transfers(
    bench: Any,
    task: object,
    by: str | int = "best_psnr_smooth",
    *,
    resamples: int = OF_EACH,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, ScoreTransfer | str]:
    """`score_transfer` of every score of a task, or why a score has none.

    Raises:
        QueryError: An unknown name, fewer than two images, or no score of the task.
    """
    cells = task_cells(bench, task, by, scored=True)
    names = score_names(cells, None)
    if not names:
        raise QueryError(f"no score of {cells[0].task} is there: score it first")
    found: dict[str, ScoreTransfer | str] = {}
    for name in names:
        try:
            found[name] = _transfer(cells, name, resamples, level, seed)
        except QueryError as error:
            found[name] = str(error)
    return found


def _transfer(
    cells: list[Cell], score: str, resamples: int, level: float, seed: int
) -> ScoreTransfer:
    if canonical(score) == ELSEWHERE:
        raise QueryError(f"{ELSEWHERE} is made of other images: no image has one of its own")
    name = score_names(cells, [score])[0]
    sign = declared_sign(name)
    task = cells[0].task
    cells = [cell for cell in cells if name in cell.scores and not cell.reason]
    if len(cells) < 2:
        raise QueryError(
            f"{name} of {task} is known on one image that was trained, or none: score another"
        )
    models = union(cells)
    scores = np.stack([aligned(cell, cell.score(name), models) for cell in cells])
    truth = np.stack([aligned(cell, cell.truth, models) for cell in cells])
    known = np.asarray(np.isfinite(scores).all(axis=0) & np.isfinite(truth).all(axis=0))
    size = len(cells)
    seen = np.where(known, scores, np.nan)  # whose refusals count the models that are left out
    taus = np.array([[sign * kendall_tau(x, y).value for y in truth] for x in seen])
    weights, reason = weights_over(cells, models, known, resamples, seed)
    drawn = np.array(
        [[sign * resampled_tau(x[known], y[known], weights) for y in truth] for x in scores]
    )
    ends = interval(diagonal_advantage(np.moveaxis(drawn, 2, 0)), level)
    return ScoreTransfer(
        score=name,
        task=task,
        images=tuple(cell.image for cell in cells),
        taus=taus,
        advantage=float(diagonal_advantage(taus)),
        interval=ends,
        p_value=assignment_p_value(taus, generator("transfer", seed, size)),
        n=int(known.sum()),
        missing=int((~known).sum()),
        reason=reason,
    )


def diagonal_advantage(taus: Floats) -> Floats:
    """Mean of the diagonal less the mean of the rest, of the last two axes.

    >>> float(diagonal_advantage(np.array([[0.5, 0.1], [0.3, 0.4]])).round(3))
    0.25
    """
    size = taus.shape[-1]
    diagonal = np.trace(taus, axis1=-2, axis2=-1)
    rest = taus.sum(axis=(-2, -1)) - diagonal
    return np.asarray(diagonal / size - rest / (size * (size - 1)))


def assignment_p_value(taus: Floats, rng: np.random.Generator) -> float:
    """How often pairing score images with truth images at random does as well as the diagonal.

    All assignments up to seven images, a random 5000 beyond, the true one always among them.

    >>> assignment_p_value(np.array([[0.5, 0.1], [0.3, 0.4]]), np.random.default_rng(0))
    0.5
    """
    size = taus.shape[0]
    if size <= EXACT_IMAGES:
        orders = np.array(list(permutations(range(size))))
    else:
        orders = rng.permuted(np.tile(np.arange(size), (PERMUTATIONS, 1)), axis=1)
        orders[0] = np.arange(size)
    # The rounding of a sum must not decide between equal sums.
    observed = float(np.trace(taus)) - 1e-12
    return float((taus[np.arange(size), orders].sum(axis=1) >= observed).mean())


def seeds_against_others(
    tables: Sequence[Sequence[Floats]], weights: Floats, across: Across = product
) -> tuple[float, float, Floats]:
    """Over pairs of tables, tau between their seeds: what it would be with one order, and is.

    Two noisy tables of one order correlate by the geometric mean of their reliabilities. That holds
    for Pearson's r of normal variables, which is sin(pi tau / 2) (W. H. Kruskal, JASA 1958): taus
    are turned into it and back, and those below 0 count as 0.

    Args:
        tables: the PSNRs (models,) of each seed, two at least, of each image or benchmark.
        weights: (resamples, models) multiplicities.
        across: which seeds of two tables are compared; all with all by default.

    Returns:
        Both, and the first less the second of every resample.
    """
    once = np.ones((1, weights.shape[1]))
    [could], [does] = _own_and_other(partial(resampled_tau, weights=once), tables, across)
    own, other = _own_and_other(partial(resampled_tau, weights=weights), tables, across)
    return float(could), float(does), own - other


def _own_and_other(
    tau: Callable[[Floats, Floats], Floats], images: Sequence[Sequence[Floats]], across: Across
) -> tuple[Floats, Floats]:
    """Over pairs of images, what their agreement could be and is; one each, or one a resample.

    Args:
        tau: of two orders.
        images: the PSNRs (models,) of each seed of each image.
        across: which seeds of two images are compared.
    """
    own = [_mean(tau, combinations(seeds, 2)) for seeds in images]
    r = [np.sin(np.pi / 2 * np.maximum(taus, 0)) for taus in own]
    could = [2 / np.pi * np.arcsin(np.sqrt(a * b)) for a, b in combinations(r, 2)]
    does = [_mean(tau, across(*pair)) for pair in combinations(images, 2)]
    return np.mean(could, axis=0), np.mean(does, axis=0)


def _mean(tau: Callable[[Floats, Floats], Floats], pairs: Iterable[tuple[Floats, ...]]) -> Floats:
    return np.asarray(np.mean([tau(*pair) for pair in pairs], axis=0))
