"""Images: what a name means, how an array becomes one, and where they are loaded from."""

import operator
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ..errors import ImageError
from .layouts import channels_first, check_planes, check_values, in_colour
from .quantisation import content_sha256, on_grid
from .resampling import lanczos_resize
from .sources import expand, read_source

Source = str | Path | np.ndarray
"""A packaged name, the path of an image file, or an array."""

LARGEST_SIDE = 8192
"""The largest side that an image is resized to, in pixels."""

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
        MissingExtraError: it is a packaged image and scikit-image is not installed, or a TIFF of
            16 bits, or of floats in several channels, and tifffile is not.

    >>> from dipbench.data import load_image
    >>> load_image("camera", size=64).shape
    (1, 64, 64)
    """
    array, own_name = read_array(source)
    label = name or own_name or "the array"
    array = channels_first(array, label)
    _check_array(label, array)
    array = in_colour(array, colour)
    if size is not None:
        array = _square(label, array, size)
    return Image(name or own_name or f"array-{content_sha256(array)[:8]}", array)


def read_array(source: "Source | Image") -> tuple[np.ndarray, str | None]:
    """`read_source` of an image too: its array and its name.

    Raises:
        ImageError: As `read_source` does.
        MissingExtraError: As `read_source` does.

    >>> import numpy as np
    >>> from dipbench.data import Image
    >>> from dipbench.data.images import read_array
    >>> read_array(Image("half", np.full((1, 64, 96), 0.5)))[1]
    'half'
    """
    return (source.array, source.name) if isinstance(source, Image) else read_source(source)


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
    try:
        size = operator.index(size)
    except TypeError as error:
        raise ImageError(f"size {size!r} is no whole number of pixels: give one") from error
    if size < MINIMUM_SIDE:
        raise ImageError(f"size {size} is too small: the networks need {MINIMUM_SIDE} or more")
    if size > LARGEST_SIDE:
        raise ImageError(f"size {size} is too large: give at most {LARGEST_SIDE}")
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
    is_text = isinstance(name, str) and name.strip() and name.isprintable()
    if not is_text or name in (".", "..") or set(name) & set("/\\,"):
        raise ImageError(
            f"{name!r} is no name for an image: it must be printable text without '/', '\\' and "
            "',' (rename the file, or pass name= in Python)"
        )


def check_sides(label: str, shape: tuple[int, ...], zoom: int = 1) -> None:
    """Refuse a picture (C, H, W) that is too small, once enlarged by `zoom`.

    Raises:
        ImageError: a side is under `MINIMUM_SIDE` pixels then.

    >>> check_sides("thumb.png", (1, 16, 16), zoom=4)
    """
    if zoom * min(shape[1:]) < MINIMUM_SIDE:
        raise ImageError(
            f"{label} is {shape[2]} pixels wide and {shape[1]} high; "
            f"both must be {-(-MINIMUM_SIDE // zoom)} or more"
        )


def _check_array(label: str, array: np.ndarray) -> None:
    check_planes(label, array)
    check_sides(label, array.shape)
    check_values(label, array)
