"""Degraded images of which no ground truth is known, read as observations to restore."""

import warnings
from pathlib import Path

import numpy as np

from ..errors import ImageError, TaskError
from .images import Image, Source, check_sides, read_array
from .inpainting import MaskInpainting
from .layouts import ALPHA_DROPPED, check_values, in_colour, split_alpha
from .masks import load_mask
from .observation import Observation
from .task import Task
from .tasks import parse_task, zoom_of


def load_observation(
    source: Source | Image | Observation,
    task: Task | str,
    mask: str | Path | np.ndarray | None = None,
    colour: bool | None = None,
) -> Observation:
    """Read a degraded image as the observation that a restoration starts from.

    Alpha marks what is missing for inpainting; other tasks drop it with a warning.

    Args:
        source: An image file, a packaged name, an array or an image, as `load_image` takes them.
            For denoising the noisy image, for inpainting the image with missing pixels, for
            super-resolution the small image. An observation stays as it is.
        task: What was done to it.
        mask: Inpainting: what `load_mask` reads. Beside it, and without it, pixels are missing
            where alpha is 0 or a channel is NaN.
        colour: As in `load_image`.

    Raises:
        ImageError: The source is unknown, unreadable, outside [0, 1], NaN (but for inpainting),
            or so small that its restoration has a side under 64.
        TaskError: No pixel, or every pixel, is marked missing; the mask is of another size, not
            that of `task`, or given to another task than inpainting, or to an observation.

    >>> import numpy as np
    >>> from dipbench.data import load_observation
    >>> scratched = np.full((64, 64), 0.5)
    >>> scratched[20:30] = np.nan
    >>> observation = load_observation(scratched, "inpainting")
    >>> int((~observation.mask).sum())
    640
    """
    if isinstance(source, Observation):
        if mask is not None:
            raise TaskError("an observation has its own mask: leave out mask=")
        return source
    task = _task_of(task, mask)
    array, name = read_array(source)
    label = name or "the array"
    values, alpha = split_alpha(array, label)
    zoom = zoom_of(task)
    check_sides(label, values.shape, zoom)
    known = None
    if task.kind == "inpainting":
        known = np.isfinite(values).all(axis=0)
        if alpha is not None:
            known &= alpha > 0
        values = np.where(known, values, 0)
        known = _joined(label, known, task, mask)
    elif alpha is not None:
        warnings.warn(ALPHA_DROPPED.format(label), stacklevel=2)
    if not np.isfinite(values).all():
        raise ImageError(f"{label} holds NaN or infinite values, which {task} cannot restore")
    check_values(label, values)
    return Observation(in_colour(values, colour), known, zoom)


def _task_of(task: Task | str, mask: str | Path | np.ndarray | None) -> Task:
    """The task; an inpainting task of any text form may come with a mask of its own here."""
    if mask is None or str(task).startswith("inpainting-mask"):
        return parse_task(task, mask)
    parsed = parse_task(task)
    if parsed.kind != "inpainting":
        raise TaskError(f"{parsed} takes no mask; only inpainting does")
    return parsed


def _joined(
    label: str, known: np.ndarray, task: Task, mask: str | Path | np.ndarray | None
) -> np.ndarray:
    masks = [known]
    if isinstance(task, MaskInpainting):
        masks.append(task.mask)
    elif mask is not None:
        masks.append(load_mask(mask))
    for other in masks:
        if other.shape != known.shape:
            raise TaskError(
                f"the mask is {other.shape[1]} pixels wide and {other.shape[0]} high, {label} "
                f"{known.shape[1]} wide and {known.shape[0]} high: they must be of one size"
            )
    joined = np.logical_and.reduce(masks)
    if joined.all():
        way = "give a mask"
        if mask is not None:
            given = f" {mask}" if isinstance(mask, str | Path) else ""
            way = f"the mask{given} is all white; paint black what is missing"
        raise TaskError(
            f"no pixel of {label} is marked missing: {way}, or mark it by alpha 0 or NaN"
        )
    return np.asarray(joined)
