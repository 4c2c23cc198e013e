"""What stopping without the truth costs: each criterion replayed on a benchmark's curves."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..benchmark.schema import USABLE
from ..errors import DipbenchError
from ..evaluate.stopping import STOPPING, get_criterion
from ._cells import Cell, finite_mean, read_cells, runs_of
from ._columns import describe
from ._truth import MIXED_SEEDS, Floats

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
        share of the runs that is the last one. `n` models have a loss, `left_out` counts runs to
        which the criterion cannot be applied; where it can to none, or a rule that knows the
        truth has ended runs before it would have stopped, `reason` says why.

    Raises:
        DipbenchError: An image, task or criterion is unknown.

    >>> import dipbench
    >>> from dipbench.analysis.early_stops import stopping_losses
    >>> frame = stopping_losses(dipbench.load("pilot"), "camera", criteria=["variance_scaled"])
    >>> frame["n"].tolist()
    [32]
    """
    names = [name for name in STOPPING if name != "oracle"] if criteria is None else criteria
    for name in names:
        get_criterion(name)
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
    for seed in cell.seeds:
        try:
            replayed.append(_of_seed(bench, cell, runs, seed, name))
        except DipbenchError as error:
            reason = str(error)
    used = sum(int(np.isfinite(at).sum()) for _, at, _ in replayed)
    left_out = len(runs) - used
    if left_out and bench.protocol.stops_by_truth:
        # Those that are left out would have stopped later: the others are no fair sample.
        reason = f"{left_out} of {len(runs)} runs end before, by a rule that knows the truth"
        return row | {"left_out": left_out, "reason": reason}
    if not used:
        return row | {"left_out": left_out, "reason": reason}
    losses = finite_mean(np.stack([lost for lost, _, _ in replayed], axis=1))
    losses = losses[np.isfinite(losses)]
    kept = np.concatenate([at for _, at, _ in replayed])
    last = np.concatenate([ends for _, _, ends in replayed])
    kept, last = kept[np.isfinite(kept)], last[np.isfinite(kept)]
    first, middle, third, most = np.quantile(losses, [0.25, 0.5, 0.75, 1])
    return row | {
        "n": len(losses),
        "left_out": left_out,
        "lost": middle,
        "lost_quartile_1": first,
        "lost_quartile_3": third,
        "lost_most": most,
        # The lower of two, as everywhere.
        "iteration": float(np.quantile(kept, 0.5, method="lower")),
        "at_end": float((kept == last).mean()),
    }


def _of_seed(
    bench: Any, cell: Cell, runs: pd.DataFrame, seed: int | None, name: str
) -> tuple[Floats, Floats, Floats]:
    """A model each: dB lost, iteration kept, and the run's last one."""
    best = bench.query_many(None, cell.image, cell.task, seed=seed)
    stopped = bench.query_many(None, cell.image, cell.task, seed=seed, stopping=name)
    if seed is not None:
        runs = runs[runs["seed"] == seed]
    lengths = runs.set_index("model")["length"].reindex(stopped["model"])
    return (
        (best["psnr"] - stopped["psnr"]).to_numpy(np.float64),
        stopped["iteration"].to_numpy(np.float64, na_value=np.nan),
        lengths.to_numpy(np.float64, na_value=np.nan) - 1,
    )
