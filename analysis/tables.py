"""The tables of a benchmark by name, each a tidy frame over all images of one task or of all."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage

from ..benchmark.schema import USABLE, peak_censored
from ..errors import QueryError
from . import association
from .attributes import OWN_UNITS, attribute_effects
from .averaging import correlate_over_images
from .cells import FEW_CODES, check_open, read_cell, read_cells, runs_of
from .correlation import correlate, picks_of
from .directions import sees_the_image
from .picking import PICKS
from .reliability import score_reliability, seed_reliability
from .specificity import all_score_transfers, score_transfer, truth_specificity
from .transfer import truth_transfer, variance_over_images, variance_shares
from .units import describe
from .worth import check_summary, query_arguments

Table = Callable[..., pd.DataFrame]

PICK_COLUMNS = (
    *("image", "task", "score", "direction", "n", "missing", "k"),
    *("precision", "precision_low", "precision_high", "random_precision"),
    *("best_psnr", "random_best_psnr", "oracle_psnr"),
    *("regret", "random_regret", "regret_crossfit", "random_regret_crossfit", "reason"),
)

ITERATION_COLUMNS = (
    *("image", "task", "runs", "missing"),
    *("earliest", "quartile_1", "median", "quartile_3", "latest", "share_at_end", "reason"),
)

UNSEEN = "does not look at the image"


def tau_per_image(
    bench: Any, task: object | None = None, by: str | int = "best_psnr_smooth"
) -> pd.DataFrame:
    """Raw Kendall's tau-b of every score on every image: a row a (task, score), a column an image.

    Column `mean` is the mean over the images on which the score has a tau.

    Raises:
        QueryError: an image has the name of another column.
    """
    for name in ("task", "score", "direction", "mean"):
        if name in bench.images:
            raise QueryError(
                f"an image is called {name}, as a column of this table is: `correlate` has the "
                "same taus, a row an image and score"
            )
    long = correlate(bench, None, task, None, by, resamples=0)
    wide = long.pivot(index=["task", "score", "direction"], columns="image", values="tau")
    images = [str(name) for name in bench.images if str(name) in wide]
    order = pd.MultiIndex.from_frame(long[["task", "score", "direction"]]).drop_duplicates()
    wide = wide.reindex(order)[images]
    wide["mean"] = wide.mean(axis=1)
    frame = wide.rename_axis(columns=None).reset_index()
    return describe(frame, by=by, values=f"Kendall's tau-b, {long.attrs['units']['tau']}")


def picks(
    bench: Any,
    task: object | None = None,
    by: str | int = "best_psnr_smooth",
    *,
    resamples: int = 300,
) -> pd.DataFrame:
    """What the 5 and the 15 picks of every score are worth, against random picks and the oracle."""
    frame = picks_of(bench, task, by, PICKS, resamples)
    found = frame.reindex(columns=list(PICK_COLUMNS))
    return describe(found, by=by, directions=frame.attrs["directions"])


def score_correlations(bench: Any, image: str, task: object) -> pd.DataFrame:
    """Kendall's tau-b between every two scores over the models of one (image, task).

    Returns:
        A square frame, scores on both axes, those that rank alike (in either direction) next to
        each other; NaN where two scores share fewer than 5 models or one is constant.
        `.attrs["n"]` is the square table of how many models each is over.
    """
    cell = read_cell(bench, image, task, judged=False)
    names = list(cell.scores)
    values = [cell.score(name) for name in names]
    taus = np.full((len(names), len(names)), np.nan)
    counts = np.zeros(taus.shape, dtype=np.int64)
    for i, first in enumerate(values):
        for j, second in enumerate(values[: i + 1]):
            counts[i, j] = counts[j, i] = np.isfinite(first + second).sum()
            try:
                taus[i, j] = taus[j, i] = association.kendall_tau(first, second).value
            except QueryError:
                continue
    order = _alike_together(taus)
    shown = [names[place] for place in order]
    square = np.ix_(order, order)
    frame = pd.DataFrame(taus[square], index=shown, columns=shown)
    return describe(frame, image=cell.image, task=cell.task, n=counts[square].tolist())


def _alike_together(taus: NDArray[np.float64]) -> NDArray[np.int64]:
    """An order of the scores by average linkage, 1 - |tau| being their distance."""
    if len(taus) < 3:
        return np.arange(len(taus))
    distances = 1 - np.abs(np.nan_to_num(taus))[np.triu_indices(len(taus), 1)]
    return np.asarray(leaves_list(linkage(distances, "average", optimal_ordering=True)), np.int64)


def best_iterations(
    bench: Any, task: object | None = None, by: str | int = "best_psnr_smooth"
) -> pd.DataFrame:
    """When usable runs are at their best: quantiles of the best iteration over those of an image.

    `share_at_end` is the share of runs whose best iteration lies in their last 5 %
    (`peak_censored`): longer training may have raised their PSNR. `reason` says why an image has
    no quantiles.

    Raises:
        QueryError: `by` is no best PSNR, or no run is usable.
    """
    check_open(bench)
    check_summary(by)
    runs = bench.to_frame()
    if f"{by}_iteration" not in runs or not str(by).startswith("best"):
        raise QueryError(f"by {by!r} has no best iteration: take best_psnr_smooth or best_psnr")
    rows = []
    runs = runs[runs["status"].isin(USABLE)]
    for cell in read_cells(bench, None, task, by, scored=False):
        mine = runs_of(runs, cell)
        at = mine[f"{by}_iteration"].astype("Float64").to_numpy(np.float64, na_value=np.nan)
        length = mine["length"].astype("Float64").to_numpy(np.float64, na_value=np.nan)
        known = np.isfinite(at)
        row: dict[str, object] = {"image": cell.image, "task": cell.task}
        row |= {"runs": int(known.sum()), "missing": int((~known).sum())}
        if not known.any():
            rows.append(row | {"reason": cell.reason or "no usable run"})
            continue
        low, first, middle, third, high = np.quantile(at[known], [0, 0.25, 0.5, 0.75, 1])
        rows.append(
            row
            | {
                "earliest": low,
                "quartile_1": first,
                "median": middle,
                "quartile_3": third,
                "latest": high,
                "share_at_end": float(np.mean(list(map(peak_censored, at[known], length[known])))),
            }
        )
    if not any(row["runs"] for row in rows):
        why = rows[0]["reason"] if rows else "nothing was trained"
        raise QueryError(f"no best iterations of {task or 'any task'}: {why}")
    frame = pd.DataFrame(rows, columns=list(ITERATION_COLUMNS))
    lacking = {"missing": "usable runs without a best iteration"}
    return describe(frame, lacking, by=by, iterations="counted from 0")


def attributes_per_image(
    bench: Any, task: object | None = None, by: str | int = "best_psnr_smooth"
) -> pd.DataFrame:
    """Effects of the genotypes' attributes on every image, see `attribute_effects`.

    An image without effects is one row, whose `reason` says why.

    Raises:
        QueryError: No image has any.
    """
    frames = []
    refused: dict[tuple[str, str], QueryError] = {}
    for cell in read_cells(bench, None, task, by, scored=False):
        try:
            effects = attribute_effects(bench, cell.image, cell.task, by)
        except QueryError as error:
            refused[cell.image, cell.task] = error
            continue
        if effects.empty:
            least = association.MINIMUM_MODELS
            refused[cell.image, cell.task] = QueryError(
                f"no attribute has {least} models with and {least} without it: train more models"
            )
            continue
        effects.insert(0, "image", cell.image)
        effects.insert(1, "task", cell.task)
        frames.append(effects)
    if not frames:
        raise next(iter(refused.values()), QueryError("no effects: nothing was trained"))
    for frame in frames:
        # Frames whose attrs differ lose them when they are put together.
        frame.attrs = {}
    rows = [
        {"image": image, "task": text, "reason": str(error)}
        for (image, text), error in refused.items()
    ]
    if rows:
        frames.append(pd.DataFrame(rows))
    return describe(pd.concat(frames, ignore_index=True), OWN_UNITS, by=by)


def best_models(bench: Any, by: str | int = "best_psnr_smooth") -> pd.DataFrame:
    """The best model of every image and task, a row each, see `bench.best`.

    `reason` says why a pair has none.

    Raises:
        QueryError: An unknown summary.

    >>> import dipbench
    >>> best_models(dipbench.load("pilot")).set_index("image")["psnr"].round(2).to_dict()
    {'astronaut': 24.42, 'camera': 27.09}
    """
    check_open(bench)
    check_summary(by)
    rows: list[dict[str, object]] = []
    for image, task in bench.pairs:
        try:
            rows.append(vars(bench.best(image, task, **query_arguments(by))))
        except QueryError as error:
            rows.append({"image": image, "task": task, "reason": str(error)})
    columns = ["image", "task", "model", "psnr", "psnr_std", "n", "iteration", "reason"]
    frame = pd.DataFrame(rows, columns=columns)
    return describe(frame, {"n": "seeds", "psnr": "dB", "psnr_std": "dB"}, by=by)


def truth_over_images(bench: Any, task: object, by: str | int = "best_psnr_smooth") -> pd.DataFrame:
    """Kendall's tau-b between the true rankings of every two images, a square frame."""
    images, taus, counts = truth_transfer(bench, task, by)
    frame = pd.DataFrame(taus, index=list(images), columns=list(images))
    return describe(frame, by=by, n=counts.tolist())


