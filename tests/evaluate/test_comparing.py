"""Models and other packages' methods on one observation, and our networks inside deepinv."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from dipbench.data import Observation, load_image, parse_task
from dipbench.errors import DipbenchError, GenotypeError, ImageError, MissingExtraError, TaskError
from dipbench.evaluate.baselines import (
    BASELINES,
    BaselineResult,
    bm3d,
    check_baseline,
    deepinv_dip,
    import_deepinv,
)
from dipbench.evaluate.comparing import compare
from dipbench.evaluate.memory import TooLittleMemoryError
from dipbench.evaluate.operators import forward_operator
from dipbench.evaluate.quality import psnr
from dipbench.evaluate.restoring import restore
from dipbench.genotypes import ISNAS522
from dipbench.genotypes.network import build_network
from dipbench.genotypes.reference import REFERENCE, build_reference

TASK = parse_task("denoising-25")
CAMERA = load_image("camera", size=64)
NOISY = TASK.observe(CAMERA, 0)


@pytest.fixture(scope="module")
def deepinv():
    try:
        return import_deepinv()
    except DipbenchError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def _bm3d():
    try:
        check_baseline("bm3d", TASK)
    except MissingExtraError as error:
        pytest.skip(str(error))


def test_one_row_a_model_on_equal_terms():
    models = ["deep-decoder", "deep-decoder", "dip-jpeg"]
    rows = compare(NOISY, TASK, models, truth=CAMERA, iterations=3, keep="last", threads=1)
    assert [row.model for row in rows] == ["deep-decoder", "dip-jpeg"]
    for row in rows:
        assert row.quality["psnr"] == pytest.approx(psnr(row.image, CAMERA.array))
        assert row.iterations == 3
        assert row.parameters


def test_time_ends_a_training_but_not_the_comparison():
    rows = compare(
        NOISY, TASK, ["deep-decoder"], iterations=10**5, seconds=0.01, keep="last", threads=1
    )
    assert 0 < rows[0].iterations < 10**4
    assert rows[0].best_psnr_smooth is None


@pytest.mark.parametrize("at", [0, 2])
def test_a_model_that_diverges_leaves_the_others_their_rows(diverge, at):
    diverge("dip-jpeg", at)
    rows = compare(NOISY, TASK, ["dip-jpeg", "deep-decoder"], iterations=3, threads=1, truth=CAMERA)
    assert [row.status for row in rows] == ["diverged", "finished"]
    assert [row.iterations for row in rows] == [at, 3]
    assert [row.image is None for row in rows] == [at == 0, False]
    assert f"iteration {at}" in rows[0].reason


def test_a_model_that_memory_does_not_hold_leaves_the_others_their_rows(monkeypatch):
    def too_large(observation, task, model, **settings):
        if model == "dip-jpeg":
            raise TooLittleMemoryError("too little memory on cpu for one run")
        return restore(observation, task, model, **settings)

    def without_memory(*arguments, **settings):
        raise MemoryError

    monkeypatch.setattr("dipbench.evaluate.comparing.restore", too_large)
    monkeypatch.setitem(BASELINES, "bm3d", without_memory)
    monkeypatch.setattr("dipbench.evaluate.comparing.check_baseline", lambda *_: None)
    models = ["deep-decoder", "dip-jpeg", "bm3d"]
    rows = compare(NOISY, TASK, models, iterations=2, keep="last", threads=1)
    assert [row.status for row in rows] == ["finished", "failed", "failed"]
    assert [row.image is None for row in rows] == [False, True, True]
    assert all("too little memory" in row.reason for row in rows[1:])


def test_an_error_of_another_package_leaves_the_others_their_rows(monkeypatch):
    def broken(*arguments, **settings):
        raise ValueError("bad\nshape")

    monkeypatch.setitem(BASELINES, "bm3d", broken)
    monkeypatch.setattr("dipbench.evaluate.comparing.check_baseline", lambda *_: None)
    rows = compare(NOISY, TASK, ["deep-decoder", "bm3d", "dip-jpeg"], iterations=2, threads=1)
    assert [row.status for row in rows] == ["finished", "failed", "finished"]
    assert rows[1].reason == "ValueError: bad shape"


def test_time_that_ends_another_packages_training_is_told_as_of_ours(monkeypatch):
    reason = "its 1 seconds were over after 9 iterations"
    made = BaselineResult(CAMERA.array, 1.0, 9, reason)
    monkeypatch.setitem(BASELINES, "deepinv-dip", lambda *arguments, **settings: made)
    monkeypatch.setattr("dipbench.evaluate.comparing.check_baseline", lambda *_: None)
    [row] = compare(NOISY, TASK, ["deepinv-dip"], seconds=1)
    assert (row.status, row.reason, row.iterations) == ("stopped", reason, 9)


def test_an_interrupt_ends_the_comparison_with_what_there_is():
    def interrupt(model, done, total):
        if model == "dip-jpeg":
            raise KeyboardInterrupt

    models = ["deep-decoder", "dip-jpeg", "conv-decoder"]
    rows = compare(
        NOISY, TASK, models, iterations=3, keep="last", threads=1, truth=CAMERA, progress=interrupt
    )
    assert [row.status for row in rows] == ["finished", "interrupted"]
    assert rows[1].quality["psnr"] == pytest.approx(psnr(rows[1].image, CAMERA.array))


def test_an_interrupt_of_another_package_leaves_the_rows_before(monkeypatch):
    def interrupted(*arguments, **settings):
        raise KeyboardInterrupt

    monkeypatch.setitem(BASELINES, "bm3d", interrupted)
    monkeypatch.setattr("dipbench.evaluate.comparing.check_baseline", lambda *_: None)
    rows = compare(NOISY, TASK, ["deep-decoder", "bm3d", "dip-jpeg"], iterations=2, threads=1)
    assert [(row.model, row.status) for row in rows] == [
        ("deep-decoder", "finished"),
        ("bm3d", "interrupted"),
    ]
    assert rows[1].image is None
    with pytest.raises(KeyboardInterrupt):
        compare(NOISY, TASK, ["bm3d", "deep-decoder"], iterations=2, threads=1)


@pytest.mark.parametrize(
    ("models", "task", "error"),
    [
        ([], TASK, GenotypeError),
        (["deep-decoder", "dipp"], TASK, GenotypeError),
        (["bm3d"], parse_task("sr-4"), TaskError),
        (["deep-decoder", "dip-pixel-shuffle"], TASK, ImageError),  # 128 pixels at least
    ],
)
def test_mistakes_are_told_before_the_first_training(models, task, error):
    with pytest.raises(error):
        compare(NOISY, task, models, iterations=10**6)


@pytest.mark.parametrize("wish", [{"seconds": -1}, {"iterations": 0}, {"seed": 1.0}])
def test_a_length_that_cannot_be_is_told_before_the_first_training(monkeypatch, wish):
    monkeypatch.setitem(BASELINES, "bm3d", None)
    with pytest.raises(DipbenchError, match=r"cannot last|give a whole number|no whole number"):
        compare(NOISY, TASK, ["bm3d", "deep-decoder"], **wish)


def test_a_genotype_that_is_too_large_for_the_picture_is_told_before_the_first_training():
    small = Observation(np.zeros((1, 32, 32), np.float32))
    with pytest.raises(ImageError, match="32 x 32 pixels does not fit"):
        compare(small, TASK, ["deep-decoder", "0"], iterations=10**6)


def test_a_truth_of_another_size_is_refused():
    with pytest.raises(ImageError):
        compare(NOISY, TASK, ["deep-decoder"], truth=load_image("camera", size=96))


@pytest.mark.usefixtures("_bm3d")
def test_bm3d_denoises_grey_and_colour():
    assert psnr(bm3d(NOISY, TASK).image, CAMERA.array) > psnr(NOISY.observed, CAMERA.array) + 5
    picture = load_image("astronaut", size=64)
    noisy = TASK.observe(picture, 0)
    made = bm3d(noisy, TASK)
    assert made.image.shape == picture.shape
    assert psnr(made.image, picture.array) > psnr(noisy.observed, picture.array) + 5


@pytest.mark.usefixtures("deepinv")
@pytest.mark.parametrize("text", ["denoising-25", "inpainting-50", "sr-4"])
def test_deepinv_trains_on_our_observation_and_operator(text):
    task, seen = parse_task(text), []
    made = deepinv_dip(
        task.observe(CAMERA, 0), task, iterations=1, look=lambda at, out: seen.append(at)
    )
    assert (made.image.shape, made.iterations, seen) == (CAMERA.shape, 1, [0])
    assert set(BASELINES) == {"deepinv-dip", "bm3d"}


@pytest.mark.usefixtures("deepinv")
def test_deepinv_repeats_with_its_seed_and_ends_in_time():
    before = torch.random.get_rng_state()
    first, second = (deepinv_dip(NOISY, TASK, iterations=1, seed=5) for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first.reason == ""
    cut = deepinv_dip(NOISY, TASK, iterations=10**6, seconds=0.0)
    assert (cut.iterations, cut.reason) == (1, "its 0 seconds were over after 1 iterations")


@pytest.mark.parametrize("name", ["genotype", "dip-jpeg", "deep-decoder"])
def test_our_networks_run_inside_deepinv(deepinv, name):
    if name == "genotype":
        network, input_shape = build_network(ISNAS522[0]), CAMERA.shape
    else:
        network = build_reference(name, CAMERA.shape)
        input_shape = REFERENCE[name].input_shape(CAMERA.shape)
    prior = deepinv.models.DeepImagePrior(network, img_size=input_shape, iterations=2)
    physics = deepinv.physics.LinearPhysics(A=forward_operator(NOISY, "cpu"))
    before = network.head.weight.detach().clone() if hasattr(network, "head") else None
    restored = prior(torch.tensor(NOISY.observed)[None], physics)
    assert restored.shape == (1, *CAMERA.shape)
    assert before is None or not torch.equal(network.head.weight, before)


@pytest.mark.usefixtures("deepinv")
def test_the_code_of_the_page_on_deepinv_runs():
    page = (Path(__file__).parents[2] / "docs" / "deepinv.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    code = "\n".join(blocks)
    assert code.count("iterations=300") == 2
    names = {}
    exec(code.replace("iterations=300", "iterations=1"), names)
    assert names["restored"].shape == (1, 1, 64, 64)


def test_a_model_that_is_interrupted_early_has_its_full_name(monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    rows = compare(NOISY, TASK, ["deep-decoder"], iterations=2, keep="last", threads=1)
    made = iter([rows[0]])
    monkeypatch.setattr(
        "dipbench.evaluate.comparing._trained", lambda *_, **__: next(made, None) or interrupted()
    )
    rows = compare(NOISY, TASK, ["deep-decoder", "0"], iterations=2, keep="last", threads=1)
    assert [(row.model[:7], row.kept) for row in rows] == [("deep-de", "last"), ("nearest", "last")]
