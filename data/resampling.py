"""Changing an image's size: the super-resolution operator, Pillow's resize, and padding."""

from functools import lru_cache

import numpy as np

from ..errors import TaskError

FloatArray = np.ndarray[tuple[int, ...], np.dtype[np.floating]]
Crop = tuple[slice, slice]


def lanczos_taps(zoom: int) -> FloatArray:
    """The 1-D kernel of the super-resolution operator, (4 * zoom,) float64 of sum 1.

    Tap i (from 1) lies at t = |i + 1/2 - (2 zoom + 1)| / zoom and weighs sinc(t) sinc(t / 2):
    Lanczos with two lobes, as in the published ISNAS-DIP system.

    >>> from dipbench.data.resampling import lanczos_taps
    >>> lanczos_taps(2).round(4).tolist()
    [-0.0089, -0.0419, 0.1165, 0.4343, 0.4343, 0.1165, -0.0419, -0.0089]
    """
    distance = np.abs(np.arange(1, 4 * zoom + 1) + 0.5 - (2 * zoom + 1)) / zoom
    taps = np.sinc(distance) * np.sinc(distance / 2)
    return np.asarray(taps / taps.sum())


@lru_cache(maxsize=32)
def lanczos_matrix(length: int, zoom: int) -> FloatArray:
    """The operator along one axis as a matrix, (length / zoom, length) float64, read-only.

    Replication padding of floor(3 zoom / 2), one more at the end for an odd zoom (where the
    published operator returns one value too few), then `lanczos_taps` at stride zoom. For an odd
    zoom the published operator, and so this one, samples half a pixel beside the blocks' centres.
    One matrix serves NumPy and torch, and its product is deterministic on every device.

    Raises:
        TaskError: `length` is no multiple of `zoom`.

    >>> from dipbench.data.resampling import lanczos_matrix
    >>> matrix = lanczos_matrix(96, 3)
    >>> matrix.shape, bool(abs(matrix.sum(axis=1) - 1).max() < 1e-12)
    ((32, 96), True)
    """
    if zoom < 1 or length % zoom:
        raise TaskError(
            f"super-resolution by {zoom} needs sides that are multiples of {zoom}, got {length}: "
            "crop the image or load it with a fitting size"
        )
    taps = lanczos_taps(zoom)
    matrix = np.zeros((length // zoom, length))
    for row in range(length // zoom):
        columns = np.arange(4 * zoom) + row * zoom - 3 * zoom // 2
        np.add.at(matrix[row], columns.clip(0, length - 1), taps)
    matrix.setflags(write=False)
    return matrix


def lanczos_downsample(array: FloatArray, zoom: int) -> FloatArray:
    """Apply the super-resolution operator to (..., H, W), giving (..., H / zoom, W / zoom).

    Computed in float64 and returned in the dtype of `array`.

    Raises:
        TaskError: A side is no multiple of `zoom`, or `array` holds no floats.

    >>> import numpy as np
    >>> from dipbench.data.resampling import lanczos_downsample
    >>> lanczos_downsample(np.ones((3, 96, 64)), 4).shape
    (3, 24, 16)
    """
    if array.ndim < 2 or array.dtype.kind != "f":
        raise TaskError(
            f"cannot downsample an array of shape {array.shape} of {array.dtype}; expected floats "
            "of (..., H, W), for the filter leaves the range of integers"
        )
    rows = lanczos_matrix(array.shape[-2], zoom)
    columns = lanczos_matrix(array.shape[-1], zoom)
    return (rows @ array.astype(np.float64) @ columns.T).astype(array.dtype)


def lanczos_resize(array: FloatArray, height: int, width: int) -> FloatArray:
    """Resize (C, H, W) with Pillow's antialiasing LANCZOS filter, each channel in float32.

    The filter rings: values of an image in [0, 1] may leave that range by a few percent.

    >>> import numpy as np
    >>> from dipbench.data.resampling import lanczos_resize
    >>> lanczos_resize(np.full((1, 96, 96), 0.5), 64, 32).shape
    (1, 64, 32)
    """
    from PIL import Image

    return np.stack(
        [
            np.asarray(
                Image.fromarray(channel).resize((width, height), Image.Resampling.LANCZOS),
                dtype=np.float32,
            )
            for channel in np.asarray(array, dtype=np.float32)
        ]
    )


def padded_sides(height: int, width: int, multiple: int = 32) -> tuple[tuple[int, int], Crop]:
    """The sides that `pad_to_multiple` gives an array of these, and where the array lies then.

    >>> padded_sides(70, 64)
    ((96, 64), (slice(13, 83, None), slice(0, 64, None)))
    """
    (top, bottom), (left, right) = _ends(height, multiple), _ends(width, multiple)
    area = slice(top, top + height), slice(left, left + width)
    return (top + height + bottom, left + width + right), area


def pad_to_multiple(array: FloatArray, multiple: int = 32) -> tuple[FloatArray, Crop]:
    """Pad (..., H, W) by reflection until both sides are multiples of `multiple`.

    The padding is shared between both ends (the odd pixel goes to the end) and reflects again
    where it is wider than the array.

    Returns:
        The padded array and the two slices that cut the original area out of it.

    >>> import numpy as np
    >>> from dipbench.data.resampling import pad_to_multiple
    >>> image = np.random.default_rng(0).random((3, 70, 64))
    >>> padded, (rows, columns) = pad_to_multiple(image, 32)
    >>> padded.shape, bool((padded[:, rows, columns] == image).all())
    ((3, 96, 64), True)
    """
    height, width = array.shape[-2:]
    ends = [(0, 0)] * (array.ndim - 2) + [_ends(height, multiple), _ends(width, multiple)]
    return np.pad(array, ends, mode="reflect"), padded_sides(height, width, multiple)[1]


def _ends(side: int, multiple: int) -> tuple[int, int]:
    """What is put before a side and after it."""
    missing = -side % multiple
    return missing // 2, missing - missing // 2
