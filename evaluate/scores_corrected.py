"""Corrected forms of the published scores, under names of their own.

`decibel` is the decibel, 10 log10; the mean squared differences in it are 0.1886 times the
published ones and rank models alike. `nodc` leaves zero frequency out, where the published form
takes the logarithm of its rounding noise. `value_emd` is the earth mover's distance between the
values themselves, where the published one compares the heights of two histograms.
"""

import math
from functools import partial

import numpy as np

from ..errors import ScoreError
from .plane import Values
from .registry import register_score
from .scores_published import same_channels
from .spectra import Spectra

SOURCE = "corrected from Arican et al., ISNAS-DIP, CVPR 2022"
DECIBELS = 1 / math.log(10)
"""Times the published 10 ln: 10 log10."""

_similarity = partial(register_score, direction="lower", inputs="output+image", source=SOURCE)


@_similarity("psd_decibel_mse")
def psd_decibel_mse(output: Spectra, image: Spectra) -> float:
    """mean((10 log10 psd(output) - 10 log10 psd(image))^2), in dB^2."""
    difference = output.psd_db - image.psd_db
    return DECIBELS**2 * output.plane.whole.mean_square(difference)


@_similarity("psd_decibel_strip_mse")
def psd_decibel_strip_mse(output: Spectra, image: Spectra) -> float:
    """mean((10 log10 psd(output) - 10 log10 psd(image))^2) over the ring, in dB^2."""
    same_channels(output, image)
    return DECIBELS**2 * output.plane.ring.mean_square(output.psd_db - image.psd_db)


@_similarity("psd_strip_value_emd")
def psd_strip_value_emd(output: Spectra, image: Spectra) -> float:
    """Earth mover's distance between the ring's values of psd(output) and psd(image)."""
    return _ring_distance(output, image, output.psd, image.psd)


@_similarity("psd_decibel_strip_value_emd")
def psd_decibel_strip_value_emd(output: Spectra, image: Spectra) -> float:
    """Earth mover's distance between the ring's 10 log10 psd of output and image, in dB."""
    return DECIBELS * _ring_distance(output, image, output.psd_db, image.psd_db)


@register_score("nodc_psd_decibel_50_bw", direction="lower", inputs="output", source=SOURCE)
def nodc_psd_decibel_50_bw(output: Spectra) -> float:
    """Share of the frequencies but zero within 50 dB of the highest of 10 log10 psd(output)."""
    levels = DECIBELS * output.psd_db.mean(axis=0).ravel()[1:]
    weights = output.plane.whole.weights[1:]
    if not output.nodc_psd.reshape(len(output.nodc_psd), -1)[:, 1:].any():
        raise ScoreError("the output has no energy beside its mean: it is constant")
    return float(weights[levels > levels.max() - 50].sum() / weights.sum())


def _ring_distance(output: Spectra, image: Spectra, a: Values, b: Values) -> float:
    """The 1-Wasserstein distance of two samples of one size: between their sorted values."""
    same_channels(output, image)
    ring = output.plane.ring
    times = ring.weights.astype(int)
    first, second = (np.sort(np.repeat(ring.take(x), times, axis=1), axis=None) for x in (a, b))
    return float(np.abs(first - second).mean())