def scores_over_images(
    bench: Any, task: object, by: str | int = "best_psnr_smooth"
) -> pd.DataFrame:
    """Is a score image-specific: its tau on its own image less that on others, a row a score.

    A score that cannot be judged (constant, or missing on an image) is kept with the reason; of one
    that does not look at the image, the advantage is that of its random draws, and the reason says
    so.
    """
    rows: list[dict[str, object]] = []
    found = all_score_transfers(bench, task, by)
    for name, transfer in found.items():
        if isinstance(transfer, str):
            rows.append({"score": name, "reason": transfer})
            continue
        own = float(np.trace(transfer.taus)) / len(transfer.images)
        rows.append(
            {
                "score": name,
                "own_tau_directed": own,
                "other_tau_directed": own - transfer.advantage,
                "advantage": transfer.advantage,
                "low": transfer.interval.low,
                "high": transfer.interval.high,
                "p_assignment": transfer.p_value,
                "images": len(transfer.images),
                "n": transfer.n,
                "missing": transfer.missing,
                "reason": transfer.reason or (None if sees_the_image(name) else UNSEEN),
            }
        )
    columns = ["score", "own_tau_directed", "other_tau_directed", "advantage", "low", "high"]
    columns += ["p_assignment", "images", "n", "missing", "reason"]
    return describe(pd.DataFrame(rows, columns=columns), by=by, task=str(task))


