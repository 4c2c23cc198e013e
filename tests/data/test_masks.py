"""Masks: which pixels they hide, and how they are read."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dipbench.data import load_mask, save_image
from dipbench.data.masks import bernoulli_mask, hole_mask, mask_sha256, text_mask
from dipbench.errors import ImageError


@given(height=st.integers(64, 300), width=st.integers(64, 300), side=st.floats(0.02, 0.98))
def test_a_hole_is_centred_and_of_the_side_asked_for(height: int, width: int, side: float) -> None:
    missing = ~hole_mask(height, width, side)
    for axis, length in ((1, height), (0, width)):
        places = np.flatnonzero(missing.any(axis=axis))
        assert len(places) == max(1, round(side * length))
        assert abs(places[0] - (length - 1 - places[-1])) <= 1
    assert missing.sum() == missing.any(axis=0).sum() * missing.any(axis=1).sum()


@pytest.mark.parametrize("side", [64, 96, 300, 512])
def test_text_hides_a_part_everywhere(side: int) -> None:
    mask = text_mask(side, side + 32, np.random.default_rng(0))
    assert mask.shape == (side, side + 32)
    assert 0.1 < (~mask).mean() < 0.3
    for half in np.array_split(mask, 2, axis=0) + np.array_split(mask, 2, axis=1):
        assert 0.1 < (~half).mean() < 0.3


def test_text_depends_on_the_generator_alone() -> None:
    masks = [text_mask(64, 64, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(masks[0], masks[1])
    assert (masks[0] != masks[2]).any()
    # Drawn with Pillow's bitmap font, which is the same in every version since 10.4.
    assert mask_sha256(masks[0])[:8] == "5cbc0d0c"


def test_bernoulli_share() -> None:
    assert abs(bernoulli_mask(200, 200, 0.3, np.random.default_rng(0)).mean() - 0.7) < 0.01


def test_masks_are_read_from_files_and_arrays(tmp_path: Path) -> None:
    mask = np.random.default_rng(0).random((64, 80)) < 0.5
    save_image(tmp_path / "mask.png", mask.astype(float))
    for source in (mask, tmp_path / "mask.png", str(tmp_path / "mask.png"), mask.astype(float)):
        np.testing.assert_array_equal(load_mask(source), mask)
    with pytest.raises(ImageError, match="no such image file"):
        load_mask(tmp_path / "none.png")


def test_a_photograph_as_mask_is_told() -> None:
    greys = np.random.default_rng(0).random((64, 64))
    with pytest.warns(UserWarning, match="the mask has greys: those of half or more"):
        np.testing.assert_array_equal(load_mask(greys), greys >= 0.5)
    soft = np.where(greys < 0.5, 0.05, 0.98)  # as JPEG leaves black and white
    np.testing.assert_array_equal(load_mask(soft), greys >= 0.5)


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (np.eye(64, dtype=np.uint8), "holds 0 and 1 as uint8"),
        (np.full((64, 64), 100.0), "100"),
        (np.full((64, 64), np.nan), "NaN"),
    ],
)
def test_what_is_neither_black_nor_white_is_no_mask(mask: np.ndarray, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        load_mask(mask)
