"""JPEG and WebP at a given size, to set beside a network as a code."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..data.imagefiles import pixels
from .quality import psnr, ssim

SETTINGS: dict[str, tuple[dict[str, Any], ...]] = {
    "JPEG": ({"optimize": True, "subsampling": 0}, {"optimize": True, "subsampling": 2}),
    "WebP": ({"method": 6}, {"method": 6, "lossless": True}),
}
"""Pillow's, by codec, of which the better one counts.

Halving the sides of the chroma, as both codecs do by themselves, caps the PSNR of small colourful
pictures.
"""


@dataclass(frozen=True, eq=False)
class Coded:
    """A picture coded by a standard codec.

    Attributes:
        codec: `JPEG` or `WebP`.
        quality: the codec's own setting; None where the file is lossless.
        bytes: of the file.
        psnr: in dB.
        ssim: structural similarity.
    """

    codec: str
    quality: int | None
    bytes: int
    psnr: float
    ssim: float


def standard_codecs(image: np.ndarray, size: int) -> list[Coded]:
    """What each codec makes best of a picture in a file no larger than `size` bytes.

    That is the highest PSNR of its `SETTINGS`, each at the highest quality that fits. A codec that
    cannot make the file so small is given at its smallest, with its own size.

    Args:
        image: (C, H, W) in [0, 1], 1 or 3 channels.
        size: bytes.

    >>> from dipbench.data import load_image
    >>> from dipbench.evaluate.codecs import standard_codecs
    >>> [coded.codec for coded in standard_codecs(load_image("camera", size=64).array, 2000)]
    ['JPEG', 'WebP']
    """
    from PIL import features

    codecs = ["JPEG", "WebP"] if features.check("webp") else ["JPEG"]
    return [_best(codec, image, size) for codec in codecs]


def _best(codec: str, image: np.ndarray, size: int) -> Coded:
    made = [_fitted(codec, image, size, settings) for settings in SETTINGS[codec]]
    fitting = [coded for coded in made if coded.bytes <= size]
    return (
        max(fitting, key=lambda coded: coded.psnr)
        if fitting
        else min(made, key=lambda coded: coded.bytes)
    )


def _fitted(codec: str, image: np.ndarray, size: int, settings: dict[str, Any]) -> Coded:
    code = partial(_encode, codec, settings, pixels(image))
    lossless = "lossless" in settings  # there the quality is the effort
    quality = 100 if lossless else _highest(lambda quality: len(code(quality)) <= size)
    data = code(quality)
    decoded = _decode(data, len(image))
    reached = psnr(decoded, image), ssim(decoded, image)
    return Coded(codec, None if lossless else quality, len(data), *reached)


def _highest(fits: Callable[[int], bool]) -> int:
    """The highest of the qualities 1 to 100 that fits, taking sizes to grow with quality."""
    low, high = 1, 100
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _encode(codec: str, settings: dict[str, Any], pixels: np.ndarray, quality: int) -> bytes:
    import PIL.Image
    import PIL.ImageFile

    buffer = io.BytesIO()
    # Pillow's guess at the size of an optimised JPEG is too small for noise at high qualities.
    block = PIL.ImageFile.MAXBLOCK
    PIL.ImageFile.MAXBLOCK = max(block, 4 * pixels.size)
    try:
        PIL.Image.fromarray(pixels).save(buffer, codec, quality=quality, **settings)
    finally:
        PIL.ImageFile.MAXBLOCK = block
    return buffer.getvalue()


def _decode(data: bytes, channels: int) -> np.ndarray:
    import PIL.Image

    picture = PIL.Image.open(io.BytesIO(data)).convert("L" if channels == 1 else "RGB")
    values = np.asarray(picture, np.float32) / 255
    return values[None] if channels == 1 else np.moveaxis(values, 2, 0)
