"""What the text for an image means: a packaged name, a file, a folder, a list with commas."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..errors import ImageError, MissingExtraError, unknown
from ..files import expanded
from .imagefiles import SUFFIXES, read_file

T = TypeVar("T")

PACKAGED: tuple[str, ...] = (
    "astronaut", "brick", "camera", "cell", "checkerboard", "chelsea", "clock", "coffee", "coins",
    "colorwheel", "grass", "gravel", "horse", "hubble_deep_field", "immunohistochemistry",
    "microaneurysms", "moon", "page", "retina", "rocket", "shepp_logan_phantom", "text",
)  # fmt: skip
"""The images inside scikit-image's wheel (no download); all are functions of `skimage.data`."""


def read_source(source: str | Path | np.ndarray) -> tuple[np.ndarray, str | None]:
    """The array of a packaged name, a file or an array as it is, and the name that it suggests.

    A text that is a packaged name means that, even where a file is called so.

    Raises:
        ImageError: The text names nothing, the file cannot be read, or it is none of the three.
        MissingExtraError: it is a packaged image and scikit-image is not installed, or a TIFF of
            16 bits, or of floats in several channels, and tifffile is not.

    >>> from dipbench.data.sources import read_source
    >>> array, name = read_source("chelsea")
    >>> array.shape, name
    ((300, 451, 3), 'chelsea')
    """
    if isinstance(source, np.ndarray):
        return source, None
    if isinstance(source, str) and source in PACKAGED:
        try:
            from skimage import data
        except ImportError as error:
            raise MissingExtraError("train", "loading a packaged image") from error
        return np.asarray(getattr(data, source)()), source
    if isinstance(source, str) and not source.strip():
        raise ImageError("the name of the image is empty: give a packaged name or a path")
    try:
        path = Path(source)
    except TypeError as error:
        raise ImageError(
            f"cannot read an image from {type(source).__name__} {source!r:.60}: give a packaged "
            "name, the path of an image file or a NumPy array"
        ) from error
    if not _exists(path):
        named = isinstance(source, str) and path.name == source
        is_path = not named or path.suffix.lower() in SUFFIXES
        raise ImageError(
            f"no such image file: {path}"
            if is_path
            else f"{unknown('image', source, PACKAGED)}; or give the path of an image file"
        )
    if path.is_dir():
        raise ImageError(f"{path} is a folder: give one of its files")
    array = read_file(path)
    # Channels first, for a picture of few rows could be taken for one of few channels.
    return np.moveaxis(array, 2, 0) if array.ndim == 3 else array, path.stem


def expand(spec: str | Path | np.ndarray | Iterable[T]) -> Iterable[T | str | Path | np.ndarray]:
    """The single sources in a text with commas or an iterable; a folder gives its image files.

    Raises:
        ImageError: A folder holds no image.

    >>> from dipbench.data.sources import expand
    >>> list(expand("camera, coins,"))
    ['camera', 'coins']
    """
    sources: Iterable[T | str | Path | np.ndarray]
    if isinstance(spec, str) and not (spec.strip() and _exists(Path(spec))):
        parts = (part.strip() for part in spec.split(",") if part.strip())
        # No shell expands what stands behind a comma.
        sources = [str(expanded(Path(part))) if part.startswith("~/") else part for part in parts]
    elif isinstance(spec, str | Path | np.ndarray) or not isinstance(spec, Iterable):
        sources = [spec]
    else:
        sources = spec
    for source in sources:
        if _is_folder(source):
            yield from _image_files(Path(str(source)))
        else:
            yield source


def _is_folder(source: object) -> bool:
    if not isinstance(source, str | Path) or source in PACKAGED:
        return False
    return _exists(Path(source)) and Path(source).is_dir()


def _image_files(folder: Path) -> list[Path]:
    files = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
    if not files:
        raise ImageError(f"folder {folder} holds no image ({', '.join(SUFFIXES)})")
    return files


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a long list with commas is no file name
        return False
