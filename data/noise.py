"""How much noise a noisy picture holds, told from that picture alone."""

import math

import numpy as np
from numpy.typing import NDArray

LEVELS = 64
"""Steps over [0, 1] between the clean values that a picture is taken to be made of."""


def clipped_mean_square(observed: np.ndarray, sigma: float) -> float:
    """The mean squared noise in a picture with Gaussian noise that was clipped to [0, 1].

    Clipping takes noise from dark and from bright places, so that sigma squared is too much, the
    more so the stronger the noise is. How often each clean value occurs follows from how often each
    noisy one does (non-negative least squares); what clipping leaves of the noise at a clean value
    is the second moment of a clipped normal variable.

    Args:
        observed: the noisy picture, of any shape, in [0, 1].
        sigma: deviation of the noise on the 0–255 scale, before clipping.

    Returns:
        An estimate of mean((observed - clean)^2) with the values in [0, 1].

    >>> import numpy as np
    >>> from dipbench.data.noise import clipped_mean_square
    >>> black = np.random.default_rng(0).normal(0, 0.1, 10_000).clip(0, 1)
    >>> round(clipped_mean_square(black, sigma=25.5), 3), round(float(np.mean(black**2)), 3)
    (0.005, 0.005)
    """
    # Here, so that what never asks for it never loads it.
    from scipy.optimize import nnls
    from scipy.special import ndtr

    deviation = sigma / 255
    edges = clean = np.linspace(0, 1, LEVELS + 1)  # black and white among them
    below = ndtr((edges[1:-1, None] - clean) / deviation)
    likelihood = np.diff(below, axis=0, prepend=0, append=1)
    seen, _ = np.histogram(observed, edges)
    shares, _ = nnls(likelihood, seen / observed.size, maxiter=100 * LEVELS)
    low, high = -clean / deviation, (1 - clean) / deviation
    left = deviation**2 * (
        low**2 * ndtr(low)
        + high**2 * ndtr(-high)
        + (ndtr(high) - ndtr(low))
        - (high * _density(high) - low * _density(low))
    )
    return float(shares @ left / shares.sum())


def _density(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the standard normal distribution."""
    return np.asarray(np.exp(-(value**2) / 2) / math.sqrt(2 * math.pi))
