import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from dipbench.errors import ScoreError
from dipbench.evaluate import score

RNG = np.random.default_rng(0)
OUTPUT, IMAGE = RNG.random((2, 3, 64, 81))
IN_DECIBELS = (10 / np.log(10)) ** 2 / 100


@pytest.mark.parametrize("kind", ["mse", "strip_mse"])
def test_decibels_rank_as_the_published_logarithm_does(kind):
    found = score(OUTPUT, IMAGE, [f"psd_decibel_{kind}", f"psd_db_{kind}"])
    corrected, published = found.values()
    assert corrected == pytest.approx(IN_DECIBELS * published)


def test_ten_times_the_amplitude_is_twenty_decibels():
    names = ["psd_decibel_mse", "psd_decibel_strip_mse", "psd_decibel_strip_value_emd"]
    assert list(score(10 * IMAGE, IMAGE, names).values()) == pytest.approx([400, 400, 20])


@pytest.mark.parametrize("shape", [(1, 64, 64), (3, 65, 90)])
def test_value_distances_move_the_rings_values(shape):
    output, image = RNG.random((2, *shape))
    height, width = shape[1:]
    v, u = np.meshgrid(
        np.arange(height) / height - 0.5, np.arange(width) / width - 0.5, indexing="ij"
    )
    ring = (u**2 + v**2 < 0.01) & ~(u**2 + v**2 < 0.0025)
    powers = [
        np.abs(np.fft.fftshift(np.fft.fft2(x, norm="forward"), axes=(1, 2)))[:, ring].ravel() ** 2
        for x in (output, image)
    ]
    found = score(output, image, ["psd_strip_value_emd", "psd_decibel_strip_value_emd"])
    expected = [wasserstein_distance(*powers), wasserstein_distance(*(10 * np.log10(powers)))]
    assert list(found.values()) == pytest.approx(expected)


def test_fifty_decibels_are_counted_without_zero_frequency():
    x = 2 * np.pi * np.arange(64) / 64
    # 40 dB under the strongest wave counts, 60 dB does not; each wave is two frequencies.
    picture = 0.5 + 0.3 * (np.cos(3 * x) + 1e-2 * np.cos(7 * x) + 1e-3 * np.cos(11 * x))
    picture = np.tile(picture, (1, 64, 1))
    name = "nodc_psd_decibel_50_bw"
    assert score(picture, names=name)[name] == pytest.approx(4 / (64 * 64 - 1))
    assert score(picture + 5, names=name) == score(picture, names=name)


def test_corrected_scores_refuse_what_the_published_do():
    with pytest.raises(ScoreError, match="1 against 3 channels"):
        score(OUTPUT[:1], IMAGE, ["psd_strip_value_emd"])
    with pytest.raises(ScoreError, match="ring"):
        score(OUTPUT[:, :4, :4], IMAGE[:, :4, :4], ["psd_strip_value_emd"])
    with pytest.raises(ScoreError, match="constant"):
        score(np.zeros((1, 64, 64)), names=["nodc_psd_decibel_50_bw"])


def test_a_picture_that_varies_along_one_side_alone_has_a_bandwidth():
    ramp = np.repeat(np.linspace(0.2, 0.8, 64)[:, None], 64, axis=1)[None]
    name = "nodc_psd_decibel_50_bw"
    assert score(ramp, names=[name])[name] > 0
    with pytest.raises(ScoreError, match="it is constant"):
        score(np.full((1, 64, 64), 0.5), names=[name])
