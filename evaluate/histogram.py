"""Histograms of weighted values over their own range, equal to NumPy's and faster."""

import numpy as np
from numpy.typing import NDArray

from ..errors import ScoreError

BINS = 100

Values = NDArray[np.float64]


def density_heights(values: Values, weights: Values) -> Values:
    """Heights (100,) of the density histogram of values over their own range.

    Args:
        values: (C, n).
        weights: (n,), how often each column counts.

    Raises:
        ScoreError: the values differ, but by rounding alone.

    >>> import numpy as np
    >>> from dipbench.evaluate.histogram import density_heights
    >>> values = np.random.default_rng(0).normal(size=(1, 1000))
    >>> expected, _ = np.histogram(values, bins=100, density=True)
    >>> bool((density_heights(values, np.ones(1000)) == expected).all())
    True
    """
    first, last = float(values.min()), float(values.max())
    if first == last:
        # As NumPy does: a single value lies in the middle of a range of width one.
        first, last = first - 0.5, last + 0.5
    edges = np.linspace(first, last, BINS + 1)
    if not (np.diff(edges) > 0).all():
        raise ScoreError("the values are equal to rounding: they have no histogram of their own")
    bins = _bins(values.ravel(), edges)
    repeated = np.broadcast_to(weights, values.shape).ravel()
    counts = np.bincount(bins, repeated, BINS)
    return np.asarray(counts / np.diff(edges) / counts.sum())


def _bins(values: Values, edges: Values) -> NDArray[np.intp]:
    """The bin of each value: edges[i] <= value < edges[i + 1], the last bin closed."""
    first, span = edges[0], edges[-1] - edges[0]
    position = (values - first) * (BINS / span)
    bins: NDArray[np.intp] = position.astype(np.intp)
    # Only a value within rounding of an inner edge can have come out one bin off.
    rounding = 1e-9 + 1e-13 * max(abs(edges[0]), abs(edges[-1])) / span
    offset = np.rint(position)
    np.subtract(position, offset, out=offset)
    near = np.flatnonzero(np.abs(offset, out=offset) < rounding)
    near = near[position[near] > 0.5]
    bins[near] = np.searchsorted(edges, values[near], side="right") - 1
    bins[bins == BINS] = BINS - 1
    return bins
