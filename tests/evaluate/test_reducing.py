"""Observations made smaller: what is averaged, what stays missing, what is left of the noise."""

import numpy as np
import pytest

from dipbench.data import Observation, load_image, parse_task
from dipbench.errors import ImageError, TaskError
from dipbench.evaluate.reducing import reduce_observation

RNG = np.random.default_rng(0)


def test_an_area_is_the_mean_of_its_pixels():
    picture = load_image("astronaut", size=192)
    reduced = reduce_observation(Observation(picture.array), 64)
    means = picture.array.reshape(3, 64, 3, 64, 3).mean(axis=(2, 4))
    assert np.abs(reduced.observation.observed - means).max() < 1e-4
    assert reduced.noise_factor == pytest.approx(1 / 3)


@pytest.mark.parametrize(("height", "width"), [(100, 150), (230, 101)])
def test_noise_shrinks_as_told_at_any_ratio(height, width):
    noise = 0.05 * RNG.standard_normal((1, height, width))
    reduced = reduce_observation(Observation(0.5 + noise), 64)
    shape = reduced.observation.restored_shape
    assert min(shape[1:]) == 64
    assert max(shape[1:]) == round(max(height, width) * 64 / min(height, width))
    measured = reduced.observation.observed.std() / noise.std()
    assert measured == pytest.approx(reduced.noise_factor, rel=0.05)


def test_missing_pixels_add_nothing_and_stay_missing():
    mask = RNG.random((128, 128)) >= 0.5
    hidden = np.where(mask, 0.25, 0.0)[None]
    small = reduce_observation(Observation(hidden, mask), 64).observation
    assert small.mask is not None
    assert small.mask.mean() == pytest.approx(0.5, abs=0.05)
    assert np.abs(small.observed[:, small.mask] - 0.25).max() < 1e-4
    assert not small.observed[:, ~small.mask].any()


def test_super_resolution_keeps_its_factor():
    small = parse_task("sr-4").observe(load_image("camera", size=256), 0)
    assert reduce_observation(small, 64).observation.restored_shape == (1, 64, 64)


def test_what_cannot_be_reduced_is_told():
    picture = Observation(np.zeros((1, 128, 96)))
    for side in (63, 96, 200):
        with pytest.raises(ImageError, match="short side"):
            reduce_observation(picture, side)
    scratch = np.ones((128, 128), dtype=bool)
    scratch[::2, 5] = False
    with pytest.raises(TaskError, match="hides nothing"):
        reduce_observation(Observation(scratch[None] * 1.0, scratch), 64)
