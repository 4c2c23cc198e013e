"""The 13 training-free scores of ISNAS-DIP, quirks and all.

Each compares the spectrum of an untrained network's output with that of the corrupted image, or
measures how low-pass the output is. A name is a chain read left to right: `psd` the power
spectral density, `nodc` of the picture less its mean, `db` ten times its natural logarithm,
`strip` the frequencies between diameters 0.1 and 0.2 of the plane, `hist` the heights of a density
histogram of 100 bins over the picture's own range. `mse` is the mean squared difference, and `emd`
the Wasserstein distance of the two sets of heights taken as samples, which is no earth mover's
distance of the values.
"""

from functools import partial

import numpy as np

from ..errors import ScoreError
from .plane import Values
from .registry import register_score
from .spectra import Spectra

SOURCE = "Arican et al., ISNAS-DIP, CVPR 2022"

_similarity = partial(register_score, direction="lower", inputs="output+image", source=SOURCE)
_low_pass = partial(register_score, direction="lower", inputs="output", source=SOURCE)


@_similarity("psd_db_mse")
def psd_db_mse(output: Spectra, image: Spectra) -> float:
    """mean((10 ln psd(output) - 10 ln psd(image))^2)."""
    return output.plane.whole.mean_square(output.psd_db - image.psd_db)


@_similarity("psd_db_strip_mse")
def psd_db_strip_mse(output: Spectra, image: Spectra) -> float:
    """mean((10 ln psd(output) - 10 ln psd(image))^2) over the ring."""
    same_channels(output, image)
    return output.plane.ring.mean_square(output.psd_db - image.psd_db)


@_similarity("nodc_psd_db_mse")
def nodc_psd_db_mse(output: Spectra, image: Spectra) -> float:
    """mean((10 ln nodc_psd(output) - 10 ln nodc_psd(image))^2)."""
    return output.plane.whole.mean_square(output.nodc_psd_db - image.nodc_psd_db)


@_similarity("nodc_psd_strip_mse")
def nodc_psd_strip_mse(output: Spectra, image: Spectra) -> float:
    """mean((nodc_psd(output) - nodc_psd(image))^2) over the ring."""
    same_channels(output, image)
    return output.plane.ring.mean_square(output.nodc_psd - image.nodc_psd)


@_similarity("nodc_psd_db_strip_mse")
def nodc_psd_db_strip_mse(output: Spectra, image: Spectra) -> float:
    """mean((10 ln nodc_psd(output) - 10 ln nodc_psd(image))^2) over the ring."""
    same_channels(output, image)
    return output.plane.ring.mean_square(output.nodc_psd_db - image.nodc_psd_db)


@_similarity("psd_db_hist_emd")
def psd_db_hist_emd(output: Spectra, image: Spectra) -> float:
    """W1(heights of hist(10 ln psd(output)), heights of hist(10 ln psd(image)))."""
    return _samples_distance(output.psd_db_heights, image.psd_db_heights)


@_similarity("nodc_psd_hist_emd")
def nodc_psd_hist_emd(output: Spectra, image: Spectra) -> float:
    """W1(heights of hist(nodc_psd(output)), heights of hist(nodc_psd(image)))."""
    return _samples_distance(output.nodc_psd_heights, image.nodc_psd_heights)


@_similarity("nodc_psd_db_hist_emd")
def nodc_psd_db_hist_emd(output: Spectra, image: Spectra) -> float:
    """W1(heights of hist(10 ln nodc_psd(output)), heights of hist(10 ln nodc_psd(image)))."""
    return _samples_distance(output.nodc_psd_db_heights, image.nodc_psd_db_heights)


@_similarity("psd_strip_hist_emd")
def psd_strip_hist_emd(output: Spectra, image: Spectra) -> float:
    """W1(heights of hist(psd(output) in the ring), heights of hist(psd(image) in the ring))."""
    same_channels(output, image)
    return _samples_distance(output.psd_ring_heights, image.psd_ring_heights)


@_low_pass("psd_99_per_bw")
def psd_99_per_bw(output: Spectra) -> float:
    """Diameter, as a share of sqrt 2, of the disc that holds 99 % of the energy of psd(output)."""
    return _energy_bandwidth(output, output.psd, 0.99)


@_low_pass("nodc_psd_75_per_bw")
def nodc_psd_75_per_bw(output: Spectra) -> float:
    """Diameter, as a share of sqrt 2, of the disc with 75 % of the energy of nodc_psd(output)."""
    return _energy_bandwidth(output, output.nodc_psd, 0.75)


@_low_pass("nodc_psd_db_50_db_bw")
def nodc_psd_db_50_db_bw(output: Spectra) -> float:
    """Share of the frequencies whose 10 ln nodc_psd(output) lies within 50 of the highest."""
    levels = output.nodc_psd_db.mean(axis=0)
    weights = output.plane.whole.weights
    above = levels.ravel() > levels.max() - 50
    return float(weights[above].sum() / weights.sum())


@_low_pass("psd_70_per_bw")
def psd_70_per_bw(output: Spectra) -> float:
    """Diameter, as a share of sqrt 2, of the disc that holds 70 % of the energy of psd(output)."""
    return _energy_bandwidth(output, output.psd, 0.70)


PUBLISHED: tuple[str, ...] = (
    "psd_db_mse", "psd_db_strip_mse", "nodc_psd_db_mse", "nodc_psd_strip_mse",
    "nodc_psd_db_strip_mse", "psd_db_hist_emd", "nodc_psd_hist_emd", "nodc_psd_db_hist_emd",
    "psd_strip_hist_emd", "psd_99_per_bw", "nodc_psd_75_per_bw", "nodc_psd_db_50_db_bw",
    "psd_70_per_bw",
)  # fmt: skip
"""The names of the 13."""


def same_channels(output: Spectra, image: Spectra) -> None:
    """Refuse to compare rings of different numbers of channels.

    Raises:
        ScoreError: if the two differ in it.
    """
    if len(output) != len(image):
        raise ScoreError(
            f"strip scores are undefined for {len(output)} against {len(image)} channels: "
            'make the output with the image\'s channels (how="search", --how search)'
        )


def _samples_distance(a: Values, b: Values) -> float:
    """The 1-Wasserstein distance of two samples of one size, each sorted."""
    return float(np.abs(a - b).mean())


def _energy_bandwidth(output: Spectra, psd: Values, share: float) -> float:
    """Disc that holds `share` of the channel-mean energy, interpolated between the 99 discs."""
    energies, total = output.plane.disc_energies(psd.mean(axis=0))
    target = share * total
    first = int(np.argmax(energies >= target))
    before = float(energies[first - 1]) if first else 0.0
    gained = float(energies[first]) - before
    if not (energies[first] >= target and gained > 0):
        raise ScoreError("the output has no energy to share out: it is constant")
    return (first + (target - before) / gained) / len(energies)
