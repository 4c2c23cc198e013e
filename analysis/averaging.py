"""Scores judged over several images: the mean of per-image figures, never pooled PSNRs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..errors import QueryError
from ..seeds import generator
from . import association, resampling
from .association import Floats
from .baselines import judged_cells, why_unknown
from .cells import FEW_CODES, Cell, has_enough_codes, score_names, shared_weights, weights_of
from .directions import direction, turned
from .units import describe

MINIMUM_IMAGES = 6


def correlate_over_images(
    bench: Any,
    task: object | None = None,
    scores: Sequence[str] | None = None,
    by: str | int = "best_psnr_smooth",
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Every score's tau averaged over the images of a task.

    One resample of the upsample codes serves all images, since they share their models. From six
    images on the images are resampled too, so that the interval speaks of images not seen;
    with fewer it speaks of these images alone (`images_resampled` says which).

    Args:
        bench: A benchmark.
        task: One task; all where None.
        scores: Names; all that the benchmark holds and `mean_rank_elsewhere` where None.
        by: The summary of a run, or an iteration of the smoothed curve.
        resamples: Bootstrap resamples.
        level: Of the intervals.
        seed: Of the resampling.

    Returns:
        One row per (task, score), `p_max` adjusted for all the scores of the task; an image on
        which the score has no tau is left out of the mean and counted in `images_missing`. Where
        a number is missing, `reason` says why.

    Raises:
        QueryError: An unknown name, or no task with a score on at least two images.
    """
    by_task: dict[str, list[Cell]] = {}
    every = judged_cells(bench, None, task, scores, by)
    asked = score_names(every, scores)
    for cell in every:
        by_task.setdefault(cell.task, []).append(cell)
    frames = []
    for text, cells in by_task.items():
        weights = shared_weights(cells, resamples, seed)
        names = [name for name in asked if any(name in cell.scores for cell in cells)]
        judged = [_average(cells, weights, name, level, seed) for name in names]
        rows = [
            {"task": text, "score": name} | row
            for name, (row, _) in zip(names, judged, strict=True)
        ]
        if not rows:
            continue
        frame = pd.DataFrame(rows)
        drawn = np.stack([column for _, column in judged], axis=1)
        frame["p_max"] = resampling.max_tau(frame["tau"], drawn, frame["n_smallest"])
        few = (frame["n_smallest"] < resampling.FEWEST_JUDGED) & ~frame["images_resampled"]
        told = few & frame["p_max"].notna()
        frame.loc[told, "p_max"] = np.nan
        frame.loc[told, "reason"] = f"no p_max: fewer than {resampling.FEWEST_JUDGED} models"
        frames.append(frame)
    if not frames or all(frame["tau"].isna().all() for frame in frames):
        raise QueryError(
            "nothing to average: no score is known on two images of a task with 5 models each"
        )
    return describe(pd.concat(frames, ignore_index=True), by=by, level=level, resamples=resamples)


def average_tau(taus: Floats, resampled: Floats, rng: np.random.Generator) -> Floats:
    """The mean tau over images on every resample, images drawn too from six on.

    Args:
        taus: (images,) the taus themselves, whose number decides.
        resampled: (resamples, images) taus on the same resamples of the models.
        rng: The source of the draws of images.

    Returns:
        (resamples,) means.

    >>> average_tau(np.zeros(2), np.array([[0.1, 0.3]]), np.random.default_rng(0)).tolist()
    [0.2]
    """
    if taus.size < MINIMUM_IMAGES:
        return np.asarray(resampled.mean(axis=1))
    even = np.full(taus.size, 1 / taus.size)
    counts = rng.multinomial(taus.size, even, size=resampled.shape[0])
    # An image that is not drawn does not count, be its tau undefined.
    return np.asarray(np.where(counts > 0, counts * resampled, 0).sum(axis=1) / taus.size)


def _average(
    cells: list[Cell], weights: list[Floats], name: str, level: float, seed: int
) -> tuple[dict[str, object], Floats]:
    taus, drawn, sizes, few, lacking = [], [], [], [], []
    for cell, multiplicities in zip(cells, weights, strict=True):
        if name not in cell.scores:
            continue
        values, truth = cell.score(name), cell.truth
        known = np.isfinite(values) & np.isfinite(truth)
        try:
            taus.append(association.kendall_tau(values, truth).value)
        except QueryError as error:
            lacking.append(f"{cell.image}: {why_unknown(cell, name) or error}")
            continue
        counts = weights_of(cell, multiplicities, known)
        drawn.append(resampling.resampled_tau(values[known], truth[known], counts))
        sizes.append(int(known.sum()))
        if not has_enough_codes(cell, known):
            few.append(cell.image)
    row: dict[str, object] = {
        "direction": direction(name),
        "images": len(taus),
        "images_missing": len(cells) - len(taus),
        "images_resampled": len(taus) >= MINIMUM_IMAGES,
        "n_smallest": min(sizes, default=0),
        "n_largest": max(sizes, default=0),
    }
    if len(taus) < 2:
        row |= dict.fromkeys(("tau", "tau_low", "tau_high", "p_bootstrap"), np.nan)
        told = f"no average: it has a tau on {len(taus)} image" + "s" * (not taus)
        row["reason"] = "; ".join([told, *lacking[:1]])
        return row | turned(name, row, "tau"), np.full(weights[0].shape[0], np.nan)
    means = average_tau(
        np.array(taus), np.stack(drawn, axis=1), generator("bootstrap-images", seed)
    )
    ends = resampling.interval(means, level)
    tau = float(np.mean(taus))
    p_value = float(resampling.max_tau([tau], means[:, None], min(sizes))[0])
    row |= {
        "tau": tau,
        "tau_low": ends.low,
        "tau_high": ends.high,
        "p_bootstrap": p_value,
        "reason": f"{FEW_CODES} on {', '.join(few)}"
        if few
        else resampling.why_no_p_value(p_value, means),
    }
    return row | turned(name, row, "tau"), means
