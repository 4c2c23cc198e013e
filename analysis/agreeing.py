"""Whether two benchmarks order the models alike: of other sizes, protocols, precisions or hands."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from ..errors import QueryError, listed
from .association import MINIMUM_MODELS, kendall_tau
from .cells import Cell, fulfilling, narrowed, read_cells, weights_over
from .resampling import interval, resampled_tau
from .specificity import Floats, seeds_against_others
from .transfer import aligned, union
from .units import describe

COLUMNS = (
    *("image", "task", "by", "tau", "tau_low", "tau_high", "seed_tau", "attainable_tau"),
    *("shortfall", "shortfall_low", "shortfall_high", "transfer_regret", "difference_db"),
    *("seeds", "other_seeds", "n", "missing", "reason"),
)


def agreement(
    bench: Any,
    other: Any,
    image: str | None = None,
    task: object | None = None,
    by: str | int = "best_psnr_smooth",
    where: Any = None,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Do two benchmarks order the models alike on the images and tasks that both hold?

    Images are the same by their names: the benchmarks may be of other sizes, protocols, precisions
    or hands. What noise alone takes from the agreement is told by the seeds, as in
    `dipbench.analysis.specificity.truth_specificity`: `attainable_tau` is what `seed_tau` would be
    if both had one order.

    Args:
        bench: A benchmark.
        other: Another one.
        image: One image; all that both hold where None.
        task: A task, its text form or bare kind; all where None.
        by: The summary of a run, or an iteration of the smoothed curve.
        where: Only models all of whose runs in the first benchmark fulfil this, as in `bench.best`.
        resamples: Bootstrap resamples by upsample code.
        level: Of the intervals.
        seed: Of the resampling.

    Returns:
        A row an (image, task), over the models that have every seed in both: `tau` between the
        means over the seeds; `seed_tau` between two seeds, one of each, and `shortfall`, by how
        much it is below `attainable_tau`; in dB `transfer_regret`, what taking the other's best
        model costs here, and `difference_db`, the median over the models of this PSNR less the
        other's. `reason` says why a number is missing.

    Raises:
        QueryError: An image, task or summary is unknown, they share no image and task, or the
            condition cannot be read or no model fulfils it.

    >>> import dipbench
    >>> from dipbench.analysis.agreeing import agreement
    >>> pilot = dipbench.load("pilot")
    >>> [row] = agreement(pilot, pilot, "camera").to_dict("records")
    >>> row["tau"], row["transfer_regret"], row["n"]
    (1.0, 0.0, 32)
    """
    judged = where is None  # of some of the models more may be known than of all
    mine = _by_place(fulfilling(bench, _cells(bench, image, task, by, judged), where))
    try:
        theirs = _by_place(_cells(other, image, task, by, judged))
    except QueryError as error:
        raise QueryError(f"of the other benchmark: {error}") from None
    shared = [place for place in mine if place in theirs]
    if not shared:
        held = " and ".join(listed([" ".join(at) for at in cells]) for cells in (mine, theirs))
        raise QueryError(f"the two benchmarks share no image and task: they hold {held}")
    pairs = [(mine[place], theirs[place]) for place in shared]
    if where is not None:
        pairs = [(one, narrowed(two, np.isin(two.models, one.models))) for one, two in pairs]
    rows = [_row(one, two, resamples, level, seed) for one, two in pairs]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    lacking = {"missing": "models that lack a usable run of a seed in one of the benchmarks"}
    return describe(frame, lacking, by=by, level=level, resamples=resamples)


def _cells(
    bench: Any, image: str | None, task: object | None, by: str | int, judged: bool
) -> list[Cell]:
    return list(read_cells(bench, image, task, by, scored=False, judged=judged))


def _by_place(cells: Sequence[Cell]) -> dict[tuple[str, str], Cell]:
    return {(cell.image, cell.task): cell for cell in cells}


def _row(mine: Cell, theirs: Cell, resamples: int, level: float, seed: int) -> dict[str, object]:
    cells = [mine, theirs]
    models = union(cells)
    tables = [aligned(cell, cell.psnr, models) for cell in cells]
    known = np.logical_and.reduce([np.isfinite(table).all(axis=1) for table in tables])
    known &= bool(mine.seeds and theirs.seeds)
    row: dict[str, object] = {
        "image": mine.image,
        "task": mine.task,
        "by": mine.by,
        "seeds": len(mine.seeds),
        "other_seeds": len(theirs.seeds),
        "n": int(known.sum()),
        "missing": int((~known).sum()),
    }
    if mine.reason or theirs.reason:
        return row | {"reason": mine.reason or f"of the other benchmark: {theirs.reason}"}
    if known.sum() < MINIMUM_MODELS:
        return row | {
            "reason": f"{known.sum()} models have every seed in both: at least {MINIMUM_MODELS} "
            "are needed"
        }
    here, there = (table[known].mean(axis=1) for table in tables)
    for told, values in (("", here), ("of the other benchmark: ", there)):
        if np.ptp(values) == 0:
            return row | {"reason": f"{told}all {values.size} models reach {values[0]:.2f} dB"}
    weights, few = weights_over(cells, models, known, resamples, seed)
    ends = interval(resampled_tau(here, there, weights), level)
    row |= {
        "tau": kendall_tau(here, there).value,
        "tau_low": ends.low,
        "tau_high": ends.high,
        "transfer_regret": float(here.max() - here[there.argmax()]),
        "difference_db": float(np.median(here - there)),
    }
    runs = [list(table[known].T) for table in tables]
    if min(map(len, runs)) < 2:
        lacking = "what noise takes is not known: both need two seeds"
        return row | {"reason": "; ".join(filter(None, (lacking, few)))}

    def across(ours: Sequence[Floats], others: Sequence[Floats]) -> list[tuple[Floats, ...]]:
        """Not a seed with itself, which may have made the same networks of the same input."""
        pairs = product(zip(mine.seeds, ours, strict=True), zip(theirs.seeds, others, strict=True))
        return [(one, two) for (first, one), (second, two) in pairs if first != second]

    attainable, found, drawn = seeds_against_others(runs, weights, across)
    ends = interval(drawn, level)
    return row | {
        "seed_tau": found,
        "attainable_tau": attainable,
        "shortfall": attainable - found,
        "shortfall_low": ends.low,
        "shortfall_high": ends.high,
        "reason": few,
    }
