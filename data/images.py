"""Images: what a name means, how an array becomes one, and where they are loaded from."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ..errors import ImageError
from .layouts import channels_first, in_colour
from .quantisation import content_sha256, on_grid
from .resampling import lanczos_resize
from .sources import expand, read_source

Source = str | Path | np.ndarray
"""A packaged name, the path of an image file, or an array."""

MINIMUM_SIDE = 64
"""The smallest side of an image, in pixels: the networks halve it five times."""


@dataclass(frozen=True, eq=False)
class Image:
    r"""A named picture.

    The values are kept on the 16-bit grid (at most 7.7e-6 from what was given), so that what is
    hashed, stored and trained on is one and the same. Equal name and content are equal images.

    Args:
        name: How it is called in a benchmark: printable, without `/`, `\` and `,`.
        array: (C, H, W) in [0, 1], 1 or 3 channels, sides of at least 64; kept as float32,
            read-only.

    Raises:
        ImageError: The name or the array is not like that.

    >>> import numpy as np
    >>> from dipbench.data import Image
    >>> Image("half", np.full((1, 64, 96), 0.5))
    Image('half', 1x64x96, sha256 656de0cc…)
    """

    name: str
    array: np.ndarray

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_array(self.name, self.array)
        object.__setattr__(self, "array", on_grid(self.array))

    @cached_property
    def sha256(self) -> str:
        """SHA-256, in hexadecimal, over the shape and the 16-bit levels (little-endian)."""
        return content_sha256(self.array)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        channels, height, width = self.array.shape
        return channels, height, width

    @property
    def channels(self) -> int:
        """1 (grey) or 3 (red, green, blue)."""
        return self.shape[0]

    @property
    def height(self) -> int:
        """Rows, in pixels."""
        return self.shape[1]

    @property
    def width(self) -> int:
        """Columns, in pixels."""
        return self.shape[2]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Image):
            return NotImplemented
        return self.name == other.name and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash((self.name, self.sha256))

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.shape))
        return f"Image({self.name!r}, {shape}, sha256 {self.sha256[:8]}…)"


def load_image(
    source: "Source | Image",
    size: int | None = None,
    colour: bool | None = None,
    name: str | None = None,
) -> Image:
    """Load a packaged image, an image file or an array.

    Args:
        source: A name of `PACKAGED`; a PNG, JPEG or TIFF file (8 or 16 bits, turned as its EXIF
            says); or an array (H, W), (H, W, C) or (C, H, W) of uint8, uint16, bool, or floats in
            [0, 1]. Alpha is dropped with a warning.
        size: The largest centred square is cut out and resized to `size` x `size` with Pillow's
            antialiasing LANCZOS filter, clipped to [0, 1]. None keeps the image as it is.
        colour: None keeps the source's own channels, False makes it grey (`layouts.LUMA`), True
            gives it three channels.
        name: Defaults to the packaged name, the file's stem, or `array-` and 8 digits of the
            array's SHA-256.

    Raises:
        ImageError: The source is unknown, unreadable, under 64 pixels, NaN or outside [0, 1].
        MissingExtraError: it is a packaged image or a TIFF, and scikit-image is not installed.

    >>> from dipbench.data import load_image
    >>> load_image("camera", size=64).shape
    (1, 64, 64)
    """
    array, own_name = (
        (source.array, source.name) if isinstance(source, Image) else read_source(source)
    )
    label = name or own_name or "the array"
    array = channels_first(array, label)
    _check_array(label, array)
    array = in_colour(array, colour)
    if size is not None:
        array = _square(label, array, size)
    return Image(name or own_name or f"array-{content_sha256(array)[:8]}", array)


def load_images(
    spec: "Source | Image | Iterable[Source | Image]",
    size: int | None = None,
    colour: bool | None = None,
) -> list[Image]:
    """Load several images: `camera,coins,photos/,portrait.png`.

    Args:
        spec: Packaged names, files and folders, as one text with commas or one by one. A folder
            stands for its PNG, JPEG and TIFF files in order of name.
        size: As in `load_image`.
        colour: As in `load_image`.

    Returns:
        The images in the order given; one that is given twice appears once.

    Raises:
        ImageError: As in `load_image`; also a folder without images, an empty `spec`, or a name
            that would mean two contents.

    >>> from dipbench.data import load_images
    >>> [image.name for image in load_images("camera,coins", size=64)]
    ['camera', 'coins']
    """
    images: dict[str, Image] = {}
    given = [spec] if isinstance(spec, Image) else expand(spec)
    for source in given:
        image = load_image(source, size, colour)
        if images.setdefault(image.name, image) != image:
            raise ImageError(
                f"the name {image.name!r} means two different images (one of them {source}): "
                "rename a file, for a name must mean one content"
            )
    if not images:
        raise ImageError("no images given: name packaged images, files or folders")
    return list(images.values())


def _square(label: str, array: np.ndarray, size: int) -> np.ndarray:
    if size < MINIMUM_SIDE:
        raise ImageError(f"size {size} is too small: the networks need {MINIMUM_SIDE} or more")
    height, width = array.shape[1:]
    side = min(height, width)
    if side < size:
        warnings.warn(f"{label} is enlarged from {side} to {size} pixels", stacklevel=3)
    top, left = (height - side) // 2, (width - side) // 2
    square = array[:, top : top + side, left : left + side]
    if side == size:
        return square
    return lanczos_resize(square, size, size).clip(0, 1)


def _check_name(name: str) -> None:
    if not name.strip() or not name.isprintable() or name in (".", "..") or set(name) & set("/\\,"):
        raise ImageError(
            f"{name!r} is no name for an image: it must be printable, without '/', '\\' and ',' "
            "(rename the file or pass name=)"
        )


def _check_sides(label: str, array: np.ndarray) -> None:
    if min(array.shape[1:]) < MINIMUM_SIDE:
        raise ImageError(
            f"{label} is {array.shape[2]} pixels wide and {array.shape[1]} high; "
            f"both must be {MINIMUM_SIDE} or more"
        )


def _check_array(label: str, array: np.ndarray) -> None:
    if array.ndim != 3 or array.shape[0] not in (1, 3):
        raise ImageError(
            f"{label} has the shape {array.shape}; expected (C, H, W) with 1 or 3 channels "
            "(load_image takes the other layouts)"
        )
    _check_sides(label, array)
    if not np.issubdtype(array.dtype, np.floating):
        raise ImageError(f"{label} holds {array.dtype}; expected floats (load_image takes others)")
    if not np.isfinite(array).all():
        count = int((~np.isfinite(array)).sum())
        raise ImageError(
            f"{label} holds {count} NaN or infinite values; to restore missing pixels use "
            "load_observation with an inpainting task"
        )
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 1:
        raise ImageError(f"{label} has values from {low:g} to {high:g}; expected [0, 1]")
