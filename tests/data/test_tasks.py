"""Tasks: text forms, what they do to an image, and from what their draws come."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dipbench.data import (
    Denoising,
    HoleInpainting,
    Image,
    Inpainting,
    MaskInpainting,
    Observation,
    PoissonDenoising,
    SuperResolution,
    Task,
    TextInpainting,
    lanczos_downsample,
    load_image,
    load_observation,
    parse_task,
    save_image,
)
from dipbench.data.png16 import write_png16
from dipbench.data.quantisation import quantise
from dipbench.data.resampling import lanczos_resize
from dipbench.errors import DipbenchError, ImageError, TaskError

GREY = Image("grey", np.full((1, 96, 128), 0.5))
COLOUR = load_image("astronaut", size=96)


@given(
    st.one_of(
        st.builds(Denoising, st.floats(1e-3, 255)),
        st.builds(Inpainting, st.floats(0.01, 0.999)),
        st.builds(SuperResolution, st.sampled_from([2, 3, 4, 8])),
        st.builds(PoissonDenoising, st.floats(1e-3, 65535)),
        st.builds(HoleInpainting, st.floats(0.01, 0.999)),
        st.builds(TextInpainting),
    )
)
def test_text_forms_round_trip(task: Task) -> None:
    assert parse_task(str(task)) == task
    assert str(parse_task(str(task))) == str(task)
    assert parse_task(task) is task


@pytest.mark.parametrize(
    ("text", "task", "canonical"),
    [
        ("denoising", Denoising(25), "denoising-25"),
        ("denoising-12.50", Denoising(12.5), "denoising-12.5"),
        ("inpainting", Inpainting(0.5), "inpainting-50"),
        ("inpainting-57", Inpainting(0.57), "inpainting-57"),
        ("denoising-poisson", PoissonDenoising(30), "denoising-poisson-30"),
        ("inpainting-hole-25", HoleInpainting(0.25), "inpainting-hole-25"),
        ("inpainting-text", TextInpainting(), "inpainting-text"),
        ("sr", SuperResolution(4), "sr-4"),
        ("sr-3", SuperResolution(3), "sr-3"),
    ],
)
def test_texts_that_are_read(text: str, task: Task, canonical: str) -> None:
    assert parse_task(text) == task
    assert str(task) == canonical


@pytest.mark.parametrize(
    "text",
    ["denosing", "denoising-0", "denoising-256", "denoising-x", "inpainting-100", "inpainting-0",
     "sr-5", "sr-2.5", "inpainting-hole-101", "inpainting-text-3", "denoising-poisson-0", "sr-x",
     "inpainting-hole-100", "sr-1", "", "denoising-", "denoising--1", "denoising-1e2"],
)  # fmt: skip
def test_texts_that_are_refused(text: str) -> None:
    with pytest.raises(TaskError):
        parse_task(text)


def test_noise_has_its_deviation_and_is_clipped() -> None:
    observation = Denoising(25).observe(GREY, seed=0)
    assert observation.mask is None
    assert abs(255 * (observation.observed - 0.5).std() - 25) < 0.5
    loud = Denoising(255).observe(GREY, seed=0).observed
    assert loud.min() == 0
    assert loud.max() == 1


def test_inpainting_hides_the_same_pixels_in_all_channels() -> None:
    observation = Inpainting(0.3).observe(COLOUR, seed=0)
    assert observation.mask is not None
    assert abs((~observation.mask).mean() - 0.3) < 0.02
    np.testing.assert_array_equal(observation.observed, COLOUR.array * observation.mask)


@pytest.mark.parametrize("zoom", [2, 3, 4, 8])
def test_super_resolution_is_pillows_resize_near_the_operator(zoom: int) -> None:
    observation = SuperResolution(zoom).observe(COLOUR, seed=0)
    low = lanczos_downsample(COLOUR.array, zoom)
    assert observation.observed.shape == low.shape
    assert observation.restored_shape == COLOUR.shape
    wanted = lanczos_resize(COLOUR.array, 96 // zoom, 96 // zoom).clip(0, 1)
    np.testing.assert_allclose(observation.observed, wanted, atol=1e-5)
    if zoom % 2 == 0:  # for an odd zoom the published operator is half a pixel off
        assert np.square(observation.observed - low).mean() < 1e-3


def test_super_resolution_needs_fitting_sides() -> None:
    with pytest.raises(TaskError, match="grey is 128 pixels wide and 96 high"):
        SuperResolution(3).observe(GREY, seed=0)


@pytest.mark.parametrize(
    "task",
    [
        Denoising(),
        PoissonDenoising(),
        Inpainting(),
        HoleInpainting(),
        TextInpainting(),
        MaskInpainting(np.eye(96, dtype=bool)),
        SuperResolution(),
    ],
    ids=str,
)
def test_observations_repeat_and_are_stored_exactly(task: Task) -> None:
    first, again = task.observe(COLOUR, 3), task.observe(COLOUR, 3)
    assert first == again
    assert first.sha256 == again.sha256
    assert first.observed.dtype == np.float32
    assert not first.observed.flags.writeable
    levels = np.rint(first.observed * 65535.0)
    np.testing.assert_array_equal((levels / 65535).astype(np.float32), first.observed)
    assert Observation(first.observed, first.mask, first.zoom) == first


@pytest.mark.parametrize(
    "task", [Denoising(), PoissonDenoising(), Inpainting(), TextInpainting()], ids=str
)
def test_draws_depend_on_seed_name_and_task(task: Task) -> None:
    first = task.observe(COLOUR, 0)
    assert first != task.observe(COLOUR, 1)
    assert first != task.observe(Image("other", COLOUR.array), 0)


def test_noise_of_another_deviation_is_another_draw() -> None:
    noise = [(Denoising(sigma).observe(GREY, 0).observed - 0.5).ravel() for sigma in (25, 26)]
    assert abs(np.corrcoef(noise)[0, 1]) < 0.1


def test_poisson_noise_has_the_variance_of_its_mean() -> None:
    observed = PoissonDenoising(30).observe(GREY, seed=0).observed
    assert abs(observed.mean() - 0.5) < 0.01
    assert abs(observed.var() - 0.5 / 30) < 0.002


def test_a_given_mask_is_named_by_its_content() -> None:
    mask = np.eye(96, dtype=bool)
    task = parse_task("inpainting-mask", mask)
    assert task == MaskInpainting(mask)
    assert task == parse_task(str(task), mask)
    assert hash(task) == hash(parse_task(task))
    assert task != MaskInpainting(~mask)
    np.testing.assert_array_equal(task.observe(COLOUR, 0).mask, mask)
    with pytest.raises(TaskError, match="needs its mask: --mask FILE, in Python mask="):
        parse_task(str(task))
    with pytest.raises(TaskError, match="the mask given is that of"):
        parse_task(str(task), ~mask)
    with pytest.raises(TaskError, match="takes no mask"):
        parse_task("inpainting-50", mask)
    with pytest.raises(TaskError, match="they must be of one size"):
        task.observe(GREY, 0)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((96, 96), bool), "hides every pixel"),
        (np.ones((96, 96), bool), "hides nothing"),
        (np.eye(64, dtype=bool), "the mask is 64 pixels wide and 64 high, the image 96"),
        (np.eye(96), "of bool"),
    ],
)
def test_bad_masks_are_refused(mask: np.ndarray, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        Observation(np.zeros((1, 96, 96)), mask)


@pytest.mark.parametrize(
    ("observed", "zoom", "error", "message"),
    [
        (np.full((1, 64, 64), 1.5), 1, ImageError, r"values from 1.5 to 1.5; expected \[0, 1\]"),
        (np.full((1, 64, 64), -0.1), 1, ImageError, "values from -0.1 to -0.1"),
        (np.full((1, 64, 64), np.nan), 1, ImageError, "4096 NaN or infinite values"),
        (np.full((1, 64, 64), 200, np.uint8), 1, ImageError, "holds uint8; expected floats"),
        (np.ones((64, 64)), 1, ImageError, r"shape \(64, 64\); expected \(C, H, W\)"),
        (np.ones((2, 64, 64)), 1, ImageError, "with 1 or 3 channels"),
        (np.ones((1, 0, 64)), 1, ImageError, "shape"),
        ([[[0.5]]], 1, ImageError, "is a list; expected a NumPy array"),
        (np.ones((1, 64, 64)), 0, TaskError, "zoom 0 is no whole number from 1"),
        (np.ones((1, 64, 64)), 2.5, TaskError, "zoom 2.5 is no whole number from 1"),
    ],
)
def test_bad_observations_are_refused(
    observed: np.ndarray, zoom: int, error: type[DipbenchError], message: str
) -> None:
    with pytest.raises(error, match=message):
        Observation(observed, zoom=zoom)


def test_an_observation_is_0_where_pixels_are_missing() -> None:
    mask = np.random.default_rng(0).random((96, 96)) < 0.5
    for hidden in (0.7, 2.0, np.nan):
        made = Observation(np.where(mask, COLOUR.array, hidden), mask)
        assert made == MaskInpainting(mask).observe(COLOUR, 0)
        np.testing.assert_array_equal(made.observed, COLOUR.array * mask)


def test_rounding_of_arithmetic_is_no_value_out_of_range() -> None:
    white = Observation(np.full((1, 64, 64), 1 + 1e-7))
    assert white.observed.max() == 1


def test_a_hole_over_everything_is_refused() -> None:
    with pytest.raises(TaskError, match="side=1 would hide every pixel"):
        HoleInpainting(1)
    message = r"inpainting-hole-99\.9 rounds to a hole over all of grey, 128 pixels wide"
    with pytest.raises(TaskError, match=message):
        HoleInpainting(0.999).observe(GREY, 0)


@pytest.mark.parametrize("task", [None, 25, Denoising, ["denoising"]])
def test_what_is_no_task_is_refused(task: object) -> None:
    with pytest.raises(TaskError, match="cannot read a task from"):
        parse_task(task)
    with pytest.raises(TaskError, match="cannot read a task from"):
        load_observation(COLOUR, task, np.eye(96))


@pytest.mark.parametrize("kind", [Denoising, PoissonDenoising, Inpainting, HoleInpainting])
@pytest.mark.parametrize("value", ["x", None, [1, 2], 10**400])
def test_settings_that_are_no_numbers_are_refused(kind: type[Task], value: object) -> None:
    with pytest.raises(TaskError, match=f"{kind.kind} needs a number for"):
        kind(value)


@pytest.mark.parametrize("mask", ["mask.png", None, [[True]]])
def test_masks_that_are_no_arrays_are_refused(mask: object) -> None:
    with pytest.raises(TaskError, match="a mask must be a NumPy array"):
        MaskInpainting(mask)


def test_a_mask_that_is_masked_itself_is_refused() -> None:
    half = np.ma.masked_array(np.eye(64, dtype=bool), mask=np.eye(64, dtype=bool))
    with pytest.raises(TaskError, match="got a masked one"):
        MaskInpainting(half)


def test_a_task_degrades_images_alone() -> None:
    with pytest.raises(ImageError, match="a task degrades an Image, got str 'camera'"):
        Denoising().observe("camera", 0)


def test_a_mask_beside_another_one_must_be_the_same() -> None:
    mask = np.random.default_rng(0).random((96, 96)) < 0.5
    task = MaskInpainting(mask)
    assert parse_task(task, mask) == task
    assert load_observation(COLOUR, task, mask) == task.observe(COLOUR, 0)
    with pytest.raises(TaskError, match=f"the mask given is that of .*, not of {task}"):
        parse_task(task, ~mask)
    with pytest.raises(TaskError, match=f"the mask given is that of .*, not of {task}"):
        load_observation(COLOUR, task, ~mask)


@pytest.mark.parametrize("colour", [None, False, True])
def test_degraded_images_without_a_ground_truth(colour: bool | None) -> None:
    channels = 1 if colour is False else 3
    noisy = load_observation(COLOUR.array, "denoising-25", colour=colour)
    assert noisy.mask is None
    assert noisy.observed.shape == (channels, 96, 96)
    small = load_observation(COLOUR.array[:, :32, :40], "sr-3", colour=colour)
    assert small.restored_shape == (channels, 96, 120)
    scratched = COLOUR.array.copy()
    scratched[1, 10:20] = np.nan
    marked = load_observation(scratched, "inpainting", colour=colour)
    assert marked.mask is not None
    assert (~marked.mask).sum() == 10 * 96
    assert marked.observed.shape == (channels, 96, 96)


def test_missing_pixels_may_be_marked_by_alpha_file_or_mask(tmp_path: Path) -> None:
    mask = np.random.default_rng(0).random((96, 96)) < 0.5
    levels = quantise(np.moveaxis(np.concatenate([COLOUR.array, mask[None]]), 0, 2))
    write_png16(tmp_path / "alpha.png", levels)
    save_image(tmp_path / "mask.png", mask.astype(float))
    save_image(tmp_path / "image.png", COLOUR.array, bits=16)
    wanted = MaskInpainting(mask).observe(COLOUR, 0)
    assert load_observation(tmp_path / "alpha.png", "inpainting") == wanted
    image = tmp_path / "image.png"
    assert load_observation(image, "inpainting", tmp_path / "mask.png") == wanted
    assert load_observation(image, "inpainting-mask", mask) == wanted
    assert load_observation(image, MaskInpainting(mask)) == wanted
    # Alpha and a mask together hide what either hides.
    both = load_observation(tmp_path / "alpha.png", "inpainting", np.eye(96) == 0)
    np.testing.assert_array_equal(both.mask, mask & (np.eye(96) == 0))


@pytest.mark.parametrize(
    ("array", "task", "mask", "error", "message"),
    [
        (np.ones((64, 64)), "inpainting-50", None, TaskError, "no pixel of the array is marked"),
        (np.full((64, 64), np.nan), "inpainting", None, TaskError, "hides every pixel"),
        (np.ones((64, 64)), "inpainting", np.eye(96), TaskError, "must be of one size"),
        (np.ones((64, 64)), "denoising", np.eye(64), TaskError, "takes no mask"),
        (np.full((64, 64), np.nan), "denoising", None, ImageError, "cannot restore"),
        (np.full((64, 64), 2.0), "denoising", None, ImageError, "values from 2 to 2"),
        (np.ones((63, 64)), "denoising", None, ImageError, "both must be 64 or more"),
        (np.ones((15, 64)), "sr-4", None, ImageError, "both must be 16 or more"),
    ],
)
def test_degraded_images_that_are_refused(
    array: np.ndarray,
    task: str,
    mask: np.ndarray | None,
    error: type[DipbenchError],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        load_observation(array, task, mask)


@pytest.mark.parametrize("text", ["inpainting-0.5", "inpainting-hole-0.25"])
def test_a_share_where_percent_are_meant_is_refused(text: str) -> None:
    with pytest.raises(TaskError, match="its text form is in percent, as in inpainting-50"):
        parse_task(text)


def test_a_mask_and_a_zoom_do_not_go_together() -> None:
    with pytest.raises(TaskError, match="a mask or a zoom"):
        Observation(np.full((1, 16, 16), 0.5), mask=np.eye(16, dtype=bool), zoom=4)


@pytest.mark.parametrize("seed", [None, 1.0, True, "0"])
def test_a_seed_is_a_whole_number(seed: Any) -> None:
    with pytest.raises(TaskError, match="is no whole number"):
        Denoising(25).observe(load_image("camera", size=64), seed)
