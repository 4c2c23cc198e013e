"""The 16-bit grid on which images and observations are hashed, stored and trained on."""

import hashlib

import numpy as np

_LEVELS = 65535


def quantise(array: np.ndarray) -> np.ndarray:
    """The nearest 16-bit levels (uint16, same shape) of values in [0, 1], or within rounding of it.

    >>> from dipbench.data.quantisation import quantise
    >>> import numpy as np
    >>> quantise(np.array([0.0, 0.5, 1.0])).tolist()
    [0, 32768, 65535]
    """
    levels = np.rint(np.asarray(array, dtype=np.float64) * _LEVELS)
    return levels.clip(0, _LEVELS).astype(np.uint16)


def dequantise(levels: np.ndarray) -> np.ndarray:
    """The float32 values in [0, 1] of 16-bit levels; `quantise` gives the levels back exactly.

    >>> from dipbench.data.quantisation import dequantise, quantise
    >>> import numpy as np
    >>> levels = np.arange(65536, dtype=np.uint16)
    >>> bool((quantise(dequantise(levels)) == levels).all())
    True
    """
    return (levels.astype(np.float64) / _LEVELS).astype(np.float32)


def on_grid(array: np.ndarray) -> np.ndarray:
    """Values in [0, 1] moved to the nearest 16-bit level: float32, C order, read-only.

    >>> from dipbench.data.quantisation import on_grid
    >>> import numpy as np
    >>> float(on_grid(np.array([0.25]))[0] * 65535)
    16384.0
    """
    array = np.ascontiguousarray(dequantise(quantise(array)))
    array.setflags(write=False)
    return array


def content_sha256(array: np.ndarray) -> str:
    """SHA-256 over the shape (as text) and the 16-bit levels of values in [0, 1].

    >>> import numpy as np
    >>> from dipbench.data.quantisation import content_sha256
    >>> content_sha256(np.zeros((1, 2, 2)))[:16]
    '42f04b74bdd76457'
    """
    digest = hashlib.sha256(str(tuple(array.shape)).encode())
    digest.update(quantise(array).astype("<u2").tobytes())
    return digest.hexdigest()
