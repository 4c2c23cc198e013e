"""Bringing arrays of any usual layout and dtype to channels first and [0, 1]."""

import warnings

import numpy as np

from ..errors import ImageError

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a grey value (ITU-R BT.601, as Pillow's mode L)."""

ALPHA_DROPPED = "{}: the alpha channel was dropped"

HALF_LEVEL = 0.5 / 65535
"""How far rounding may leave a value outside [0, 1]: it is moved to the nearest 16-bit level."""


def channels_first(array: np.ndarray, label: str) -> np.ndarray:
    """Bring (H, W), (H, W, C) or (C, H, W) to (C, H, W) of float64, alpha dropped with a warning.

    uint8 and uint16 are divided by 255 and 65535; bool and floats are taken as they are.

    Raises:
        ImageError: Another number of axes or channels, or another dtype.

    >>> import numpy as np
    >>> from dipbench.data.layouts import channels_first
    >>> channels_first(np.full((80, 64, 3), 255, np.uint8), "white").shape
    (3, 80, 64)
    """
    values, alpha = split_alpha(array, label)
    if alpha is not None:
        warnings.warn(ALPHA_DROPPED.format(label), stacklevel=3)
    return values


def split_alpha(array: np.ndarray, label: str) -> tuple[np.ndarray, np.ndarray | None]:
    """`channels_first` with the alpha channel apart: (C, H, W) and (H, W) or None, in float64.

    >>> import numpy as np
    >>> from dipbench.data.layouts import split_alpha
    >>> colours, alpha = split_alpha(np.ones((80, 64, 4)), "white")
    >>> colours.shape, alpha.shape
    ((3, 80, 64), (80, 64))
    """
    array = unmasked(array, label)
    if array.ndim == 2:
        array = array[None]
    elif array.ndim == 3 and array.shape[0] > 4 >= array.shape[2]:
        array = np.moveaxis(array, 2, 0)
    if array.ndim != 3 or not 1 <= array.shape[0] <= 4:
        raise ImageError(
            f"{label} has the shape {array.shape}; expected (H, W), (H, W, C) or (C, H, W) with "
            "1 or 3 channels and possibly alpha"
        )
    if array.dtype.kind == "u" and array.dtype.itemsize <= 2:
        values = array.astype(np.float64) / np.iinfo(array.dtype).max
    elif array.dtype == bool or np.issubdtype(array.dtype, np.floating):
        values = array.astype(np.float64)
    else:
        raise ImageError(
            f"{label} holds {array.dtype}; expected uint8, uint16, bool or floats in [0, 1]"
        )
    return (values, None) if len(values) in (1, 3) else (values[:-1], values[-1])


def unmasked(array: np.ndarray, label: str) -> np.ndarray:
    """The array itself, or of a subclass such as `numpy.matrix` its plain values.

    Raises:
        ImageError: It is a masked array, whose mask would be lost.

    >>> import numpy as np
    >>> from dipbench.data.layouts import unmasked
    >>> unmasked(np.ones(2), "white").shape
    (2,)
    """
    if isinstance(array, np.ma.MaskedArray):
        raise ImageError(
            f"{label} is a masked array; expected a plain one: give its .filled(), and what is "
            "missing as mask="
        )
    return np.asarray(array)


def in_colour(array: np.ndarray, colour: bool | None) -> np.ndarray:
    """Make (C, H, W) grey (False, weights `LUMA`) or of three channels (True); None keeps it.

    >>> import numpy as np
    >>> from dipbench.data.layouts import in_colour
    >>> red = np.stack([np.ones((1, 2)), *np.zeros((2, 1, 2))])
    >>> in_colour(red, colour=False).tolist()
    [[[0.299, 0.299]]]
    """
    if colour is False and array.shape[0] == 3:
        return np.tensordot(np.array(LUMA), array, axes=1)[None]
    if colour is True and array.shape[0] == 1:
        return np.repeat(array, 3, axis=0)
    return array


def check_planes(label: str, array: object, reader: str = "load_image") -> None:
    """Refuse what is no (C, H, W) array of floats with 1 or 3 channels.

    Args:
        label: What the message calls it.
        array: What is checked.
        reader: The function that takes other layouts.

    Raises:
        ImageError: It is none.

    >>> import numpy as np
    >>> from dipbench.data.layouts import check_planes
    >>> check_planes("white", np.ones((3, 64, 64)))
    """
    if not isinstance(array, np.ndarray):
        raise ImageError(f"{label} is a {type(array).__name__}; expected a NumPy array (C, H, W)")
    array = unmasked(array, label)
    if array.ndim != 3 or array.shape[0] not in (1, 3) or array.size == 0:
        raise ImageError(
            f"{label} has the shape {array.shape}; expected (C, H, W) with 1 or 3 channels "
            f"({reader} takes the other layouts)"
        )
    if not np.issubdtype(array.dtype, np.floating):
        raise ImageError(f"{label} holds {array.dtype}; expected floats ({reader} takes others)")


def check_values(label: str, array: np.ndarray) -> None:
    """Refuse values that are NaN, infinite or outside [0, 1].

    Raises:
        ImageError: There are such values.

    >>> import numpy as np
    >>> from dipbench.data.layouts import check_values
    >>> check_values("white", np.ones((3, 64, 64)))
    """
    if not np.isfinite(array).all():
        count = int((~np.isfinite(array)).sum())
        raise ImageError(
            f"{label} holds {count} NaN or infinite values; to restore missing pixels use "
            "load_observation with an inpainting task"
        )
    low, high = float(array.min()), float(array.max())
    if low < -HALF_LEVEL or high > 1 + HALF_LEVEL:
        raise ImageError(f"{label} has values from {low:g} to {high:g}; expected [0, 1]")
