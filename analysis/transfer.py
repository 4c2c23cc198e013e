"""Whether the best model is the same on every image.

Do the images agree on the ranking; and how much of the PSNR's variance belongs to models, to
models on particular images, and to seeds.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import QueryError
from .association import MINIMUM_MODELS, Floats, kendall_tau
from .cells import Cell, read_cells, weights_over
from .resampling import Interval, interval


@dataclass(frozen=True)
class ImageVariance:
    """Variance components of PSNR in dB^2; an estimate below 0 is kept at 0.

    `model` is shared by all images; `model_image` is what a model gains on one image in
    particular; `seed` is what is left between seeds. Main effects of images and of seeds within
    an image are removed: they shift all models alike.
    """

    model: float
    model_image: float
    seed: float
    n: int
    images: int
    seeds: int
    missing: int


def truth_transfer(
    bench: Any, task: object, by: str | int = "best_psnr_smooth"
) -> tuple[tuple[str, ...], Floats, NDArray[np.int64]]:
    """Kendall's tau-b between the true rankings of every two images.

    Args:
        bench: A benchmark.
        task: A task, its text form or bare kind.
        by: The summary of a run, or an iteration of the smoothed curve.

    Returns:
        The images, (images, images) tau-b with ones on the diagonal, and (images, images) how many
        models each is over; NaN where two images share fewer than 5.

    Raises:
        QueryError: Fewer than two images, or no two of them share 5 models.
    """
    cells = task_cells(bench, task, by)
    models = union(cells)
    truth = [aligned(cell, cell.truth, models) for cell in cells]
    taus = np.eye(len(cells))
    counts = np.empty(taus.shape, dtype=np.int64)
    refused = []
    for i, first in enumerate(truth):
        for j, second in enumerate(truth[: i + 1]):
            counts[i, j] = counts[j, i] = np.isfinite(first + second).sum()
            try:
                taus[i, j] = taus[j, i] = 1.0 if i == j else kendall_tau(first, second).value
            except QueryError as error:
                taus[i, j] = taus[j, i] = np.nan
                refused.append(error)
    if len(refused) == len(cells) * (len(cells) - 1) // 2:
        raise refused[0]
    return tuple(cell.image for cell in cells), taus, counts


def image_variance(psnr: ArrayLike) -> ImageVariance:
    """Variance of models, of models x images, and of seeds, by mean squares.

    Args:
        psnr: (models, images, seeds) dB; a model that lacks a value is left out.

    Raises:
        QueryError: Fewer than 2 images, 2 seeds or 5 complete models.

    >>> rng = np.random.default_rng(0)
    >>> model, on_image = rng.normal(0, 3, (400, 1, 1)), rng.normal(0, 2, (400, 5, 1))
    >>> found = image_variance(model + on_image + rng.normal(0, 1, (400, 5, 2)))
    >>> 8 < found.model < 10, 3.6 < found.model_image < 4.4, 0.9 < found.seed < 1.1
    (True, True, True)
    """
    array = np.asarray(psnr, dtype=np.float64)
    if array.ndim != 3 or min(array.shape[1:]) < 2:
        raise QueryError("variance of model x image needs at least 2 images and 2 seeds of each")
    known = np.isfinite(array).all(axis=(1, 2))
    table = array[known]
    n, images, seeds = table.shape
    if n < MINIMUM_MODELS:
        raise QueryError(f"no variances on {n} complete models: {MINIMUM_MODELS} are needed")
    centred = table - table.mean(axis=0)
    on_image = centred.mean(axis=2)
    model = on_image.mean(axis=1)
    seed = ((centred - on_image[:, :, None]) ** 2).sum() / ((n - 1) * images * (seeds - 1))
    both = seeds * ((on_image - model[:, None]) ** 2).sum() / ((n - 1) * (images - 1))
    alone = images * seeds * (model**2).sum() / (n - 1)
    return ImageVariance(
        model=max(0.0, float((alone - both) / (images * seeds))),
        model_image=max(0.0, float((both - seed) / seeds)),
        seed=float(seed),
        n=n,
        images=images,
        seeds=seeds,
        missing=int((~known).sum()),
    )


def variance_over_images(
    bench: Any, task: object, by: str | int = "best_psnr_smooth"
) -> ImageVariance:
    """How far PSNR varies with the model, with the model on one image, and with the seed.

    `image_variance` of a task's images with two seeds or more, over as many as all of them have.

    Raises:
        QueryError: Fewer than two such images, or 5 models with all of those runs.
    """
    return image_variance(_psnr_over(seeded_cells(bench, task, by)))


def variance_shares(
    bench: Any,
    task: object,
    by: str | int = "best_psnr_smooth",
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[Interval, Interval, Interval]:
    """The intervals of the shares in `variance_over_images`: model, model x image, seed.

    Args:
        bench: A benchmark.
        task: A task, its text form or bare kind.
        by: The summary of a run, or an iteration of the smoothed curve.
        resamples: Bootstrap resamples by upsample code.
        level: Of the intervals.
        seed: Of the resampling.

    Raises:
        QueryError: As `variance_over_images`.
    """
    cells = seeded_cells(bench, task, by)
    psnr = _psnr_over(cells)
    known = np.asarray(np.isfinite(psnr).all(axis=(1, 2)))
    weights, _ = weights_over(cells, union(cells), known, resamples, seed)
    # Of few complete models some resamples have too few for an analysis of variance.
    counts = weights.astype(np.int64)
    drawn = [np.repeat(psnr[known], own, axis=0) for own in counts if own.sum() >= MINIMUM_MODELS]
    shares = [_shares(image_variance(table)) for table in drawn]
    model, model_image, seeds = np.reshape(shares, (-1, 3)).T
    return interval(model, level), interval(model_image, level), interval(seeds, level)


def _shares(parts: ImageVariance) -> Floats:
    variances = np.array([parts.model, parts.model_image, parts.seed])
    return variances / variances.sum() if variances.any() else np.full(3, np.nan)


def _psnr_over(cells: list[Cell]) -> Floats:
    """(models of any, images, seeds) dB, of as many seeds as all images have."""
    models = union(cells)
    seeds = min(cell.psnr.shape[1] for cell in cells)
    table = [aligned(cell, cell.psnr[:, :seeds], models) for cell in cells]
    return np.stack(table, axis=1)


def task_cells(bench: Any, task: object, by: str | int, scored: bool = False) -> list[Cell]:
    """The cells of a task's images.

    Raises:
        QueryError: Fewer than two images, or all but one lack such a PSNR.
    """
    cells = list(read_cells(bench, None, task, by, scored=scored))
    if len(cells) < 2:
        raise QueryError(
            f"how images differ takes at least 2 images of {task}: there are {len(cells)}"
        )
    tasks = dict.fromkeys(cell.task for cell in cells)
    if len(tasks) > 1:
        raise QueryError(f"how images differ is asked of one task: name one of {', '.join(tasks)}")
    lacking = [cell for cell in cells if cell.reason]
    if len(lacking) > len(cells) - 2:
        raise QueryError(f"{lacking[0].image} {lacking[0].task}: {lacking[0].reason}")
    return cells


def seeded_cells(bench: Any, task: object, by: str | int) -> list[Cell]:
    """The cells of a task's images whose models share two seeds or more.

    Raises:
        QueryError: Fewer than two images have them.
    """
    cells = [cell for cell in task_cells(bench, task, by) if cell.psnr.shape[1] > 1]
    if len(cells) < 2:
        raise QueryError(f"fewer than two images of {task} have two seeds: train those missing")
    return cells


def union(cells: list[Cell]) -> list[str]:
    """The models of any of the cells, each once."""
    return list(dict.fromkeys(model for cell in cells for model in cell.models))


def aligned(cell: Cell, values: Floats, models: list[str]) -> Floats:
    """`values` (models of the cell, …) on `models`, missing where the cell lacks one."""
    whole = np.full((len(models), *values.shape[1:]), np.nan)
    place = {model: position for position, model in enumerate(models)}
    whole[[place[model] for model in cell.models]] = values
    return whole
