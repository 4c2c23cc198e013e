"""An observation made smaller, for trials that need not be exact."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..data import Observation
from ..data.images import MINIMUM_SIDE
from ..errors import ImageError, TaskError
from ..scalars import is_count


@dataclass(frozen=True)
class Reduced:
    """A smaller observation.

    Attributes:
        observation: of the smaller picture.
        noise_factor: what averaging left of the deviation of noise that is independent from
            pixel to pixel; the root mean square over the known pixels.
    """

    observation: Observation
    noise_factor: float


def reduce_observation(observation: Observation, short_side: int) -> Reduced:
    """Average an observation down until the restored picture's short side is `short_side`.

    Each pixel is the mean of the observed pixels in its area, so that missing ones add nothing.
    A mask stays one: it is sampled at the centres of the areas, which keeps the share missing.
    For super-resolution the small picture shrinks and the factor stays.

    Args:
        observation: what is known of the picture.
        short_side: in pixels, 64 or more; for super-resolution rounded up to a multiple.

    Raises:
        ImageError: the side is under 64, or the picture is no larger.
        TaskError: the mask at that size hides everything or nothing.

    >>> from dipbench.data import load_image, parse_task
    >>> from dipbench.evaluate.reducing import reduce_observation
    >>> noisy = parse_task("denoising-25").observe(load_image("camera", size=128), seed=0)
    >>> small = reduce_observation(noisy, 64)
    >>> small.observation.restored_shape, small.noise_factor
    ((1, 64, 64), 0.5)
    """
    _, height, width = observation.observed.shape
    if not is_count(short_side) or short_side < MINIMUM_SIDE:
        raise ImageError(f"a short side of {short_side!r} pixels is none: give 64 or more")
    target = -(-short_side // observation.zoom)
    if target >= min(height, width):
        raise ImageError(
            f"the short side is to become {short_side} pixels and is "
            f"{observation.zoom * min(height, width)}: give fewer, or train at full size"
        )
    scale = min(height, width) / target
    rows, columns = (_areas(side, round(side / scale)) for side in (height, width))
    known = np.ones((height, width)) if observation.mask is None else observation.mask.astype(float)
    seen = rows @ known @ columns.T
    # Areas without an observed pixel are missing ones, which the mask hides.
    seen[seen == 0] = 1
    averaged = rows @ (observation.observed * known) @ columns.T / seen
    left = np.sqrt(rows**2 @ known @ (columns**2).T) / seen
    mask = None
    if observation.mask is not None:
        centres = _centres(height, len(rows)), _centres(width, len(columns))
        mask = observation.mask[np.ix_(*centres)]
        if mask.all() or not mask.any():
            hides = "nothing" if mask.all() else "every pixel"
            raise TaskError(f"at {short_side} pixels the mask hides {hides}: train at full size")
        averaged, left = averaged * mask, left[mask]
    factor = float(np.sqrt(np.mean(left**2)))
    return Reduced(Observation(averaged, mask, observation.zoom), factor)


def _areas(length: int, target: int) -> NDArray[np.float64]:
    """(target, length): how much of each pixel lies in each of `target` equal areas."""
    edges = np.linspace(0, length, target + 1)
    pixels = np.arange(length)
    ends = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.asarray(ends.clip(0))


def _centres(length: int, target: int) -> NDArray[np.int64]:
    return ((np.arange(target) + 0.5) * length / target).astype(np.int64)
