"""Masks of missing pixels: (H, W) of bool, True where a pixel is known."""

import hashlib
import warnings
from pathlib import Path

import numpy as np

from ..errors import ImageError
from .layouts import channels_first, check_values, in_colour
from .sources import read_source

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def bernoulli_mask(height: int, width: int, missing: float, rng: np.random.Generator) -> np.ndarray:
    """Each pixel is missing by itself with probability `missing`.

    >>> import numpy as np
    >>> from dipbench.data.masks import bernoulli_mask
    >>> bernoulli_mask(64, 96, 0.5, np.random.default_rng(0)).shape
    (64, 96)
    """
    return np.asarray(rng.random((height, width)) >= missing)


def hole_mask(height: int, width: int, side: float) -> np.ndarray:
    """A centred rectangle is missing, `side` times as high and as wide as the image.

    >>> from dipbench.data.masks import hole_mask
    >>> int((~hole_mask(64, 96, 0.25)).sum()) == 16 * 24
    True
    """
    rows, columns = max(1, round(side * height)), max(1, round(side * width))
    top, left = (height - rows) // 2, (width - columns) // 2
    mask = np.ones((height, width), dtype=bool)
    mask[top : top + rows, left : left + columns] = False
    return mask


def text_mask(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Lines of random words are missing.

    Drawn in the bitmap font that comes with Pillow (11 pixels high), enlarged by a whole factor
    so that an image holds eight lines or more, or under 128 pixels as many as fit.

    >>> import numpy as np
    >>> from dipbench.data.masks import text_mask
    >>> mask = text_mask(64, 96, np.random.default_rng(0))
    >>> mask.shape, bool(mask.any() and not mask.all())
    ((64, 96), True)
    """
    from PIL import Image, ImageDraw, ImageFont

    factor = max(1, min(height, width) // 128)
    rows, columns = -(-height // factor), -(-width // factor)
    page = Image.new("1", (columns, rows))
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default_imagefont()
    pitch = 16
    for top in range((pitch - 11) // 2, rows, pitch):
        draw.text((0, top), _words(columns // 6 + 1, rng), fill=1, font=font)
    letters = np.asarray(page, dtype=bool).repeat(factor, axis=0).repeat(factor, axis=1)
    return ~letters[:height, :width]


GREY, GREY_SHARE = 0.1, 0.01
"""What has more levels so far from black and from white was perhaps not meant as a mask."""


def load_mask(source: str | Path | np.ndarray) -> np.ndarray:
    """Read a mask: white (half or more) and True are known pixels, black and False missing ones.

    Args:
        source: An image file, or an array of any layout that `load_image` takes.

    Raises:
        ImageError: The source cannot be read, or is no picture of black and white.

    >>> import numpy as np
    >>> from dipbench.data.masks import load_mask
    >>> load_mask(np.array([[0, 255]], np.uint8)).tolist()
    [[False, True]]
    """
    array, name = read_source(source)
    label = name or "the mask"
    if array.dtype.kind == "u" and array.size and array.max() == 1:
        raise ImageError(
            f"{label} holds 0 and 1 as {array.dtype}; expected black and white, 0 and "
            f"{np.iinfo(array.dtype).max}, or an array of bool"
        )
    planes = channels_first(array, label)
    check_values(label, planes)
    levels = in_colour(planes, False)[0]
    if np.mean((levels > GREY) & (levels < 1 - GREY)) > GREY_SHARE:
        warnings.warn(f"{label} has greys: those of half or more are taken as known", stacklevel=2)
    return np.asarray(levels >= 0.5)


def mask_sha256(mask: np.ndarray) -> str:
    """SHA-256, in hexadecimal, over a mask's shape and bits.

    >>> import numpy as np
    >>> from dipbench.data.masks import mask_sha256
    >>> mask_sha256(np.eye(64, dtype=bool))[:8]
    'c5bebc55'
    """
    digest = hashlib.sha256(str(mask.shape).encode())
    digest.update(np.packbits(mask).tobytes())
    return digest.hexdigest()


def _words(length: int, rng: np.random.Generator) -> str:
    """Random words of two to nine letters, at least `length` characters in all."""
    text = ""
    while len(text) < length:
        text += "".join(rng.choice(list(_LETTERS), size=rng.integers(2, 10))) + " "
    return text
