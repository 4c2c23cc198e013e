"""The frequency plane of a picture: which frequencies lie where, worked out once per size.

A real picture's power is the same at a frequency and at its negative, so only the columns
0 .. W // 2 of the transform are kept, each frequency with the number of times (1 or 2) that the
whole plane holds it.
"""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..errors import ScoreError

RING = (0.1, 0.2)
"""Diameters of the two discs between which the published "strip" lies (Nyquist: 1)."""

DISCS = np.linspace(0, np.sqrt(2), 100)[1:]
"""Diameters of the discs of the published bandwidths."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Band:
    """A set of frequencies, and how often the whole plane holds each of them.

    Attributes:
        weights: (n,), 1 or 2 each.
        index: of the n frequencies in a flattened half plane; None for all of it.
    """

    weights: Values
    index: NDArray[np.intp] | None = None

    def take(self, half: Values) -> Values:
        """The band's values (C, n) of half planes (C, H, W // 2 + 1).

        Raises:
            ScoreError: if no frequency of so small a picture lies in the band.
        """
        if not self.weights.size:
            raise ScoreError("no frequency lies in the ring: give a larger picture")
        flat = half.reshape(len(half), -1)
        return flat if self.index is None else flat.take(self.index, axis=1)

    def mean_square(self, half: Values) -> float:
        """The mean square over the band, all channels, of half planes (C, H, W // 2 + 1).

        Raises:
            ScoreError: as `take`.
        """
        values = self.take(half)
        return float(np.sum(values**2 @ self.weights) / (len(values) * self.weights.sum()))


@dataclass(frozen=True)
class Plane:
    """The half plane of pictures of one size.

    Attributes:
        whole: all frequencies.
        ring: those between the diameters `RING`.
    """

    whole: Band
    ring: Band
    _disc: NDArray[np.intp] = field(repr=False)
    _mirror_disc: NDArray[np.intp] = field(repr=False)
    _mirrored: slice = field(repr=False)

    def disc_energies(self, power: Values) -> tuple[Values, float]:
        """Energy inside each disc, (99,), and in the whole plane, of one half plane of power."""
        mirrored = power[:, self._mirrored]
        shells = _sums(self._disc, power) + _sums(self._mirror_disc, mirrored)
        return np.cumsum(shells)[:-1], float(shells.sum())


@lru_cache(maxsize=8)
def frequency_plane(height: int, width: int) -> Plane:
    """The plane of pictures of that size.

    Frequencies have the coordinates u = column / W - 1/2 and v = row / H - 1/2 of the shifted
    transform; at odd sizes zero frequency is thereby half a step off the middle, as published.

    >>> from dipbench.evaluate.plane import frequency_plane
    >>> int(frequency_plane(64, 64).ring.weights.sum())
    92
    """
    rows, columns = np.arange(height), np.arange(width // 2 + 1)
    # Column 0, and the last one of an even width, are their own mirror images.
    mirrored = slice(1, (width + 1) // 2)
    radius = _squared_radius(rows, columns, height, width)
    mirror = _squared_radius(-rows, -columns[mirrored], height, width)
    weights = np.ones(radius.shape)
    weights[:, mirrored] = 2
    in_ring = _in_ring(radius).astype(np.float64)
    in_ring[:, mirrored] += _in_ring(mirror)
    index = np.flatnonzero(in_ring)
    discs = (DISCS / 2) ** 2
    return Plane(
        whole=Band(weights.ravel()),
        ring=Band(in_ring.ravel()[index], index),
        # The first disc that holds a frequency: inside means strictly nearer than the rim.
        _disc=np.searchsorted(discs, radius, side="right"),
        _mirror_disc=np.searchsorted(discs, mirror, side="right"),
        _mirrored=mirrored,
    )


def _squared_radius(rows: NDArray[np.intp], columns: NDArray[np.intp], h: int, w: int) -> Values:
    u = (columns + w // 2) % w / w - 0.5
    v = (rows + h // 2) % h / h - 0.5
    return np.asarray(u**2 + (v**2)[:, None])


def _in_ring(radius: Values) -> NDArray[np.bool_]:
    inner, outer = ((diameter / 2) ** 2 for diameter in RING)
    return (radius < inner) ^ (radius < outer)


def _sums(disc: NDArray[np.intp], power: Values) -> Values:
    sums = np.bincount(disc.ravel(), weights=power.ravel(), minlength=len(DISCS) + 1)
    return sums.astype(np.float64, copy=False)
