"""What a report shows per (image, task): the ranked models, their scores, how scores are alike."""

from base64 import b64encode
from typing import Any

import numpy as np

from ..errors import DipbenchError, QueryError
from .baselines import DIRECTIONS, judged_cells
from .cells import Cell
from .picking import sure_picks
from .report_tables import arguments, ask, columns, fill, plain
from .specificity import all_score_transfers
from .tables import score_correlations, truth_over_images

LEVELS = 65534
MISSING = 65535
BUDGET = 1_500_000
"""Characters of text that the scores of single models may take; beyond it they are left out."""

PER_CELL = 4
"""Characters of text that a thousandth takes."""

MODEL_COLUMNS = ("psnr", "psnr_std", "n", "iteration", "regret")


def model_tables(bench: Any, by: str | int) -> list[dict[str, Any]]:
    """The models of every pair, best first: `places` in `bench.models`, and their columns.

    A pair that has no usable run has a `reason` in place of them.
    """
    query = fill('bench.query_many(None, "{image}", "{task}", {asked})', arguments(by, 0))
    index = {model: place for place, model in enumerate(bench.models)}
    found = []
    for image, task in bench.pairs:
        try:
            frame = ask(bench, query, image=image, task=task)
        except DipbenchError as error:
            found.append({"image": image, "task": task, "places": [], "reason": str(error)})
            continue
        frame = frame[frame["n"] > 0].sort_values("rank")
        found.append(
            {
                "image": image,
                "task": task,
                "places": [index[model] for model in frame["model"]],
                "data": columns(frame, MODEL_COLUMNS),
            }
        )
    return found


def score_tables(bench: Any, by: str | int) -> list[dict[str, Any]]:
    """Per (image, task): `names` of the scores, their `taus` with each other, `values`, `picks`.

    `taus` is the lower triangle without the diagonal, by rows; `values` by score is the range and
    base64 of little-endian uint16 levels within it, in the order of `bench.models`, 65535 where
    there is none; None where the scores of all pairs would take more room than `BUDGET`. `picks`
    by score is `[k, places in bench.models]` of the most picks first, see `picking.sure_picks`.
    The baselines computed from the benchmark are among the values and the picks.
    """
    if "scores" not in bench.manifest.files:
        return []
    try:
        cells = judged_cells(bench, by=by)
    except QueryError:
        return []
    room = sum(len(cell.scores) for cell in cells) * len(bench.models) * 2 * 4 / 3
    index = {model: at for at, model in enumerate(bench.models)}
    found = []
    for cell in cells:
        if cell.scores.keys() <= DIRECTIONS.keys():
            continue
        alike = score_correlations(bench, cell.image, cell.task)
        below = alike.to_numpy()[np.tril_indices(len(alike), -1)]
        place = {model: at for at, model in enumerate(cell.models)}
        at = np.array([place.get(model, -1) for model in bench.models])
        values = {
            name: levels(np.where(at < 0, np.nan, cell.score(name)[at])) for name in cell.scores
        }
        found.append(
            {
                "image": cell.image,
                "task": cell.task,
                "names": list(alike.index),
                "taus": [None if np.isnan(tau) else round(float(tau), 3) for tau in below],
                "values": values if room <= BUDGET else None,
                "picks": {name: _picks(cell, name, index) for name in cell.scores},
            }
        )
    return found


def _picks(cell: Cell, name: str, index: dict[str, int]) -> list[Any]:
    """The picks of a score as the page draws them: the few over the many."""
    picked = sorted(sure_picks(cell, name).items(), reverse=True)
    return [[k, [index[cell.models[place]] for place in places]] for k, places in picked]


def levels(values: np.ndarray) -> list[Any]:
    """The lowest and the highest value, and base64 of the levels between them.

    >>> levels(np.array([1.0, np.nan, 2.0]))
    [1.0, 2.0, 'AAD///7/']
    """
    known = np.isfinite(values)
    low, high = (float(values[known].min()), float(values[known].max())) if known.any() else (0, 0)
    scaled = (values - low) / (high - low or 1.0) * LEVELS
    whole = np.where(known, np.nan_to_num(scaled).round(), MISSING).astype("<u2")
    return [low, high, b64encode(whole.tobytes()).decode("ascii")]


def transfer_tables(bench: Any, by: str | int) -> list[dict[str, Any]]:
    """Per task the images and the tau between the true rankings of every two, or the reason.

    A tau of two images that share too few models is None.
    """
    found: list[dict[str, Any]] = []
    for task in bench.tasks:
        try:
            frame = truth_over_images(bench, task, by)
        except DipbenchError as error:
            found.append({"task": task, "reason": str(error)})
            continue
        taus = [[plain(tau) for tau in row] for row in frame.to_numpy().round(3)]
        found.append({"task": task, "images": list(frame.index), "taus": taus})
    return found


def score_matrices(bench: Any, by: str | int) -> list[dict[str, Any]]:
    """Per task and score its images and the directed taus between image and image, or a reason.

    Whole numbers of thousandths, row after row: the score's images down, PSNR's across. A score
    need not be known on every image of its task, so that each has images of its own.
    """
    found: list[dict[str, Any]] = []
    for task in bench.tasks:
        try:
            transfers = all_score_transfers(bench, task, by, resamples=0)
        except DipbenchError as error:
            found.append({"task": task, "reason": str(error)})
            continue
        judged = {name: one for name, one in transfers.items() if not isinstance(one, str)}
        room = sum(one.taus.size for one in judged.values()) * len(bench.tasks) * PER_CELL
        if room > BUDGET:
            most = max(len(one.images) for one in judged.values())
            reason = f"the matrices of {len(judged)} scores on {most} images are too large"
            found.append({"task": task, "reason": f"{reason} for this page: draw them as figures"})
            continue
        matrices = {
            name: {
                "images": list(one.images),
                "taus": (one.taus * 1000).round().astype(int).ravel().tolist(),
            }
            for name, one in judged.items()
        }
        refused = {name: one for name, one in transfers.items() if isinstance(one, str)}
        found.append({"task": task, "scores": matrices, "refused": refused})
    return found