def score_over_images(
    bench: Any, task: object, score: str, by: str | int = "best_psnr_smooth"
) -> pd.DataFrame:
    """Directed tau of one score made on an image (row) against PSNR on an image (column)."""
    found = score_transfer(bench, task, score, by, resamples=0)
    images = list(found.images)
    frame = pd.DataFrame(found.taus, index=images, columns=images)
    return describe(frame, by=by, score=found.score, n=found.n)


def variance(bench: Any, task: object, by: str | int = "best_psnr_smooth") -> pd.DataFrame:
    """Whose variance PSNR is: of models, of models on one image, of seeds; in dB^2 and shares.

    Raises:
        QueryError: As `variance_over_images`; also where PSNR does not vary.
    """
    parts = variance_over_images(bench, task, by)
    values = [parts.model, parts.model_image, parts.seed]
    if not any(values):
        raise QueryError(f"the PSNRs of {task} do not vary: nothing has a share of that")
    ends = variance_shares(bench, task, by)
    frame = pd.DataFrame(
        {
            "source": ["model", "model x image", "seed"],
            "variance": values,
            "share": np.array(values) / sum(values),
            "share_low": [end.low for end in ends],
            "share_high": [end.high for end in ends],
            "reason": [FEW_CODES if np.isnan(end.low) else None for end in ends],
        }
    )
    counts = {"n": parts.n, "images": parts.images, "seeds": parts.seeds, "missing": parts.missing}
    return describe(frame, by=by, **counts)


TABLES: dict[str, Table] = {
    "correlations": correlate,
    "correlations over images": correlate_over_images,
    "tau per image": tau_per_image,
    "picks": picks,
    "reliability": seed_reliability,
    "score reliability": score_reliability,
    "best iterations": best_iterations,
    "attributes": attributes_per_image,
    "truth over images": truth_over_images,
    "truth specificity": truth_specificity,
    "scores over images": scores_over_images,
    "variance": variance,
}
"""Every table by name: a function of a benchmark and of `task` and `by`, given by keyword.

The last four compare images and need a task.
"""
