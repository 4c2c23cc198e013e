"""What a searcher may see of a training: declared apart from what the search is judged by."""

from collections.abc import Mapping

import numpy as np

from ...errors import ProtocolError, QueryError, unknown
from ...evaluate.stopping import PUBLISHED_ALPHA, STOPPING

SIGNALS = {
    "observed_loss": "lowest loss against the observation so far; needs no truth",
    "variance": "moving variance of the output where it stops by `variance_scaled`; needs no truth",
    "discrepancy": "iterations until the output is as near to the picture as its noise is, where "
    "the training ends; needs the noise, no truth",
    "discrepancy_variance": "moving variance of the output where `discrepancy` ends the training; "
    "needs the noise, no truth",
    "other_images": "PSNR on the benchmark's other images; needs their truth, not this image's",
    "truth": "PSNR of this image: an upper bound, which no search without the truth can see",
}
"""Every signal by name."""

OF_ONE_TRAINING = {"observed_loss": "loss", "variance": "variance", "truth": "psnr_smooth"}
"""The signals that one training's curves tell, and of which kind of curve."""

UNTIL_NOISE = ("discrepancy_variance", "discrepancy")
"""The signals that end a training where it begins to fit the noise, the better one first."""

DEFAULT_SIGNAL = "observed_loss"
VARIANCE_CRITERION = "variance_scaled"


def check_signal(name: str) -> str:
    """Accept the name of a signal.

    Raises:
        QueryError: there is none of that name.

    >>> check_signal("variance")
    'variance'
    """
    if name not in SIGNALS:
        raise QueryError(unknown("signal", name, SIGNALS))
    return name


def curve_of_signal(name: str) -> str:
    """The kind of curve that tells the signal of one training.

    Raises:
        QueryError: there is no such signal, or it is not of a single training.

    >>> curve_of_signal("truth")
    'psnr_smooth'
    """
    if check_signal(name) not in OF_ONE_TRAINING:
        raise QueryError(
            f"the signal {name} is not of one training's curve: replay a benchmark, or choose "
            f"{', '.join(OF_ONE_TRAINING)}"
        )
    return OF_ONE_TRAINING[name]


def signal_of_curves(
    curves: Mapping[str, np.ndarray], name: str, alpha: float = PUBLISHED_ALPHA
) -> float | None:
    """The signal of one training from its curves, higher is better.

    Args:
        curves: by kind, each (iterations,), up to where the training has come.
        name: `observed_loss` (dB below a mean squared error of 1), `variance` (dB below 1), or
            `truth` (dB, the highest smoothed PSNR so far).
        alpha: the protocol's `variance_alpha`, which `variance` needs.

    Returns:
        None where the criterion is not applicable to so short a curve, or nothing is finite.

    Raises:
        QueryError: the signal is not one of a single training, or its curve was not recorded.

    >>> signal_of_curves({"loss": np.array([0.1, 0.01, 0.02])}, "observed_loss")
    20.0
    """
    kind = curve_of_signal(name)
    if kind not in curves:
        listed = ", ".join(curves)
        raise QueryError(f"the signal {name} reads the curve {kind}; recorded are {listed}")
    curve = np.asarray(curves[kind], np.float64)
    if not len(curve) or not np.isfinite(curve).all():
        return None
    if name == "truth":
        return float(curve.max())
    at = int(curve.argmin())
    if name == "variance":
        try:
            stop = STOPPING[VARIANCE_CRITERION](curves, alpha=alpha)
        except ProtocolError:
            return None
        at = len(curve) - 1 if stop is None else stop
    level = decibels(float(curve[at]))
    return None if level is None else -level


def decibels(value: float) -> float | None:
    """A mean square in dB over 1; None of what is not above 0.

    >>> decibels(0.01), decibels(0.0)
    (-20.0, None)
    """
    return float(10 * np.log10(value)) if value > 0 else None
