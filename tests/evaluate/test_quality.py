import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from dipbench.errors import MissingExtraError, ScoreError
from dipbench.evaluate import psnr, psnr_y, ssim

REFERENCE = Path(__file__).parents[1] / "reference"
CASES = json.loads((REFERENCE / "scores.json").read_text())
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"case{case['case']}")
def test_psnr_agrees_with_the_reference_figures(case):
    pictures = np.load(REFERENCE / "scores.npz")
    output, image = (pictures[f"{kind}_{case['case']}"] for kind in ("output", "image"))
    assert psnr(output, image) == pytest.approx(case["psnr"], rel=1e-9)


def test_equal_pictures_have_infinite_psnr():
    picture = RNG.random((3, 8, 8))
    assert psnr(picture, picture) == psnr_y(picture, picture) == math.inf


def test_single_precision_is_worked_on_in_double():
    a, b = RNG.random((2, 1, 64, 64)).astype(np.float32)
    assert psnr(a, b) == psnr(a.astype(float), b.astype(float))


def test_luma_counts_green_most_and_spans_its_limited_range():
    black = np.zeros((3, 4, 4))
    errors = []
    for channel in range(3):
        other = black.copy()
        other[channel] = 1
        errors.append(psnr_y(black, other))
    assert errors[1] < errors[0] < errors[2]
    span = 10 ** (-psnr_y(black, np.ones((3, 4, 4))) / 20)
    assert span == pytest.approx(219 / 255)


def test_luma_of_grey_is_that_of_three_equal_channels():
    a, b = RNG.random((2, 1, 12, 12))
    colour = [np.repeat(picture, 3, axis=0) for picture in (a, b)]
    assert psnr_y(a, b) == pytest.approx(psnr_y(*colour))


def test_crop_leaves_the_border_out():
    a = RNG.random((3, 12, 14))
    b = a.copy()
    b[:, :2] = b[:, -2:] = b[:, :, :2] = b[:, :, -2:] = 0
    assert psnr_y(a, b) < math.inf
    assert psnr_y(a, b, crop=2) == math.inf


def test_ssim_is_the_mean_of_its_channels():
    a, b = RNG.random((2, 3, 16, 24))
    each = [ssim(a[i : i + 1], b[i : i + 1]) for i in range(3)]
    assert ssim(a, b) == pytest.approx(np.mean(each))
    assert ssim(a, b) < ssim(a, 0.5 * (a + b)) < ssim(a, a) == 1


def test_ssim_of_a_constant_shift_is_its_luminance_term():
    a, b = np.full((1, 16, 16), 0.5), np.full((1, 16, 16), 0.7)
    expected = (2 * 0.5 * 0.7 + 1e-4) / (0.5**2 + 0.7**2 + 1e-4)
    assert ssim(a, b) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("measure", [psnr, psnr_y, ssim])
def test_bad_pictures_are_refused_with_what_was_given(measure):
    good = np.zeros((3, 16, 16))
    with pytest.raises(ScoreError, match=r"\(3, 16, 16\) and \(1, 16, 16\)"):
        measure(good, good[:1])
    with pytest.raises(ScoreError, match=r"\(16, 16\): give \(channels, height, width\)"):
        measure(good[0], good[0])
    with pytest.raises(ScoreError, match="NaN"):
        measure(good, np.full_like(good, np.nan))
    with pytest.raises(ScoreError, match=r"second image holds uint8 up to 255: scale it to \[0"):
        measure(good, np.full(good.shape, 255, np.uint8))
    with pytest.raises(ScoreError, match="complex128"):
        measure(good * 1j, good)
    with pytest.raises(ScoreError, match="the first image is no array"):
        measure([[[1.0, 2.0], [3.0]]], good)


def test_a_tensor_that_numpy_cannot_take_is_refused():
    torch = pytest.importorskip("torch")
    good = torch.zeros(1, 16, 16)
    for tensor in (good.bfloat16(), good.clone().requires_grad_(), good.to("meta")):
        with pytest.raises(ScoreError, match="the first image is no array: "):
            psnr(tensor, good)


def test_impossible_crops_channels_and_windows_are_refused():
    with pytest.raises(ScoreError, match="crop 8"):
        psnr_y(np.zeros((3, 16, 16)), np.ones((3, 16, 16)), crop=8)
    with pytest.raises(ScoreError, match="1 or 3 channels"):
        psnr_y(np.zeros((2, 16, 16)), np.ones((2, 16, 16)))
    with pytest.raises(ScoreError, match="at least 11"):
        ssim(np.zeros((3, 16, 8)), np.ones((3, 16, 8)))


def test_ssim_without_scikit_image_names_the_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.metrics", None)
    with pytest.raises(MissingExtraError, match=r"dipbench\[train\]"):
        ssim(np.zeros((1, 16, 16)), np.zeros((1, 16, 16)))
