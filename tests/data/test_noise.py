"""The noise told from a noisy picture alone is the noise that is there."""

import numpy as np
import pytest

from dipbench.data import Observation, load_image, parse_task
from dipbench.data.noise import clipped_mean_square


@pytest.mark.parametrize("image", ["camera", "astronaut", "coins"])
@pytest.mark.parametrize("sigma", [2, 10, 25, 50, 100, 255])
def test_it_is_the_mean_squared_noise_of_a_photograph(image, sigma):
    picture = load_image(image, size=128)
    task = parse_task(f"denoising-{sigma}")
    noisy = task.observe(picture, seed=0)
    real = np.mean((noisy.observed.astype(float) - picture.array) ** 2)
    assert task.mean_squared_noise(noisy) == pytest.approx(real, rel=0.05)


def test_clipping_takes_a_half_from_black_and_nothing_from_grey():
    generator = np.random.default_rng(0)
    for level, share in ((0.0, 0.5), (0.5, 1.0), (1.0, 0.5)):
        noisy = (level + generator.normal(0, 0.1, (1, 200, 200))).clip(0, 1)
        assert clipped_mean_square(noisy, 25.5) == pytest.approx(0.01 * share, rel=0.02)


@pytest.mark.parametrize("sigma", [1, 2, 5, 25])
def test_black_and_white_keep_half_of_the_noise_however_weak(sigma):
    picture = np.repeat([0.0, 1.0], 20_000)
    noisy = picture + np.random.default_rng(0).normal(0, sigma / 255, picture.shape)
    found = clipped_mean_square(noisy.clip(0, 1), sigma)
    assert found == pytest.approx((sigma / 255) ** 2 / 2, rel=0.02)


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("sigma", [0.01, 25, 255])
def test_a_picture_of_one_value_has_an_answer(level, sigma):
    found = clipped_mean_square(np.full((3, 8, 8), level), sigma)
    assert 0 < found <= (sigma / 255) ** 2 * (1 + 1e-6)


@pytest.mark.parametrize("task", ["inpainting-50", "sr-2", "denoising-poisson-30"])
def test_a_task_that_does_not_tell_its_sigma_has_no_noise_to_tell(task):
    noisy = Observation(np.full((1, 64, 64), 0.5))
    assert parse_task(task).mean_squared_noise(noisy) is None
