"""Image files: PNG, JPEG and TIFF, 8 and 16 bits, read into arrays and written by rename."""

import logging
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DipbenchError, ImageError, MissingExtraError, one_line
from ..files import published
from .png16 import is_png16_colour, read_png16, write_png16

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage
    from PIL.TiffImagePlugin import TiffImageFile

SUFFIXES = (".jpeg", ".jpg", ".png", ".tif", ".tiff")
"""The file names that a folder of images is searched for, in lower case."""

_BITS_PER_SAMPLE, _PHOTOMETRIC, _ORIENTATION = 258, 262, 274  # TIFF and EXIF tags
_SAMPLE_FORMAT, _SIGNED, _FLOATS = 339, 2, 3
_EXTRA_SAMPLES, _MULTIPLIED = 338, 1
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # either byte order, and BigTIFF


def read_file(path: Path) -> np.ndarray:
    """Read an image file as (H, W) or (H, W, C), alpha last, turned upright as EXIF says.

    uint8 or uint16 as the file has them; floats where a TIFF holds floats; palettes and the colour
    that a PNG declares transparent are resolved.

    Raises:
        ImageError: The file is no PNG, JPEG or TIFF, is damaged, or holds several pages.
        MissingExtraError: it is a TIFF of 16 bits, or of floats in several channels, and tifffile
            is not installed.

    >>> import tempfile, numpy as np
    >>> from dipbench.data.imagefiles import read_file, save_image
    >>> path = Path(tempfile.mkdtemp()) / "grey.png"
    >>> save_image(path, np.full((1, 64, 70), 1.0), bits=16)
    >>> array = read_file(path)
    >>> array.shape, str(array.dtype), int(array.max())
    ((64, 70), 'uint16', 65535)
    """
    import PIL.Image
    from PIL.TiffImagePlugin import TiffImageFile

    try:
        with PIL.Image.open(path, formats=("PNG", "JPEG", "TIFF")) as picture:
            orientation = picture.getexif().get(_ORIENTATION, 1)
            # A JPEG of format MPO holds further views (of a phone's camera) after the picture.
            if picture.format != "MPO" and getattr(picture, "n_frames", 1) > 1:
                raise ImageError(f"{path} holds several pages: save the one you mean by itself")
            if isinstance(picture, TiffImageFile):
                _check_unsigned(picture, path)
            if is_png16_colour(path):
                array = _with_transparency(read_png16(path), picture)
            elif isinstance(picture, TiffImageFile) and _has_16_bits(picture):
                stored_as = picture.tag_v2.get(_PHOTOMETRIC, 1)
                _check_alpha(picture.tag_v2.get(_EXTRA_SAMPLES, ()), path)
                array = _grey_or_rgb(import_tifffile().imread(path), stored_as, path)
            else:
                if isinstance(picture, TiffImageFile):
                    orientation = 1  # Pillow turns it itself,
                    picture.filename = ""  # and wrongly where it maps the file into memory
                array = _decode(picture)
    except DipbenchError:
        raise
    except PIL.UnidentifiedImageError as error:
        if not _is_tiff(path):
            raise ImageError(_unreadable(path, error)) from error
        # Pillow knows floats of one channel alone, and no 16 bits of grey with alpha.
        array, orientation = _unknown_tiff(path, error)
    except Exception as error:  # what a damaged file makes of a parser is not foreseen
        raise ImageError(_unreadable(path, error)) from error
    return _upright(array, orientation)


