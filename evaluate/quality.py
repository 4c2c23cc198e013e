"""How near a restored image is to the truth: PSNR in dB, PSNR of luma, SSIM."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import MissingExtraError, ScoreError, one_line

LUMA_SCALE = np.array([65.481, 128.553, 24.966]) / 255
LUMA_OFFSET = 16 / 255
"""Red, green, blue in [0, 1] to limited-range luma (ITU-R BT.601): black 16/255, white 235/255."""


def check_picture(name: str, array: ArrayLike) -> NDArray[np.float64]:
    """`array` as float64 (C, H, W).

    Raises:
        ScoreError: if it has another number of axes, no values, values that are no finite real
            numbers, or whole numbers above 1, such as those of a file.
    """
    try:
        values = np.asarray(array)
    except (ValueError, RuntimeError, TypeError) as error:  # ragged, or such a tensor
        raise ScoreError(f"{name} is no array: {one_line(error)}") from error
    if values.dtype.kind not in "fiub":
        raise ScoreError(f"{name} holds {values.dtype}: give real numbers")
    if values.ndim != 3 or values.size == 0:
        raise ScoreError(f"{name} has shape {values.shape}: give (channels, height, width)")
    if values.dtype.kind in "iu" and values.max() > 1:
        raise ScoreError(f"{name} holds {values.dtype} up to {values.max()}: scale it to [0, 1]")
    values = values.astype(np.float64, copy=False)
    if not np.isfinite(values).all():
        raise ScoreError(f"{name} holds NaN or infinite values: give finite numbers")
    return values


def psnr(a: ArrayLike, b: ArrayLike) -> float:
    """Peak signal-to-noise ratio in dB: peak 1, over all channels, uncropped.

    10 log10(1 / mean((a - b)^2)); infinite where the two are equal.

    Args:
        a: values in [0, 1], (C, H, W).
        b: likewise, of the same shape.

    Raises:
        ScoreError: if the shapes differ or are no (C, H, W), a value is not finite, or they are
            whole numbers above 1, such as those of a file.

    >>> import numpy as np
    >>> from dipbench.evaluate import psnr
    >>> round(psnr(np.zeros((1, 8, 8)), np.full((1, 8, 8), 0.1)), 6)
    20.0
    """
    a, b = _pair(a, b)
    return _decibels(float(np.mean((a - b) ** 2)))


def psnr_y(a: ArrayLike, b: ArrayLike, crop: int = 0) -> float:
    """PSNR of the luma in dB: limited-range BT.601, peak 1, as super-resolution is reported.

    Luma spans 16/255 to 235/255, so an error that is equal in all channels counts 1.3 dB less
    than in `psnr`. A grey image is taken as one of three equal channels.

    Args:
        a: values in [0, 1], (1, H, W) or (3, H, W).
        b: likewise, of the same shape.
        crop: pixels left out along every border; published figures often use the zoom factor.

    Raises:
        ScoreError: if the shapes differ or have another number of channels, a value is not
            finite, or the crop leaves nothing.

    >>> import numpy as np
    >>> from dipbench.evaluate import psnr_y
    >>> round(psnr_y(np.zeros((3, 8, 8)), np.full((3, 8, 8), 0.1), crop=2), 3)
    21.322
    """
    a, b = _pair(a, b)
    channels, height, width = a.shape
    if channels not in (1, 3):
        raise ScoreError(f"luma of shape {a.shape}: give 1 or 3 channels")
    if not 0 <= 2 * crop < min(height, width):
        raise ScoreError(
            f"crop {crop} on {height}x{width}: give 0 to {(min(a.shape[1:]) - 1) // 2}"
        )
    inner = np.s_[:, crop : height - crop, crop : width - crop]
    return _decibels(float(np.mean((_luma(a[inner]) - _luma(b[inner])) ** 2)))


def import_ssim() -> Any:
    """What `ssim` is computed by, to see before long work that it is there.

    Raises:
        MissingExtraError: scikit-image is not installed.

    >>> import_ssim().__name__
    'structural_similarity'
    """
    try:
        from skimage.metrics import structural_similarity
    except ImportError as error:
        raise MissingExtraError("train", "SSIM") from error
    return structural_similarity


def ssim(a: ArrayLike, b: ArrayLike) -> float:
    """Structural similarity (Wang et al., IEEE TIP 2004), mean over pixels and channels.

    Gaussian window of deviation 1.5 in 11x11 pixels, K1 0.01, K2 0.03, data range 1, population
    covariance: scikit-image's implementation with the paper's settings.

    Args:
        a: values in [0, 1], (C, H, W), sides of at least 11.
        b: likewise, of the same shape.

    Raises:
        ScoreError: if the shapes differ or are too small, or a value is not finite.
        MissingExtraError: if scikit-image is not installed.

    >>> import numpy as np
    >>> from dipbench.evaluate import ssim
    >>> picture = np.random.default_rng(0).random((1, 16, 16))
    >>> ssim(picture, picture)
    1.0
    """
    a, b = _pair(a, b)
    if min(a.shape[1:]) < 11:
        raise ScoreError(f"SSIM of shape {a.shape}: give sides of at least 11")
    structural_similarity = import_ssim()
    return float(
        structural_similarity(
            a,
            b,
            channel_axis=0,
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def _pair(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = check_picture("the first image", a), check_picture("the second image", b)
    if first.shape != second.shape:
        raise ScoreError(f"shapes differ: {first.shape} and {second.shape}; give two of one shape")
    return first, second


def _luma(picture: NDArray[np.float64]) -> NDArray[np.float64]:
    colour = np.broadcast_to(picture, (3, *picture.shape[1:]))
    return np.tensordot(LUMA_SCALE, colour, axes=1) + LUMA_OFFSET


def _decibels(mean_square: float) -> float:
    return math.inf if mean_square == 0 else -10 * math.log10(mean_square)
