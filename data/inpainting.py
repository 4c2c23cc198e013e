"""Inpainting: tasks that hide pixels of an image, one class for each way of choosing them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import TaskError
from .images import Image
from .masks import bernoulli_mask, hole_mask, mask_sha256, text_mask
from .observation import Observation, check_mask
from .task import Task, number_text, settle_share


@dataclass(frozen=True)
class Inpainting(Task):
    """Pixels missing with probability `missing`, in all channels at once: `inpainting-50`.

    Each pixel is drawn by itself (Bernoulli, as published), so the share missing is near `missing`
    and rarely equal to it.

    >>> from dipbench.data import Inpainting
    >>> str(Inpainting(missing=0.5))
    'inpainting-50'
    """

    missing: float = 0.5
    kind = "inpainting"

    def __post_init__(self) -> None:
        settle_share(self, "missing", self.missing)

    def __str__(self) -> str:
        return f"inpainting-{number_text(100 * self.missing)}"

    def _degrade(self, image: Image, rng: np.random.Generator) -> Observation:
        return masked(image, bernoulli_mask(image.height, image.width, self.missing, rng))


@dataclass(frozen=True)
class HoleInpainting(Task):
    """A centred hole, `side` times as high and wide as the image: `inpainting-hole-25`.

    That is a hole of a quarter of each side, a sixteenth of the area. Nothing is drawn from the
    seed.

    >>> from dipbench.data import HoleInpainting
    >>> str(HoleInpainting(side=0.25))
    'inpainting-hole-25'
    """

    side: float = 0.25
    kind = "inpainting"

    def __post_init__(self) -> None:
        settle_share(self, "side", self.side)

    def __str__(self) -> str:
        return f"inpainting-hole-{number_text(100 * self.side)}"

    def _degrade(self, image: Image, rng: np.random.Generator) -> Observation:
        mask = hole_mask(image.height, image.width, self.side)
        if not mask.any():
            raise TaskError(
                f"{self} rounds to a hole over all of {image.name}, {image.width} pixels wide and "
                f"{image.height} high: choose a smaller hole"
            )
        return masked(image, mask)


@dataclass(frozen=True)
class TextInpainting(Task):
    """Lines of random letters hide the image: `inpainting-text`.

    >>> from dipbench.data import TextInpainting
    >>> str(TextInpainting())
    'inpainting-text'
    """

    kind = "inpainting"

    def __str__(self) -> str:
        return "inpainting-text"

    def _degrade(self, image: Image, rng: np.random.Generator) -> Observation:
        return masked(image, text_mask(image.height, image.width, rng))


@dataclass(frozen=True, eq=False)
class MaskInpainting(Task):
    """The pixels of a given mask are missing: `inpainting-mask-` and 8 digits of its SHA-256.

    Args:
        mask: (H, W) of bool, True where a pixel is known; kept read-only. `load_mask` reads files.

    >>> import numpy as np
    >>> from dipbench.data import MaskInpainting
    >>> str(MaskInpainting(np.eye(64, dtype=bool)))
    'inpainting-mask-c5bebc55'
    """

    mask: np.ndarray
    kind = "inpainting"

    def __post_init__(self) -> None:
        check_mask(self.mask, np.shape(self.mask))
        mask = self.mask.copy()
        mask.setflags(write=False)
        object.__setattr__(self, "mask", mask)

    def __str__(self) -> str:
        return f"inpainting-mask-{self.sha256[:8]}"

    def __repr__(self) -> str:
        return f"MaskInpainting({self.mask.shape[0]}x{self.mask.shape[1]}, {self})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MaskInpainting) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    @cached_property
    def sha256(self) -> str:
        """SHA-256, in hexadecimal, over the mask's shape and bits."""
        return mask_sha256(self.mask)

    def _degrade(self, image: Image, rng: np.random.Generator) -> Observation:
        return masked(image, self.mask)


def masked(image: Image, mask: np.ndarray) -> Observation:
    """The observation of an image of which `mask` (H, W) bool, True where known, is left.

    Raises:
        TaskError: The mask hides everything or nothing, or is not of the image's size.

    >>> import numpy as np
    >>> from dipbench.data import load_image
    >>> from dipbench.data.inpainting import masked
    >>> camera = load_image("camera", size=64)
    >>> masked(camera, np.arange(64 * 64).reshape(64, 64) % 2 == 0).restored_shape
    (1, 64, 64)
    """
    return Observation(image.array, mask)
