"""The super-resolution operator against the published figures; padding; resizing."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dipbench.data.resampling import (
    lanczos_downsample,
    lanczos_matrix,
    lanczos_resize,
    lanczos_taps,
    pad_to_multiple,
)
from dipbench.errors import TaskError

REFERENCE = Path(__file__).parents[1] / "reference"
# The published kernel was rounded to float32.
TOLERANCE = 1e-7
FIGURES = json.loads((REFERENCE / "lanczos2_downsampler.json").read_text())


@pytest.mark.parametrize("zoom", FIGURES)
def test_downsampler_agrees_with_the_published_system(zoom: str) -> None:
    figures = FIGURES[zoom]
    image = np.load(REFERENCE / "lanczos2_downsampler_input.npy")
    rows, columns = figures["output_shape"]
    output = lanczos_downsample(image, int(zoom))[:, :rows, :columns]
    taps = lanczos_taps(int(zoom))
    kernel = np.outer(taps, taps)
    assert list(kernel.shape) == figures["kernel_size"]
    np.testing.assert_allclose(kernel[0], figures["kernel_row0"], atol=TOLERANCE, rtol=0)
    got = [output.mean(), output.std(), output[0, 0, 0], output[0, -1, -1]]
    want = [figures[f"output_{name}"] for name in ("mean", "std", "first", "last")]
    np.testing.assert_allclose(got, want, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("zoom", [2, 3, 4, 8])
def test_matrix_is_padding_then_strided_correlation(zoom: int) -> None:
    signal = np.random.default_rng(zoom).random(24 * zoom)
    before = 3 * zoom // 2
    padded = np.pad(signal, (before, before + zoom % 2), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 4 * zoom)[::zoom]
    matrix = lanczos_matrix(24 * zoom, zoom)
    np.testing.assert_allclose(matrix @ signal, windows @ lanczos_taps(zoom))


def test_downsampler_keeps_the_dtype_and_refuses_other_sides() -> None:
    assert lanczos_downsample(np.ones((1, 64, 64), np.float32), 4).dtype == np.float32
    with pytest.raises(TaskError, match="multiples of 3, got 64"):
        lanczos_downsample(np.ones((1, 64, 64)), 3)


def test_resizing_keeps_a_constant_and_treats_channels_alone() -> None:
    array = np.stack([np.full((96, 64), value) for value in (0.0, 0.25, 1.0)])
    small = lanczos_resize(array, 48, 16)
    assert small.dtype == np.float32
    np.testing.assert_allclose(small, np.broadcast_to(array[:, :48, :16], small.shape), atol=1e-6)


@given(
    height=st.integers(1, 100),
    width=st.integers(1, 100),
    multiple=st.sampled_from([1, 8, 32]),
)
def test_padding_reaches_the_multiple_and_gives_the_original_back(
    height: int, width: int, multiple: int
) -> None:
    array = np.random.default_rng(0).random((2, height, width))
    padded, (rows, columns) = pad_to_multiple(array, multiple)
    assert padded.shape[1] % multiple == padded.shape[2] % multiple == 0
    assert max(padded.shape[1] - height, padded.shape[2] - width) < multiple
    np.testing.assert_array_equal(padded[:, rows, columns], array)


def test_padding_reflects_without_repeating_the_edge() -> None:
    padded, _ = pad_to_multiple(np.arange(4.0).reshape(1, 4), 8)
    assert padded[3].tolist() == [2, 1, 0, 1, 2, 3, 2, 1]
    assert padded.shape == (8, 8)


@pytest.mark.parametrize("array", [np.zeros((64, 64), np.uint8), np.zeros(64)])
def test_what_the_filter_would_wrap_around_is_refused(array: np.ndarray) -> None:
    with pytest.raises(TaskError, match="cannot downsample an array of shape"):
        lanczos_downsample(array, 4)
