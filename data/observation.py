"""An observation: the degraded image that a network is trained on, and what is known of it."""

import hashlib
import operator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import TaskError
from .layouts import check_planes, check_values
from .quantisation import on_grid, quantise


@dataclass(frozen=True, eq=False)
class Observation:
    """What is known of an image: a restoration x is fitted to mean((A(x) - observed)^2).

    A is the identity for denoising, the product with `mask` for inpainting, the Lanczos
    downsampling by `zoom` for super-resolution. Equal content is an equal observation.

    Args:
        observed: (C, H / zoom, W / zoom) in [0, 1]; kept as float32 on the 16-bit grid, read-only.
        mask: (H, W) bool, True where a pixel is known, for all channels; None where none is
            missing. Where it is False, `observed` becomes 0, whatever was there.
        zoom: 1, or the factor of super-resolution.

    Raises:
        ImageError: `observed` is of another shape or dtype, or a known value is NaN or outside
            [0, 1].
        TaskError: The mask hides everything or nothing, or is of another size; `zoom` is no whole
            number from 1, or both are given.

    >>> import numpy as np
    >>> from dipbench.data import Observation
    >>> Observation(np.zeros((3, 16, 24)), zoom=4).restored_shape
    (3, 64, 96)
    """

    observed: np.ndarray
    mask: np.ndarray | None = None
    zoom: int = 1

    def __post_init__(self) -> None:
        label, observed = "the observation", self.observed
        check_planes(label, observed, "load_observation")
        if self.mask is not None:
            if self.zoom != 1:
                raise TaskError("an observation has a mask or a zoom: leave one out")
            check_mask(self.mask, observed.shape[1:])
            observed = np.where(self.mask, observed, 0)
            mask = self.mask.copy()
            mask.setflags(write=False)
            object.__setattr__(self, "mask", mask)
        check_values(label, observed)
        object.__setattr__(self, "observed", on_grid(observed))
        object.__setattr__(self, "zoom", _checked_zoom(self.zoom))

    @property
    def restored_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the restored image."""
        channels, height, width = self.observed.shape
        return channels, height * self.zoom, width * self.zoom

    @cached_property
    def sha256(self) -> str:
        """SHA-256, in hexadecimal, over shape, zoom, the 16-bit levels and the mask."""
        digest = hashlib.sha256(f"{tuple(self.observed.shape)} {self.zoom}".encode())
        digest.update(quantise(self.observed).astype("<u2").tobytes())
        if self.mask is not None:
            digest.update(np.packbits(self.mask).tobytes())
        return digest.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Observation) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)


def _checked_zoom(zoom: int) -> int:
    try:
        whole = operator.index(zoom)
    except TypeError:
        whole = 0
    if whole < 1:
        raise TaskError(f"zoom {zoom!r} is no whole number from 1: give 1, or the factor")
    return whole


def check_mask(mask: np.ndarray, sides: tuple[int, ...]) -> None:
    """Refuse a mask that hides everything or nothing, or is not (H, W) of bool of these sides.

    Raises:
        TaskError: It is so.

    >>> import numpy as np
    >>> from dipbench.data.observation import check_mask
    >>> check_mask(np.eye(64, dtype=bool), (64, 64))
    """
    if not isinstance(mask, np.ndarray):
        raise TaskError(
            f"a mask must be a NumPy array (H, W) of bool, got {type(mask).__name__}: load_mask "
            "reads others"
        )
    if isinstance(mask, np.ma.MaskedArray):
        raise TaskError("a mask must be a plain array, got a masked one: give its .filled()")
    if mask.dtype != bool or mask.ndim != 2:
        raise TaskError(f"a mask must be (H, W) of bool, got {mask.shape} of {mask.dtype}")
    if mask.shape != tuple(sides):
        raise TaskError(
            f"the mask is {mask.shape[1]} pixels wide and {mask.shape[0]} high, the image "
            f"{sides[1]} wide and {sides[0]} high: they must be of one size"
        )
    if mask.all() or not mask.any():
        raise TaskError(
            f"the mask hides {'nothing' if mask.all() else 'every pixel'}: "
            "it must be white (True) where a pixel is known, black (False) where one is missing"
        )
