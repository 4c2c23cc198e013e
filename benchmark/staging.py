"""Pictures gathered while runs are imported: on the disk, for an archive may hold any number."""

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from ..data import Image, Observation
from ..data.quantisation import content_sha256, dequantise, quantise
from ..errors import ImageError, TaskError
from .schema import Pair


class Staging:
    """True images, observations and masks by what they belong to.

    Args:
        folder: An empty one for the arrays.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._images: dict[str, str] = {}
        self._masks: dict[Pair, str] = {}
        self._counts: defaultdict[Pair, Counter[str]] = defaultdict(Counter)

    def add_image(self, name: str, array: np.ndarray) -> bool:
        """Keep a true image (C, H, W) in [0, 1]; False where its name has another content already.

        Raises:
            ImageError: It is no image that a network can be trained on.
        """
        image = Image(name, array)
        if name not in self._images:
            self._images[name] = image.sha256
            self._save(image.sha256, image.array)
        return self._images[name] == image.sha256

    def add_mask(self, pair: Pair, mask: np.ndarray) -> bool:
        """Keep a mask of 0 and 1, (H, W) or (1, H, W), True where known; False if it is none."""
        mask = mask[0] if mask.ndim == 3 and len(mask) == 1 else mask
        if mask.ndim != 2 or not np.isin(mask, (0, 1)).all():
            return False
        digest = content_sha256(mask)
        self._save(digest, mask)
        return self._masks.setdefault(pair, digest) == digest

    def add_observed(self, pair: Pair, observed: np.ndarray) -> str:
        """Keep what one run was trained on, (C, h, w) in [0, 1], and return its hash.

        Raises:
            ImageError: It is not of that form.
        """
        if observed.ndim != 3 or observed.dtype.kind != "f" or observed.size == 0:
            raise ImageError(
                f"has the shape {observed.shape} of {observed.dtype}; expected (C, H, W) floats"
            )
        low, high = float(observed.min()), float(observed.max())
        if low < 0 or high > 1:
            raise ImageError(f"has values from {low:g} to {high:g}; expected [0, 1]")
        digest = content_sha256(observed)
        if digest not in self._counts[pair]:
            self._save(digest, observed)
        self._counts[pair][digest] += 1
        return digest

    @property
    def image_names(self) -> set[str]:
        """Names of the true images."""
        return set(self._images)

    @property
    def pairs(self) -> list[Pair]:
        """The pairs of which there are observations."""
        return sorted(self._counts)

    def image(self, name: str) -> Image:
        """A true image."""
        return Image(name, self._load(self._images[name]))

    def lacks_mask(self, pair: Pair) -> bool:
        """Whether the pair is an inpainting whose mask was not there."""
        return pair[1].startswith("inpainting") and pair not in self._masks

    def observation(self, pair: Pair, digest: str) -> Observation | None:
        """What runs were trained on; None where it does not fit its mask or true image."""
        image, task = pair
        observed = self._load(digest)
        kind, _, number = task.partition("-")
        mask = None
        if kind == "inpainting":
            if self.lacks_mask(pair):
                return None
            mask = self._load(self._masks[pair]) == 1
            if mask.shape != observed.shape[1:] or observed[:, ~mask].any():
                return None
        try:
            made = Observation(observed, mask, int(number) if kind == "sr" else 1)
        except (ImageError, TaskError):
            return None
        if image in self._images and made.restored_shape != self.image(image).shape:
            return None
        return made

    def digests(self, pair: Pair) -> list[str]:
        """The hashes of a pair's observations, the one of most runs first."""
        counts = self._counts[pair]
        return sorted(counts, key=lambda digest: (-counts[digest], digest))

    def _save(self, digest: str, array: np.ndarray) -> None:
        np.save(self._folder / f"{digest}.npy", quantise(array))

    def _load(self, digest: str) -> np.ndarray:
        return dequantise(np.load(self._folder / f"{digest}.npy", allow_pickle=False))
