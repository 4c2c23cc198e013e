"""Which models a score picks: those that a user who trains a few only would train."""

from typing import Any

import numpy as np
import pandas as pd

from ..evaluate.registry import canonical
from .baselines import judged_cell
from .cells import Cell
from .directions import declared_sign, direction
from .selection import pick_chances
from .units import describe

PICKS = (5, 15)


def picked_models(
    bench: Any, image: str, task: object, score: str, by: str | int = "best_psnr_smooth"
) -> pd.DataFrame:
    """The models that are surely among the 5 and the 15 picks of a score, best PSNR first.

    A pick that a tie in the score leaves to chance is left out.

    Returns:
        A row a model: its PSNR, and the smaller of the two `k` that it is picked for.

    Raises:
        QueryError: An unknown name, or a score without a declared direction.
    """
    cell = judged_cell(bench, image, task, [score], by)
    name = canonical(score)
    declared_sign(name)
    picked = sure_picks(cell, name)
    rows = [
        {"model": cell.models[place], "psnr": cell.truth[place], "k": k}
        for k, places in picked.items()
        for place in places
    ]
    frame = pd.DataFrame(rows, columns=["model", "psnr", "k"])
    frame = frame.sort_values(["psnr", "k"], ascending=[False, True]).drop_duplicates("model")
    return describe(frame.reset_index(drop=True), by=by, score=score)


def sure_picks(cell: Cell, name: str) -> dict[int, list[int]]:
    """By 5 and by 15 the places in `cell.models` of the picks of a score that no tie decides.

    Models that lack the score or the PSNR are no picks; a number is left out where there are
    fewer models, and so are all of a score without a declared direction.
    """
    values, good = cell.score(name), direction(name)
    known = np.flatnonzero(np.isfinite(values) & np.isfinite(cell.truth))
    turned = values[known] if good == "lower" else -values[known]
    return {
        k: known[pick_chances(turned, k) == 1].tolist()
        for k in PICKS
        if good is not None and k <= known.size
    }
