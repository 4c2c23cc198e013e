"""Restoring one picture: which output is kept, that a truth changes nothing, interrupts."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

from dipbench.data import MaskInpainting, load_image, load_observation, parse_task, save_image
from dipbench.errors import (
    DeviceError,
    DipbenchError,
    DivergenceError,
    ImageError,
    MissingExtraError,
    ProtocolError,
    TaskError,
)
from dipbench.evaluate import psnr
from dipbench.evaluate.devices import resolve_precision
from dipbench.evaluate.fitting import CHUNK
from dipbench.evaluate.models import parse_model
from dipbench.evaluate.protocol import DiscrepancyStop, Protocol, StopRule, VarianceStop
from dipbench.evaluate.published import published_protocol
from dipbench.evaluate.restoring import KEEP, restore
from dipbench.evaluate.stopping import STOPPING, scaled_patience, variance_stop, variance_warmup

TASK = parse_task("denoising-25")
CAMERA = load_image("camera", size=64)
NOISY = TASK.observe(CAMERA, 0)
ITERATIONS = 150


class Tiny(nn.Module):
    """A network that trains in milliseconds, from the same weights every time."""

    def __init__(self, channels=1):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(channels, 8, 3, padding=1), nn.ReLU())
        self.head = nn.Conv2d(8, channels, 1)

    def forward(self, z):
        return torch.sigmoid(self.head(self.layers(10 * z)))


class Scripted(nn.Module):
    """Outputs that swing less and less up to an iteration, and then more and more."""

    def __init__(self, calmest):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.calmest, self.count = calmest, 0

    def forward(self, z):
        swing = (0.001 + abs(self.count - self.calmest) / 1000) * (-1) ** self.count
        self.count += 1
        return (0.5 + swing + 0 * self.weight).expand(z.shape)


class Nearing(nn.Module):
    """Outputs that differ from the observation by less and less, and by the same everywhere."""

    def __init__(self):
        super().__init__()
        self.weight, self.count = nn.Parameter(torch.zeros(())), 0
        self.observed = torch.tensor(NOISY.observed)[None]

    def forward(self, z):
        self.count += 1
        return self.observed + far(self.count - 1) + 0 * self.weight


def far(iteration):
    return 0.3 * 0.97**iteration * (1.5 if iteration % 2 else 0.5)


def restored(model=None, **options):
    options = {"iterations": ITERATIONS, "threads": 1} | options
    return restore(NOISY, TASK, model or Tiny(), **options)


@pytest.fixture(scope="module")
def by_keep():
    return {keep: restored(keep=keep, truth=CAMERA) for keep in KEEP}


def test_each_output_is_of_the_iteration_that_is_told(by_keep):
    for keep in ("last", "lowest_loss", "stopped"):
        made = by_keep[keep]
        assert psnr(made.image, CAMERA.array) == pytest.approx(
            made.fit.psnr[made.iteration], abs=1e-3
        )
    assert by_keep["last"].iteration == by_keep["smooth"].iteration == ITERATIONS - 1
    lowest = by_keep["lowest_loss"]
    assert lowest.iteration == lowest.fit.loss.argmin()


def test_the_live_stop_is_the_replayed_one(by_keep):
    full, stopped = by_keep["last"].fit.curves["variance"], by_keep["stopped"]
    patience = scaled_patience(ITERATIONS)
    replayed = variance_stop(full, patience)
    if replayed is None:
        assert stopped.fit.status == "finished"
        replayed = variance_warmup() + full[variance_warmup() :].argmin()
    else:
        assert stopped.fit.status == "stopped"
        assert stopped.fit.length == replayed + patience + 1
    assert stopped.fired == (stopped.fit.status == "stopped")
    assert stopped.iteration == replayed


def test_a_variance_that_rises_ends_the_training_after_its_patience():
    made = restored(Scripted(calmest=100), iterations=300, keep="stopped")
    assert made.fit.status == "stopped"
    assert made.fit.length == made.iteration + scaled_patience(300) + 1
    assert 100 <= made.iteration < 120
    swing = 0.001 + abs(made.iteration - 100) / 1000
    assert np.abs(made.image - 0.5) == pytest.approx(swing, abs=1e-6)


def test_the_discrepancy_ends_the_training_where_it_is_replayed_to_stop():
    noise = TASK.mean_squared_noise(NOISY)
    made = restored(Nearing(), keep="discrepancy", truth=CAMERA)
    assert made.fit.status == "stopped"
    assert made.fired
    assert made.iteration == made.fit.length - 1
    assert STOPPING["discrepancy"](made.fit.curves, noise) == made.iteration
    mean, average = far(0) ** 2, far(0)
    for iteration in range(1, made.fit.length):
        assert mean > noise
        mean = 0.9 * mean + 0.1 * far(iteration) ** 2
        average = 0.9 * average + 0.1 * far(iteration)
    assert mean <= noise
    assert made.image == pytest.approx((NOISY.observed + average).clip(0, 1), abs=1e-5)
    assert made.quality["psnr"] == pytest.approx(psnr(made.image, CAMERA.array))


def test_a_known_noise_ends_the_training_unless_another_output_is_asked_for():
    assert restored(Nearing()).kept == "discrepancy"
    half = parse_task("sr-2")
    small = restore(half.observe(CAMERA, 0), half, "deep-decoder", iterations=2, threads=1)
    assert small.kept == "stopped"


def test_the_discrepancy_needs_a_noise_that_is_known():
    half = parse_task("sr-2")
    with pytest.raises(ProtocolError, match="noise of this observation is not known"):
        restore(half.observe(CAMERA, 0), half, Tiny(), keep="discrepancy", iterations=5, threads=1)


@pytest.mark.parametrize("stop", [VarianceStop(7), DiscrepancyStop(), StopRule()])
def test_a_protocol_with_the_stop_survives_a_file(stop):
    protocol = published_protocol("dip", TASK).replace(stop=stop)
    assert Protocol.from_record(protocol.to_record()) == protocol


def test_a_truth_judges_and_changes_nothing(by_keep):
    blind = restored(keep="last")
    assert blind.quality == {}
    assert np.array_equal(blind.image, by_keep["last"].image)


def test_time_ends_a_training_that_is_not_over_yet():
    made = restored(seconds=0, iterations=10**4)
    assert (made.fit.status, made.fit.length, made.fired) == ("stopped", CHUNK, False)
    assert f"0 seconds were over after {CHUNK} iterations" in made.fit.reason
    assert np.isfinite(made.image).all()
    whole = restored(seconds=0, iterations=CHUNK, keep="last")
    assert (whole.fit.status, whole.fired) == ("finished", None)


def test_the_noise_of_the_input_can_be_set_and_decays():
    options = {"keep": "last", "iterations": 20}
    quiet, loud, fading = (
        restored(input_noise=noise, input_noise_decay=decay, **options)
        for noise, decay in ((0, None), (0.5, None), (0.5, 0.01))
    )
    assert (fading.protocol.input_noise, fading.protocol.input_noise_decay) == (0.5, 0.01)
    off = [np.abs(made.fit.loss - quiet.fit.loss) for made in (loud, fading)]
    # The first iteration is as noisy; two later the decaying noise is gone from the input.
    assert off[0][0] == off[1][0] > 0
    assert off[1][10:].max() < off[0][10:].max() / 5


def test_an_interrupt_keeps_the_best_so_far():
    def interrupt(done, training):
        raise KeyboardInterrupt

    made = restored(progress=interrupt, iterations=10**4)
    assert made.fit.status == "interrupted"
    assert made.fit.length < 10**4
    assert np.isfinite(made.image).all()
    assert made.image.std() > 0


class Diverging(Tiny):
    """Gives NaN from its `at`-th iteration on."""

    def __init__(self, at):
        super().__init__()
        self.left = at

    def forward(self, z):
        self.left -= 1
        return super().forward(z) * (float("nan") if self.left < 0 else 1.0)


def test_a_divergence_keeps_what_came_before_it():
    made = restore(NOISY, TASK, Diverging(4), iterations=9, keep="last", threads=1)
    assert (made.fit.status, made.fit.length, made.iteration) == ("diverged", 4, 3)
    assert np.isfinite(made.image).all()


def test_a_divergence_at_once_leaves_nothing_to_keep():
    with pytest.raises(DivergenceError, match="try another seed"):
        restore(NOISY, TASK, Diverging(0), iterations=9, keep="last", threads=1)


def test_all_kinds_of_tasks_and_colour():
    picture = load_image("astronaut", size=64)
    for text in ("inpainting-50", "sr-4", "denoising-poisson-30"):
        task = parse_task(text)
        made = restore(
            task.observe(picture, 0), task, Tiny(3), truth=picture, iterations=3, threads=1
        )
        assert made.image.shape == picture.shape
        assert set(made.quality) >= {"psnr", "ssim"}
        assert made.image.min() >= 0
        assert made.image.max() <= 1


def test_missing_pixels_are_filled_and_odd_sizes_padded():
    scratched = np.full((66, 70), 0.5)
    scratched[20:30] = np.nan
    made = restore(
        load_observation(scratched, "inpainting"), "inpainting", "dip", iterations=2, threads=1
    )
    assert made.image.shape == (1, 66, 70)
    assert made.model == "dip-inpainting"


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("denoising-25", "dip-denoising"),
        ("denoising-50", "dip-denoising-50"),
        ("denoising-poisson-30", "dip-denoising"),
        ("sr-4", "dip-sr-4"),
        ("sr-8", "dip-sr-8"),
        ("inpainting-50", "dip-inpainting"),
        ("inpainting-text", "dip-inpainting"),
        ("inpainting-hole-25", "dip-inpainting-region"),
    ],
)
def test_dip_means_the_variant_for_the_task(task, name):
    assert parse_model("dip", task).name == name
    assert published_protocol("dip", parse_task(task)).name == name


def test_published_settings_become_protocols():
    pixel_shuffle = published_protocol("dip-pixel-shuffle", parse_task("inpainting-50"))
    assert pixel_shuffle.input_kind == "drifting"
    assert pixel_shuffle.loss_reduction == "sum"
    assert pixel_shuffle.iterations_for("inpainting") == 25_000
    genotype = published_protocol(0, TASK)
    assert (genotype.name, genotype.stop) == ("isnas", None)


def test_the_precision_asked_for_is_computed_in_and_recorded():
    try:
        resolve_precision("bf16", torch.device("cpu"))
    except DeviceError as error:
        pytest.skip(str(error))
    options = {"keep": "last", "iterations": 5, "device": "cpu"}
    full, half = (restored(precision=name, **options) for name in ("float32", "bf16"))
    assert (full.protocol.precision, half.protocol.precision) == ("float32", "bf16")
    assert not np.array_equal(full.image, half.image)
    assert np.abs(full.image - half.image).max() < 0.05
    own = restored(protocol=half.protocol, **options)
    assert np.array_equal(own.image, half.image)


def test_mistakes_are_told_before_the_work():
    with pytest.raises(DeviceError, match="'half' is no precision"):
        restored(precision="half")
    with pytest.raises(ProtocolError, match="did you mean 'smooth'"):
        restored(keep="smoth")
    for options, message in (
        ({"input_noise": -0.1}, "input_noise is -0.1: expected 0 or more"),
        ({"input_noise": float("inf")}, "expected 0 or more, finite"),
        ({"input_noise_decay": 1.5}, "expected in"),
        ({"input_noise": 0, "input_noise_decay": 0.9}, "nothing to act on"),
        ({"seconds": float("nan")}, "cannot last"),
    ):
        with pytest.raises(ProtocolError, match=message):
            restored(**options)
    with pytest.raises(ImageError, match="the truth has shape"):
        restored(truth=load_image("camera", size=96))
    with pytest.raises(DipbenchError, match="dip-pixel-shuffle cannot make"):
        restore(NOISY, TASK, "dip-pixel-shuffle", iterations=1)


@pytest.mark.parametrize("task", ["inpainting-50", "sr-4"])
def test_an_observation_of_another_task_is_told_before_the_work(task):
    with pytest.raises(TaskError, match=f"not of {task}: it has all pixels"):
        restore(NOISY, task)
    with pytest.raises(TaskError, match="not of denoising-25"):
        restore(parse_task(task).observe(CAMERA, 0), TASK)


def test_a_bare_inpainting_is_that_of_the_pixels_that_are_missing():
    scratched = CAMERA.array.copy()
    scratched[:, 9:20] = np.nan
    made = restore(
        load_observation(scratched, "inpainting"), "inpainting", Tiny(), iterations=1, threads=1
    )
    assert made.task == str(MaskInpainting(np.isfinite(scratched[0])))


def test_what_judges_is_missed_before_the_training(monkeypatch):
    network = Nearing()
    monkeypatch.setitem(sys.modules, "skimage.metrics", None)
    with pytest.raises(MissingExtraError, match=r"SSIM needs .*dipbench\[train\]"):
        restored(network, truth=CAMERA)
    assert network.count == 0


def test_pictures_are_taken_in_any_form(tmp_path):
    save_image(tmp_path / "noisy.png", NOISY.observed)
    save_image(tmp_path / "truth.png", CAMERA.array)
    settings = {"iterations": 2, "keep": "last", "threads": 1}
    noisy = load_observation(tmp_path / "noisy.png", "denoising-25")
    made = restore(noisy, "denoising-25", "deep-decoder", truth=CAMERA, **settings)
    for given, truth in ((noisy.observed, CAMERA.array), (tmp_path / "noisy.png", None)):
        truth = tmp_path / "truth.png" if truth is None else truth
        again = restore(given, "denoising-25", "deep-decoder", truth=truth, **settings)
        assert np.array_equal(again.image, made.image)
        assert again.quality["psnr"] == pytest.approx(made.quality["psnr"], abs=0.01)
    with pytest.raises(TaskError, match="has its own mask"):
        load_observation(noisy, "inpainting", mask=np.eye(64, dtype=bool))