def save_image(path: Path | str, array: np.ndarray, bits: int = 8) -> None:
    """Write an image file; a reader sees the whole file or none.

    Args:
        path: `.png`, `.tif` or `.tiff`.
        array: (C, H, W) with 1 or 3 channels, or (H, W); values are clipped to [0, 1] and rounded.
        bits: 8 or 16 for each channel.

    Raises:
        ImageError: Another suffix, dtype, depth or shape, values that are NaN, or an unwritable
            path.
        MissingExtraError: it is to be a TIFF, and tifffile is not installed.

    >>> import tempfile, numpy as np
    >>> from dipbench.data import load_image, save_image
    >>> path = Path(tempfile.mkdtemp()) / "red.png"
    >>> save_image(path, np.stack([np.ones((64, 64)), *np.zeros((2, 64, 64))]))
    >>> load_image(path).array[:, 0, 0].tolist()
    [1.0, 0.0, 0.0]
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".png", ".tif", ".tiff"):
        raise ImageError(f"cannot write {path}: the name must end in .png, .tif or .tiff")
    import PIL.Image

    levels = pixels(array, bits)
    write_tiff = import_tifffile().imwrite if suffix != ".png" else None
    with published(path, ImageError) as temporary:
        if write_tiff is not None:
            write_tiff(
                temporary,
                levels,
                photometric="rgb" if levels.ndim == 3 else "minisblack",
                compression="zlib",
                metadata=None,
                software=False,
            )
        elif bits == 16:
            write_png16(temporary, levels)
        else:
            PIL.Image.fromarray(levels).save(temporary, format="PNG")


def pixels(array: np.ndarray, bits: int = 8) -> np.ndarray:
    """An image as libraries for pictures take it: (H, W) or (H, W, 3) of uint8 or uint16.

    Args:
        array: (C, H, W) with 1 or 3 channels, or (H, W); values are clipped to [0, 1] and rounded.
        bits: 8 or 16 for each channel.

    Raises:
        ImageError: Another dtype, depth or shape, or values that are NaN.

    >>> pixels(np.full((3, 1, 2), 0.5)).tolist()
    [[[128, 128, 128], [128, 128, 128]]]
    """
    if bits not in (8, 16):
        raise ImageError(f"cannot write {bits} bits for each channel: choose 8 or 16")
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "bf":
        given = getattr(array, "dtype", type(array).__name__)
        raise ImageError(
            f"cannot write {given} values; expected floats in [0, 1] (load_image makes them)"
        )
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or array.shape[0] not in (1, 3) or not array.size:
        raise ImageError(f"cannot write an array of shape {array.shape}; expected (1 or 3, H, W)")
    if not np.isfinite(array).all():
        raise ImageError("cannot write an image with NaN or infinite values")
    dtype = np.uint8 if bits == 8 else np.uint16
    levels = np.rint(array.astype(np.float64).clip(0, 1) * np.iinfo(dtype).max).astype(dtype)
    return np.ascontiguousarray(levels[0] if len(levels) == 1 else np.moveaxis(levels, 0, 2))


def import_tifffile() -> Any:
    """The library that TIFFs are read and written with.

    Raises:
        MissingExtraError: it is not installed.

    >>> import_tifffile().__name__
    'tifffile'
    """
    try:
        import tifffile
    except ImportError as error:
        raise MissingExtraError("train", "reading and writing TIFF files") from error
    # It logs every oddity of a damaged file, to the terminal where nobody has said otherwise.
    logging.getLogger("tifffile").addHandler(logging.NullHandler())
    return tifffile


def _is_tiff(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) in _TIFF_STARTS


def _check_unsigned(picture: "TiffImageFile", path: Path) -> None:
    """Refuse integers that are signed, which Pillow hides where they have 8 bits, or of 32 bits."""
    formats = _of_samples(picture, _SAMPLE_FORMAT)
    if _SIGNED in formats:
        raise ImageError(f"{path} holds signed integers: save it with unsigned ones or floats")
    if 32 in _of_samples(picture, _BITS_PER_SAMPLE) and _FLOATS not in formats:
        raise ImageError(f"{path} holds integers of 32 bits: save it with 8 or 16, or with floats")


def _check_alpha(extra: Sequence[int], path: Path) -> None:
    """Refuse colours that are stored multiplied by their alpha, of whose kind Pillow undoes some.

    Args:
        extra: The TIFF's tag of that name.
        path: Of the file.
    """
    if _MULTIPLIED in extra:
        raise ImageError(
            f"{path} has colours multiplied by its alpha: save it with unassociated alpha, or none"
        )


def _has_16_bits(picture: "TiffImageFile") -> bool:
    return _of_samples(picture, _BITS_PER_SAMPLE) == {16}


def _of_samples(picture: "TiffImageFile", tag: int) -> set[int]:
    """What a tag says of the samples of a pixel."""
    told = picture.tag_v2.get(tag, 1)
    return set(told if isinstance(told, tuple) else (told,))


def _grey_or_rgb(array: np.ndarray, stored_as: int, path: Path) -> np.ndarray:
    """(H, W) or (H, W, C) of a TIFF's samples, black at 0, which tifffile gives as they are stored.

    Raises:
        ImageError: They are of other colours than grey or RGB.
    """
    if stored_as not in (0, 1, 2):
        raise ImageError(f"{path} is neither grey nor RGB: save it as RGB first")
    array = _interleaved(array)
    return _from_white(array) if stored_as == 0 else array


def _from_white(array: np.ndarray) -> np.ndarray:
    """Grey values stored from white, black at 0; alpha beside them stays as it is."""
    white = 1 if array.dtype.kind == "f" else np.iinfo(array.dtype).max
    if array.ndim == 2:
        return white - array
    return np.dstack([white - array[:, :, 0], array[:, :, 1:]])


def _unknown_tiff(path: Path, unknown: Exception) -> tuple[np.ndarray, int]:
    """(H, W, C) of a TIFF of floats, or of 16 bits, that Pillow does not know; its orientation.

    Raises:
        ImageError: It is none, is damaged or too large, or holds several pages.
    """
    import PIL.Image

    tifffile = import_tifffile()
    limit = 2 * (PIL.Image.MAX_IMAGE_PIXELS or inf)  # where Pillow refuses what it reads itself
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            if page.dtype is None or not (page.dtype.kind == "f" or page.dtype == np.uint16):
                raise unknown
            if len(file.pages) > 1:
                raise ImageError(f"{path} holds several pages: save the one you mean by itself")
            if page.imagewidth * page.imagelength > limit:
                raise ImageError(f"{path} has more than {limit:,} pixels: cut it into smaller ones")
            _check_alpha(page.extrasamples, path)
            orientation = page.tags.valueof(_ORIENTATION, 1)
            return _grey_or_rgb(page.asarray(), int(page.photometric), path), orientation
    except ImageError:
        raise
    except Exception as error:  # what a damaged file makes of a parser is not foreseen
        told = unknown if isinstance(error, tifffile.TiffFileError) else error
        raise ImageError(_unreadable(path, told)) from error


def _unreadable(path: Path, error: Exception) -> str:
    told = one_line(error) or type(error).__name__
    return f"{path} cannot be read as a PNG, JPEG or TIFF image: {told}"


def _interleaved(array: np.ndarray) -> np.ndarray:
    """(H, W, C) of a TIFF whose channels may be stored plane by plane."""
    planar = array.ndim == 3 and array.shape[0] <= 4 < array.shape[2]
    return np.moveaxis(array, 0, 2) if planar else array


def _decode(picture: "PillowImage") -> np.ndarray:
    if "transparency" in picture.info and picture.mode in ("1", "L", "P", "RGB"):
        picture = picture.convert("LA" if picture.mode in ("1", "L") else "RGBA")
    elif picture.mode in ("P", "CMYK", "YCbCr", "LAB", "HSV"):
        picture = picture.convert("RGB")
    elif picture.mode in ("PA", "RGBa", "La"):
        picture = picture.convert("LA" if picture.mode == "La" else "RGBA")
    array = np.asarray(picture)
    if picture.format == "TIFF" and picture.mode == "F":
        from_white = picture.tag_v2.get(_PHOTOMETRIC, 1) == 0  # type: ignore[attr-defined]
        return _from_white(array) if from_white else array
    if picture.format == "PNG" and picture.mode in ("I", "I;16"):  # I: in Pillow before 11
        return _with_transparency(array.astype(np.uint16), picture)
    if picture.format == "TIFF" and picture.mode == "I;16":  # of fewer bits: see `_has_16_bits`
        bits: int = picture.tag_v2[_BITS_PER_SAMPLE][0]  # type: ignore[attr-defined]
        return np.asarray(np.rint(array * (65535 / (2**bits - 1))), np.uint16)
    return array


def _with_transparency(levels: np.ndarray, picture: "PillowImage") -> np.ndarray:
    """uint16 levels of a PNG, with alpha 0 where they are of the colour declared transparent."""
    colour = picture.info.get("transparency")
    if colour is None:
        return levels
    height, width = levels.shape[:2]
    differs = (levels != np.asarray(colour)).reshape(height, width, -1).any(axis=2)
    return np.dstack([levels, np.where(differs, 65535, 0).astype(np.uint16)])


def _upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation: values 2 to 8 are flips, turns, or both."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array
