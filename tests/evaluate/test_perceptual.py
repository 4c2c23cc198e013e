"""LPIPS where it can be had, and a restoration that does without where it cannot."""

import warnings
from importlib import import_module

import numpy as np
import pytest
import torch

from dipbench.data import load_image
from dipbench.errors import ScoreError
from dipbench.evaluate.perceptual import distance, has_lpips, lpips, why_no_lpips
from dipbench.evaluate.restoring import judge
from dipbench.evaluate.vision import import_torchvision

BLACK, WHITE = np.zeros((1, 64, 64), np.float32), np.ones((1, 64, 64), np.float32)
needs_lpips = pytest.mark.skipif(not has_lpips(), reason="lpips is not installed")


@pytest.fixture(scope="module")
def untrained():
    """The package's own network, its backbone drawn instead of fetched."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import_torchvision()
        torch.manual_seed(0)
        return import_module("lpips").LPIPS(net="alex", pnet_rand=True, verbose=False)


@pytest.mark.skipif(has_lpips(), reason="lpips is installed")
def test_without_the_package_its_name_is_told_and_the_rest_is_judged():
    with pytest.raises(ScoreError, match="pip install lpips"):
        lpips(BLACK, WHITE)
    assert set(judge(BLACK, WHITE)) == {"psnr", "ssim"}


@needs_lpips
def test_the_package_takes_grey_and_colour_as_we_hand_them_over(untrained):
    for name in ("camera", "astronaut"):
        picture = load_image(name, size=64).array
        noise = np.random.default_rng(0).normal(0, 0.1, picture.shape)
        near, far = (np.clip(picture + size * noise, 0, 1) for size in (0.2, 2))
        assert distance(untrained, picture, picture) == 0
        assert 0 < distance(untrained, picture, near) < distance(untrained, picture, far)
    # In [0, 1] as told: what the package makes of [-1, 1] without being told is another number.
    plain = torch.tensor(np.broadcast_to(WHITE, (3, 64, 64)).copy())[None]
    with torch.no_grad():
        expected = float(untrained(2 * plain - 1, -plain))
    assert distance(untrained, WHITE, BLACK) == pytest.approx(expected)


@needs_lpips
def test_weights_that_cannot_be_had_are_told_in_a_line_and_the_rest_is_judged():
    reason = why_no_lpips()
    if not reason:
        assert lpips(WHITE, WHITE) == pytest.approx(0, abs=1e-6)
        assert lpips(BLACK, WHITE) > 0
        return
    with pytest.raises(ScoreError, match="cannot be had"):
        lpips(BLACK, WHITE)
    assert len(reason.splitlines()) == 1
    assert set(judge(BLACK, WHITE)) == {"psnr", "ssim"}
