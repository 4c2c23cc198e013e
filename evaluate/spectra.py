"""A picture and its spectra, each worked out once for all scores that ask for it."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .caching import cached_property
from .histogram import density_heights
from .plane import Plane, Values, frequency_plane
from .quality import check_picture

POWER_FLOOR = 1e-40
"""Power that a logarithm takes for any lower one: four orders in amplitude under the rounding of
float64 on [0, 1], so that a term which happens to vanish exactly has a logarithm."""


class Spectra(np.ndarray):
    """A read-only float64 array (C, H, W) that keeps its spectra once they were asked for.

    It is what a registered score is called with: an array like any other, and beside it `psd`
    and its kin as half planes (C, H, W // 2 + 1), whose frequencies `plane` describes. Make one
    of an image to score many outputs against it without working its side out again.

    Args:
        array: (C, H, W).

    Raises:
        ScoreError: the array has another number of axes or a value that is not finite.

    >>> import numpy as np
    >>> from dipbench.evaluate.spectra import Spectra
    >>> picture = Spectra(np.random.default_rng(0).random((1, 64, 64)))
    >>> picture.psd.shape, bool(np.isclose(picture.psd[0, 0, 0], picture.mean() ** 2))
    ((1, 64, 33), True)
    """

    def __new__(cls, array: ArrayLike) -> "Spectra":
        """A view of `array`, or itself where it is one already."""
        if isinstance(array, cls) and array.ndim == 3 and not array.flags.writeable:
            return array
        # A copy or a part of one is an array like any other, which may be written to.
        values = check_picture("the picture", array)
        if values.base is not None or values is array:
            values = values.copy()  # which nobody else can write to
        picture = values.view(cls)
        picture.flags.writeable = False
        return picture

    def __array_wrap__(
        self, array: Values, context: object = None, return_scalar: bool = False
    ) -> Any:
        """What is computed from a picture is a plain array or number."""
        return array[()] if return_scalar else array

    @cached_property
    def plane(self) -> Plane:
        """Which frequency each value of a half plane is."""
        return frequency_plane(*self.shape[1:])

    @cached_property
    def nodc_psd(self) -> Values:
        """|FFT2(x - mean(x))|^2, the transform divided by H W; the mean is over all channels."""
        # Imported here: a query need not wait for what takes long to load.
        from scipy.fft import rfft2

        values = np.asarray(self)
        centred = values - values.mean()
        transform = rfft2(centred, norm="forward")
        power: Values = transform.real**2 + transform.imag**2
        # Of one channel this is rounding noise, whose logarithm two published scores see: it is
        # summed in the published order, that of complex transforms along rows, then columns.
        row_means = np.fft.fft(centred, norm="forward")[..., 0]
        power[:, 0, 0] = np.abs(np.fft.fft(row_means, norm="forward")[:, 0]) ** 2
        return power

    @cached_property
    def psd(self) -> Values:
        """|FFT2(x)|^2, the transform divided by H W: `nodc_psd` but for zero frequency."""
        power = self.nodc_psd.copy()
        power[:, 0, 0] = np.asarray(self).mean(axis=(1, 2)) ** 2
        return power

    @cached_property
    def psd_db(self) -> Values:
        """10 ln(psd): the natural logarithm, as published."""
        return published_decibels(self.psd)

    @cached_property
    def nodc_psd_db(self) -> Values:
        """10 ln(nodc_psd): the natural logarithm, as published."""
        levels = self.psd_db.copy()
        levels[:, 0, 0] = published_decibels(self.nodc_psd[:, 0, 0])
        return levels

    @cached_property
    def psd_db_heights(self) -> Values:
        """Sorted heights of the density histogram of `psd_db`."""
        return self._sorted_heights(self.psd_db)

    @cached_property
    def nodc_psd_heights(self) -> Values:
        """Sorted heights of the density histogram of `nodc_psd`."""
        return self._sorted_heights(self.nodc_psd)

    @cached_property
    def nodc_psd_db_heights(self) -> Values:
        """Sorted heights of the density histogram of `nodc_psd_db`."""
        return self._sorted_heights(self.nodc_psd_db)

    @cached_property
    def psd_ring_heights(self) -> Values:
        """Sorted heights of the density histogram of `psd` in the ring."""
        ring = self.plane.ring
        return np.sort(density_heights(ring.take(self.psd), ring.weights))

    def _sorted_heights(self, half: Values) -> Values:
        whole = self.plane.whole
        return np.sort(density_heights(whole.take(half), whole.weights))


def published_decibels(power: Values) -> Values:
    """10 ln(power), where decibels would be 10 log10(power): the publication's, kept."""
    return np.asarray(10 * np.log(np.maximum(power, POWER_FLOOR)))
