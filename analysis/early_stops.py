"""What stopping without the truth costs: each criterion replayed on a benchmark's curves."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..benchmark.schema import USABLE
from ..errors import DipbenchError, QueryError, listed_names
from ..evaluate.stopping import STOPPING, get_criterion
from .association import Floats
from .cells import Cell, check_open, finite_mean, read_cells, runs_of
from .units import describe
from .worth import MIXED_SEEDS

COLUMNS = (
    *("image", "task", "criterion", "n", "left_out"),
    *("lost", "lost_quartile_1", "lost_quartile_3", "lost_most"),
    *("iteration", "at_end", "reason"),
)


def stopping_losses(
    bench: Any,
    image: str | None = None,
    task: object | None = None,
    criteria: Sequence[str] | None = None,
) -> pd.DataFrame:
    """How many dB each stopping criterion leaves on the table: smoothed PSNR, best less at stop.

    A model's loss is its mean over the seeds on which the criterion can be applied.

    Args:
        bench: A `dipbench.benchmark.query.Benchmark`.
        image: A name; all images where None.
        task: A task, its text form, or a bare kind; all tasks where None.
        criteria: Names of `dipbench.evaluate.stopping.STOPPING`; all but the oracle where None.

    Returns:
        A row an (image, task, criterion): over the models the median loss in dB (`lost`), its
        quartiles and the largest; the median iteration of the output that is kept, and in which
        share of the runs that is the last one. `n` models are counted, `left_out` counts runs to
        which the criterion cannot be applied; where it can to none, `reason` says why.

        A run that a rule which knows the truth has ended before the criterion would have stopped
        counts, with its model, as the one that loses most, and latest: a median or quartile is then
        an upper bound, and missing where it would be that of such a run.

    Raises:
        DipbenchError: An image, task or criterion is unknown.

    >>> import dipbench
    >>> from dipbench.analysis.early_stops import stopping_losses
    >>> frame = stopping_losses(dipbench.load("pilot"), "camera", criteria=["variance_scaled"])
    >>> frame["n"].tolist()
    [32]
    """
    names = [name for name in STOPPING if name != "oracle"] if criteria is None else criteria
    if not names:
        raise QueryError("no criterion is asked for: name one, or leave `criteria` out for all")
    for name in listed_names("criteria", names):
        get_criterion(name)
    check_open(bench)
    runs = bench.to_frame()
    usable = runs[runs["status"].isin(USABLE)]
    rows = []
    for cell in read_cells(bench, image, task, scored=False):
        mine = runs_of(usable, cell)
        rows += [_row(bench, cell, mine, name) for name in names]
    return describe(pd.DataFrame(rows, columns=list(COLUMNS)), kind="psnr_smooth")


def _row(bench: Any, cell: Cell, runs: pd.DataFrame, name: str) -> dict[str, object]:
    row: dict[str, object] = {"image": cell.image, "task": cell.task, "criterion": name, "n": 0}
    replayed, reason = [], cell.reason
    if None in cell.seeds and len(cell.seeds) > 1:
        return row | {"left_out": len(runs), "reason": MIXED_SEEDS}
    if not cell.seeds:
        return row | {"left_out": len(runs), "reason": cell.reason}
    for seed in cell.seeds:
        *columns, unusable = _of_seed(bench, cell, runs, seed, name)
        replayed.append(columns)
        reason = unusable or reason
    by_seed, kept, last = (np.stack(columns, axis=1) for columns in zip(*replayed, strict=True))
    used = int(np.isfinite(kept).sum())
    left_out = len(runs) - used
    is_cut = left_out > 0 and bench.protocol.stops_by_truth
    if is_cut and (used or not reason):
        reason = f"{left_out} of {len(runs)} runs end before, by a rule that knows the truth"
    row |= {"left_out": left_out, "reason": reason if is_cut or not used else None}
    if not used:
        return row
    losses = finite_mean(by_seed)
    if is_cut:
        # Those would have stopped later: without them the others are no fair sample.
        cut = np.isnan(kept) & np.isfinite(last)
        kept = np.where(cut, np.inf, kept)
        losses = np.where(cut.any(axis=1), np.inf, losses)
    losses = losses[~np.isnan(losses)]
    first, middle, third, most = _quantiles(losses, [0.25, 0.5, 0.75, 1])
    # The lower of two, as everywhere.
    iteration = float(np.quantile(kept[~np.isnan(kept)], 0.5, method="lower"))
    if np.isnan(middle) or np.isinf(iteration):
        return row
    if is_cut:
        row["reason"] = f"{reason}; they count as those that lose most"
    known = np.isfinite(kept)
    return row | {
        "n": len(losses),
        "lost": middle,
        "lost_quartile_1": first,
        "lost_quartile_3": third,
        "lost_most": most,
        "iteration": iteration,
        "at_end": float((kept[known] == last[known]).mean()),
    }


def _quantiles(values: Floats, shares: Sequence[float]) -> Floats:
    """Quantiles of values that may be infinite; missing where one lies beside such a value."""
    above = np.quantile(values, shares, method="higher")
    found = np.quantile(np.minimum(values, values[np.isfinite(values)].max(initial=0)), shares)
    return np.where(np.isfinite(above), found, np.nan)


def _of_seed(
    bench: Any, cell: Cell, runs: pd.DataFrame, seed: int | None, name: str
) -> tuple[Floats, Floats, Floats, str | None]:
    """A model each: dB lost, iteration kept, the run's last one; why the first two are unknown."""
    if seed is not None:
        runs = runs[runs["seed"] == seed]
    unknown = np.full(len(bench.models), np.nan)
    if runs.empty:
        return unknown, unknown, unknown, "no usable run"
    best = bench.query_many(None, cell.image, cell.task, seed=seed)
    lengths = runs.set_index("model")["length"].reindex(best["model"])
    last = lengths.to_numpy(np.float64, na_value=np.nan) - 1
    try:
        stopped = bench.query_many(None, cell.image, cell.task, seed=seed, stopping=name)
    except DipbenchError as error:
        return unknown, unknown, last, str(error)
    lost = (best["psnr"] - stopped["psnr"]).to_numpy(np.float64)
    return lost, stopped["iteration"].to_numpy(np.float64, na_value=np.nan), last, None
