"""A baseline made of the benchmark itself: how well a model does on the other images.

It is no score of an untrained network, so it is never stored; it is computed where scores are
judged, and a score that does not beat it tells nothing about the image that it was made on.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import ArrayLike

from ..errors import QueryError, listed_names
from ..evaluate.registry import Direction, canonical
from .association import Floats
from .cells import Cell, finite_mean, fulfilling, only, read_cells
from .transfer import aligned, task_cells, union
from .units import describe

ELSEWHERE = "mean_rank_elsewhere"
DIRECTIONS: dict[str, Direction] = {ELSEWHERE: "lower"}
"""The baselines computed from a benchmark, and their good ends."""

ONE_IMAGE = f"{ELSEWHERE} ranks models on other images, and there is only one"


def ranks_elsewhere(psnr: ArrayLike) -> Floats:
    """The mean rank of every model over the images other than each one.

    Ranked are the models that all images with any have: to be the last of the six best is not to
    be the last. A rank is given as a share of them, 1 / n for the best and 1 for the worst, ties at
    their middle.

    Args:
        psnr: (models, images) dB, NaN where missing.

    Returns:
        (models, images) shares; NaN of a model that is not ranked, and where no other image has
        any.

    >>> ranks_elsewhere([[30.0, 20.0, 9.0], [25.0, 22.0, 8.0]]).tolist()
    [[0.75, 0.5, 0.75], [0.75, 1.0, 0.75]]
    """
    psnr = np.asarray(psnr, dtype=np.float64)
    known = np.isfinite(psnr)
    known &= known[:, known.any(axis=0)].all(axis=1, keepdims=True)
    ranks = scipy.stats.rankdata(np.where(known, -psnr, np.nan), axis=0, nan_policy="omit")
    shares = ranks / np.maximum(known.sum(axis=0), 1)
    others = [np.delete(shares, image, axis=1) for image in range(psnr.shape[1])]
    return np.stack([finite_mean(table) for table in others], axis=1)


def mean_rank_elsewhere(
    bench: Any, task: object, by: str | int = "best_psnr_smooth"
) -> pd.DataFrame:
    """The baseline of every model and image of a task: a row a model, a column an image.

    Args:
        bench: A benchmark.
        task: A task, its text form or bare kind.
        by: The summary of a run that models are ranked by.

    Returns:
        Shares in (0, 1], lower is better, see `ranks_elsewhere`.

    Raises:
        QueryError: Fewer than two images.
    """
    frame = _elsewhere(task_cells(bench, task, by))
    return describe(frame, by=by, direction=DIRECTIONS[ELSEWHERE], values="mean share of the rank")


def judged_cells(
    bench: Any,
    image: str | None = None,
    task: object | None = None,
    names: Sequence[str] | None = None,
    by: str | int = "best_psnr_smooth",
    where: Any = None,
) -> list[Cell]:
    """As `read_cells`, with the baseline among the scores of a task of two or more images.

    Args:
        bench: A benchmark; it needs no scores where the baseline alone is asked for.
        image: One image; all where None.
        task: One task; all where None.
        names: The scores to be judged; all where None.
        by: The summary of a run.
        where: Only models all of whose runs fulfil this, see `fulfilling`.

    Raises:
        QueryError: As `read_cells` and `fulfilling`; or the baseline is asked for and there is
            no other image.
    """
    asked = None if names is None else {*map(canonical, listed_names("scores", names))}
    scored = asked != {ELSEWHERE}
    # Of some of the models more may be known than of all.
    cells = list(read_cells(bench, image, task, by, scored=scored, judged=where is None))
    if asked is not None and ELSEWHERE not in asked:
        return fulfilling(bench, cells, where)
    # The other images are needed whatever image is asked for.
    every = cells
    if image is not None:
        trained = read_cells(bench, None, task, by, scored=False)
        every = [*cells, *(cell for cell in trained if cell.image != image)]
    tables = {text: _elsewhere([c for c in every if c.task == text]) for text in _tasks(every)}
    if asked == {ELSEWHERE} and all(tables[cell.task].shape[1] < 2 for cell in cells):
        raise QueryError(ONE_IMAGE)
    made = []
    for cell in cells:
        table = tables[cell.task]
        if asked is None and table.shape[1] < 2:
            made.append(cell)
            continue
        column = table[cell.image].reindex(list(cell.models)).to_numpy(np.float64)[:, None]
        made.append(replace(cell, scores=cell.scores | {ELSEWHERE: column}))
    return fulfilling(bench, made, where)


def judged_cell(
    bench: Any,
    image: str,
    task: object,
    names: Sequence[str] | None = None,
    by: str | int = "best_psnr_smooth",
    where: Any = None,
) -> Cell:
    """The one of `judged_cells` for an image and a task.

    Raises:
        QueryError: As `judged_cells`, or nothing was trained or scored there.
    """
    return only(judged_cells(bench, image, task, names, by, where), image, task)


def why_unknown(cell: Cell, name: str) -> str:
    """Why no model of a cell has both a score and the PSNR; empty where the cell does not tell."""
    if not cell.reason and name == ELSEWHERE and not np.isfinite(cell.score(name)).any():
        return "no model has a PSNR on another image of the task"
    return cell.reason


def _tasks(cells: list[Cell]) -> list[str]:
    return list(dict.fromkeys(cell.task for cell in cells))


def _elsewhere(cells: list[Cell]) -> pd.DataFrame:
    """(models, images) of the cells of one task; all missing where there is one image."""
    models = union(cells)
    psnr = np.stack([aligned(cell, cell.truth, models) for cell in cells], axis=1)
    return pd.DataFrame(ranks_elsewhere(psnr), models, [cell.image for cell in cells])
