"""The loop: what it trains on, what it records, when it ends, and that it repeats to the bit."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from dipbench.benchmark.cutting import cut
from dipbench.benchmark.schema import Run, RunKey
from dipbench.data import (
    Denoising,
    Image,
    Inpainting,
    Observation,
    SuperResolution,
    lanczos_downsample,
    load_image,
    parse_task,
)
from dipbench.errors import DipbenchError, ProtocolError, TaskError
from dipbench.evaluate import fit, fitting, psnr
from dipbench.evaluate.protocol import PeakStop, Protocol, Rule, StopRule, get_protocol
from dipbench.evaluate.results import Fit
from dipbench.genotypes.network import (
    build_network,
    count_macs,
    count_parameters,
    count_used_parameters,
)

PROTOCOL = get_protocol("quick").replace(ema=(0.9, 0.5))
MODEL = 273  # among the 522 one of those with the fewest multiply-accumulates


@pytest.fixture(scope="module")
def camera() -> Image:
    return load_image("camera", size=64)


@pytest.fixture(scope="module")
def colour() -> Image:
    return load_image("astronaut", size=64)


class Small(nn.Module):
    """A network of a few weights, whose output before the sigmoid `script` may change."""

    def __init__(self, channels: int = 1, inputs: int | None = None, script: Any = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(inputs or channels, channels, 3, padding=1)
        self.script: Callable[[int, Tensor], Tensor] | None = script
        self.calls = 0

    def forward(self, z: Tensor) -> Tensor:
        output = self.conv(z)
        if self.script is not None:
            output = self.script(self.calls, output)
        self.calls += 1
        return torch.sigmoid(output)


class Levels(nn.Module):
    """Gives a constant picture of a level that is scripted for each iteration."""

    def __init__(self, levels: Any, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.levels, self.shape, self.calls = list(levels), shape, 0
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, z: Tensor) -> Tensor:
        level = self.levels[min(self.calls, len(self.levels) - 1)]
        self.calls += 1
        return 0 * self.weight + torch.full((1, *self.shape), float(level))


def plain(level: float = 0.5, name: str = "plain") -> Image:
    return Image(name, np.full((1, 64, 64), level, np.float32))


def observed(image: Image) -> Observation:
    return Observation(image.array)


def train(model: Any, image: Any, task: Any = "denoising-25", n: int = 5, **given: Any) -> Fit:
    return fit(model, image, task, n, protocol=given.pop("protocol", PROTOCOL), **given)


def same(one: Fit, other: Fit) -> bool:
    """Equal to the bit, in everything but the seconds."""
    return (
        (one.status, one.reason, one.input_sha256)
        == (other.status, other.reason, other.input_sha256)
        and one.curves.keys() == other.curves.keys()
        and all(np.array_equal(one.curves[kind], other.curves[kind]) for kind in one.curves)
        and all(np.array_equal(one.outputs[kind], other.outputs[kind]) for kind in one.outputs)
    )


# What is recorded


def test_a_genotype_is_trained_and_its_curves_kept(camera: Image) -> None:
    result = train(MODEL, camera, n=6)
    assert (result.status, result.reason, result.length) == ("finished", "", 6)
    assert set(result.curves) == {
        "loss", "psnr_observed", "variance", "psnr", "psnr_smooth", "psnr_smooth_0.5",
    }  # fmt: skip
    assert all(c.dtype == np.float32 and c.shape == (6,) for c in result.curves.values())
    assert all(np.isfinite(curve).all() for curve in result.curves.values())
    assert result.loss[-1] < result.loss[0]
    assert result.output.shape == camera.shape
    assert result.output.dtype == np.float32
    network = build_network(MODEL)
    assert result.parameters == count_parameters(network)
    assert result.parameters_used == count_used_parameters(network)
    assert result.macs == count_macs(network, (1, 1, 64, 64))
    assert result.best_psnr == result.psnr.max() == result.psnr[result.best_psnr_iteration]
    assert result.best_psnr_smooth == result.psnr_smooth[result.best_psnr_smooth_iteration]


def outputs_of(model: Any, image: Image, n: int, **given: Any) -> list[np.ndarray]:
    """The output of every iteration, caught as the network gives it."""
    caught: list[np.ndarray] = []
    model.register_forward_hook(lambda net, z, output: caught.append(output[0].detach().numpy()))
    train(model, image, n=n, **given)
    return caught[:n]


@pytest.mark.parametrize("task", ["denoising-25", "inpainting-50", "sr-4"])
def test_curves_equal_a_recomputation_from_the_outputs(colour: Image, task: str) -> None:
    outputs = outputs_of(Small(3), colour, 7, task=task)
    result = train(Small(3), colour, task, 7)
    truth = colour.array.astype(np.float64)
    smooth, other, mean, variance = outputs[0], outputs[0], outputs[0], 0.0
    for step, output in enumerate(outputs):
        assert result.psnr[step] == pytest.approx(psnr(output, colour.array), abs=1e-3)
        if step:
            variance = 0.9 * (variance + 0.1 * np.mean((output - mean) ** 2, dtype=np.float64))
            mean = 0.9 * mean + 0.1 * output
            smooth = 0.9 * smooth + 0.1 * output
            other = 0.5 * other + 0.5 * output
        for kind, average in [("psnr_smooth", smooth), ("psnr_smooth_0.5", other)]:
            expected = -10 * np.log10(np.mean((average - truth) ** 2))
            assert result.curves[kind][step] == pytest.approx(expected, abs=1e-3)
        assert result.curves["variance"][step] == pytest.approx(variance, rel=1e-3, abs=1e-12)
    assert np.array_equal(result.output, outputs[-1])
    assert np.allclose(result.output_smooth, smooth, atol=1e-6)
    assert np.array_equal(result.outputs["best"], outputs[result.best_psnr_iteration])
    assert np.array_equal(result.outputs["lowest_loss"], outputs[int(result.loss.argmin())])


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("task", [Denoising(25), Inpainting(0.5), SuperResolution(4)])
def test_the_loss_is_the_squared_error_under_the_operator(
    colour: Image, task: Any, reduction: Any
) -> None:
    protocol = PROTOCOL.replace(loss_reduction=reduction)
    first = outputs_of(Small(3), colour, 1, task=task, protocol=protocol)[0].astype(np.float64)
    observation = task.observe(colour, 0)
    if task.kind == "sr":
        seen, count = lanczos_downsample(first, 4), observation.observed.size
    elif task.kind == "inpainting":
        seen, count = first * observation.mask, 3 * observation.mask.sum()
    else:
        seen, count = first, first.size
    squares = (seen - observation.observed.astype(np.float64)) ** 2
    expected = squares.sum() if reduction == "sum" else squares.mean()
    result = train(Small(3), colour, task, 1, protocol=protocol)
    assert result.loss[0] == pytest.approx(expected, rel=1e-4)
    # Of an inpainting only the pixels that were observed count.
    assert result.curves["psnr_observed"][0] == pytest.approx(
        -10 * np.log10(squares.sum() / count), abs=1e-3
    )


def test_an_observation_alone_is_trained_on_without_a_truth(camera: Image) -> None:
    observation = Denoising(25).observe(camera, 0)
    result = train(Small(), None, observation=observation)
    assert set(result.curves) == {"loss", "psnr_observed", "variance"}
    assert set(result.outputs) == {"last", "smooth", "recent", "lowest_loss", "lowest_variance"}
    with pytest.raises(DipbenchError, match="without a ground truth"):
        _ = result.psnr


def test_an_observation_given_is_the_one_trained_on(camera: Image) -> None:
    drawn = train(Small(), camera, observation_seed=3)
    given = train(Small(), camera, observation=Denoising(25).observe(camera, 3))
    assert same(drawn, given)
    assert not np.array_equal(drawn.loss, train(Small(), camera, observation_seed=4).loss)


def test_sides_that_are_no_multiples_of_32_are_padded_for_the_network(colour: Image) -> None:
    odd = Image("odd", np.pad(colour.array, [(0, 0), (0, 6), (0, 33)], mode="reflect"))
    protocol = PROTOCOL.replace(size=None)
    sizes = []
    model = Small(3)
    model.register_forward_hook(lambda net, z, output: sizes.append(tuple(z[0].shape)))
    result = train(model, odd, n=2, protocol=protocol)
    assert sizes[0] == (1, 3, 96, 128)
    assert result.output.shape == (3, 70, 97)
    assert result.best_psnr == pytest.approx(psnr(result.outputs["best"], odd.array), abs=1e-3)
    assert train(MODEL, odd, n=1, protocol=protocol).output.shape == (3, 70, 97)


def test_the_lowest_variance_is_not_that_of_the_start() -> None:
    # Still for long, then restless: the variance is lowest just before the change.
    levels = [0.1, 0.9] * 10 + [0.5 + 0.01 * 0.9**i for i in range(60)] + [0.2, 0.8] * 5
    result = train(
        Levels(levels, (1, 64, 64)), plain(), n=len(levels), observation=observed(plain())
    )
    at = 20 + int(result.curves["variance"][20:].argmin())
    assert result.outputs["lowest_variance"].mean() == pytest.approx(levels[at], abs=1e-6)


# Ending


def stopping(levels: Any, **rule: Any) -> Fit:
    protocol = PROTOCOL.replace(stop=StopRule(**rule), ema=(0.9,))
    model = Levels(levels, (1, 64, 64))
    return train(model, plain(), n=len(levels), protocol=protocol, observation=observed(plain()))


def test_the_stop_rule_ends_a_run_after_a_fall_from_its_best() -> None:
    good, bad = 0.51, 0.58  # 40.0 dB and 21.9 dB
    result = stopping([0.7, good, 0.52, bad, good, good], drop_db=3, start=0)
    assert (result.status, result.length) == ("stopped", 3)  # 34.0 dB is 6 dB below
    assert result.reason.endswith("at iteration 2")
    result = stopping([0.7, good, 0.52, 0.511, bad, good], drop_db=7, start=0)
    assert (result.status, result.length) == ("stopped", 5)
    assert result.output.mean() == pytest.approx(bad)
    assert result.best_psnr == pytest.approx(40, abs=1e-2)
    assert result.outputs["best"].mean() == pytest.approx(good)


def test_the_stop_rule_waits_for_its_first_iteration() -> None:
    levels = [0.51, 0.6, 0.51, 0.6, 0.51]
    assert stopping(levels, drop_db=3, start=2).length == 4
    assert stopping(levels, drop_db=3, start=4).status == "finished"
    assert stopping(levels, drop_db=21, start=0).status == "finished"


@settings(max_examples=15)
@given(
    levels=st.lists(st.sampled_from([0.5, 0.51, 0.52, 0.54, 0.6]), min_size=1, max_size=14),
    patience=st.integers(1, 5),
)
def test_a_run_stops_once_its_peak_has_lasted(levels: list[float], patience: int) -> None:
    def trained(stop: PeakStop | None) -> Fit:
        model = Levels(levels, (1, 64, 64))
        protocol = PROTOCOL.replace(stop=stop, ema=(0.5,))
        return train(
            model, plain(), n=len(levels), protocol=protocol, observation=observed(plain())
        )

    whole, result = trained(None), trained(PeakStop(patience))
    smooth = whole.curves["psnr_smooth"]
    lasted = [i for i in range(len(smooth)) if i - int(smooth[: i + 1].argmax()) >= patience]
    assert result.length == (lasted[0] + 1 if lasted else len(smooth))
    assert result.status == ("stopped" if lasted else "finished")
    # A run that was trained without the rule is cut to the same.
    key = RunKey("dip", "plain", "sr-4", 0)
    run = cut(Run(key, whole.status, "", whole.curves), PeakStop(patience))
    assert (run.status, run.reason) == (result.status, result.reason)
    assert all(np.array_equal(run.curves[kind], result.curves[kind]) for kind in whole.curves)


@pytest.mark.parametrize("rule", [StopRule(start=0), PeakStop(1)])
def test_without_a_truth_there_is_no_stop_rule(rule: Rule) -> None:
    protocol = PROTOCOL.replace(stop=rule)
    model = Levels([0.51, 0.9, 0.9], (1, 64, 64))
    result = train(model, None, n=3, protocol=protocol, observation=observed(plain()))
    assert result.status == "finished"


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("at", [0, 1, 12])
def test_a_loss_that_is_no_number_ends_the_run_before_it(
    camera: Image, at: int, bad: float
) -> None:
    def script(call: int, output: Tensor) -> Tensor:
        return output * float("nan") if call == at else output

    good = train(Small(), camera, n=max(at, 1))
    result = train(Small(script=script), camera, n=20)
    assert (result.status, result.length) == ("diverged", at)
    assert result.reason == f"the loss is no finite number at iteration {at}"
    assert all(np.isfinite(output).all() for output in result.outputs.values())
    if at:
        assert all(np.array_equal(result.curves[k], good.curves[k]) for k in good.curves)
        assert all(np.array_equal(result.outputs[k], good.outputs[k]) for k in good.outputs)
    else:
        for name in ("best_psnr", "best_psnr_smooth_iteration"):
            with pytest.raises(DipbenchError, match="no iteration of this fit is whole: diverged"):
                getattr(result, name)


def test_a_network_without_trainable_weights_is_refused(camera: Image) -> None:
    with pytest.raises(DipbenchError, match="no trainable weight"):
        train(Small().requires_grad_(False), camera, n=1)


def test_a_stop_stays_one_where_the_loss_then_is_no_number() -> None:
    result = stopping([0.51, 0.9, float("nan"), 0.5], drop_db=3, start=0)
    assert (result.status, result.length) == ("stopped", 2)


def test_an_interrupt_keeps_what_there_is(camera: Image, monkeypatch: Any) -> None:
    monkeypatch.setattr(fitting, "CHUNK", 3)

    def interrupt(done: int, training: fitting.Training) -> None:
        if done == 6:
            raise KeyboardInterrupt

    result = train(Small(), camera, n=20, progress=interrupt)
    assert (result.status, result.length) == ("interrupted", 6)
    assert result.reason == "interrupted after 6 iterations"
    assert np.array_equal(result.psnr, train(Small(), camera, n=6).psnr)


def test_progress_is_told_every_chunk_and_at_the_end(camera: Image, monkeypatch: Any) -> None:
    monkeypatch.setattr(fitting, "CHUNK", 4)
    told: list[int] = []
    train(Small(), camera, n=10, progress=lambda done, training: told.append(done))
    assert told == [4, 8, 10]


# Seeds and repeatability


@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_results_do_not_depend_on_the_chunk(camera: Image, chunk: int, monkeypatch: Any) -> None:
    def script(call: int, output: Tensor) -> Tensor:
        return output * float("nan") if call == 7 else output

    runs: list[Callable[[], Fit]] = [
        lambda: train(Small(), camera, n=8),
        lambda: train(Small(script=script), camera, n=9),
        lambda: stopping([0.51, 0.9, 0.5, 0.5, 0.5], drop_db=3, start=0),
        backtracking,
    ]
    before = [run() for run in runs]
    monkeypatch.setattr(fitting, "CHUNK", chunk)
    assert all(same(run(), result) for run, result in zip(runs, before, strict=True))


def test_a_run_repeats_to_the_bit(camera: Image) -> None:
    protocol = PROTOCOL.replace(weight_noise=0.01)
    first = train(MODEL, camera, n=3, protocol=protocol)
    torch.manual_seed(5)
    np.random.default_rng().random(3)
    assert same(train(MODEL, camera, n=3, protocol=protocol), first)


def test_a_run_does_not_draw_from_the_global_generator(camera: Image) -> None:
    model = Small()
    before = torch.get_rng_state()
    train(model, camera, n=1, protocol=PROTOCOL.replace(weight_noise=0.01))
    assert torch.equal(before, torch.get_rng_state())


def state(model: Any, image: Image, task: str = "denoising-25", seed: int = 0) -> Any:
    """Observation, input, weights and first jitter of a run, before it starts."""
    found: dict[str, Any] = {}

    def look(done: int, training: fitting.Training) -> None:
        found["observed"] = training._observed.numpy().copy()
        found["input"] = training.input.numpy().copy()

    result = train(model, image, task, 1, seed=seed, progress=look)
    return {**found, "sha256": result.input_sha256, "first": result.loss[0]}


def test_all_models_restore_the_same_picture_from_the_same_input(camera: Image) -> None:
    one, other = state(MODEL, camera), state(49, camera)
    assert np.array_equal(one["observed"], other["observed"])
    assert np.array_equal(one["input"], other["input"])
    assert one["sha256"] == other["sha256"]
    assert one["first"] != other["first"]


def test_seed_image_and_task_change_the_input(camera: Image) -> None:
    coins = load_image("coins", size=64)
    states = [
        state(Small(), camera),
        state(Small(), camera, seed=1),
        state(Small(), camera, task="denoising-24"),
        state(Small(), coins),
    ]
    assert len({found["sha256"] for found in states}) == 4
    # The observation is the image's and the task's, whatever the run's seed.
    assert np.array_equal(states[0]["observed"], states[1]["observed"])
    assert len({found["observed"].tobytes() for found in states}) == 3


# What a protocol may ask for


def test_weight_noise_moves_weights_by_its_share(camera: Image) -> None:
    still = PROTOCOL.replace(learning_rate=1e-12)
    before, after = Small(3, 1), Small(3, 1)
    train(after, load_image("astronaut", size=64), n=1, protocol=still.replace(
        weight_noise=0.5, input_channels=1))  # fmt: skip
    moved = (after.conv.weight - before.conv.weight).detach()
    assert float(moved.std() / before.conv.weight.detach().std()) == pytest.approx(0.5, rel=0.4)
    assert torch.allclose(after.conv.bias, before.conv.bias, atol=1e-9)


def noises(protocol: Protocol, image: Image, n: int) -> list[np.ndarray]:
    inputs: list[np.ndarray] = []
    model = Small(1, protocol.input_channels_for(1))
    model.register_forward_hook(lambda net, z, output: inputs.append(z[0].detach().numpy().copy()))
    train(model, image, n=n, protocol=protocol)
    return inputs[:n]


def test_the_jitter_is_fresh_and_decays(camera: Image) -> None:
    protocol = PROTOCOL.replace(input_noise=0.5, input_noise_decay=0.5, input_scale=1e-9)
    deviations = [float(z.std()) for z in noises(protocol, camera, 4)]
    assert deviations == pytest.approx([0.5, 0.25, 0.125, 0.0625], rel=0.1)


def test_a_drifting_input_walks(camera: Image) -> None:
    protocol = PROTOCOL.replace(input_kind="drifting", input_noise=0.5)
    inputs = noises(protocol, camera, 4)
    assert np.array_equal(inputs[0], noises(PROTOCOL.replace(input_kind="normal", input_noise=0.0),
                                            camera, 1)[0])  # fmt: skip
    steps = np.diff(np.stack(inputs), axis=0)
    assert steps.std(axis=(1, 2, 3, 4)) == pytest.approx([0.5] * 3, rel=0.1)
    assert abs(np.corrcoef(steps[0].ravel(), steps[1].ravel())[0, 1]) < 0.1


@pytest.mark.parametrize("channels", [1, 3])
def test_a_meshgrid_feeds_two_channels(channels: int) -> None:
    image = load_image("astronaut" if channels == 3 else "camera", size=64)
    protocol = PROTOCOL.replace(input_kind="meshgrid", input_noise=0.0)
    result = train(MODEL, image, n=1, protocol=protocol)
    assert result.output.shape == (channels, 64, 64)


def backtracking(limit: float | None = 5.0, fall: int = 150) -> Fit:
    """A network whose weights are spoilt once, after the look at iteration 100."""
    model = Small()

    def script(call: int, output: Tensor) -> Tensor:
        if call == fall:
            with torch.no_grad():
                model.conv.bias.add_(8)
        return output

    model.script = script
    protocol = PROTOCOL.replace(backtracking_db=limit, learning_rate=1e-4)
    return train(model, plain(), n=260, protocol=protocol, observation=observed(plain()))


def test_backtracking_returns_to_the_last_good_weights() -> None:
    back, spoilt = backtracking(), backtracking(None)
    observed_psnr = back.curves["psnr_observed"]
    assert observed_psnr[100] - observed_psnr[200] > 5
    assert observed_psnr[201] == pytest.approx(observed_psnr[100], abs=0.5)
    assert spoilt.curves["psnr_observed"][201] < observed_psnr[100] - 5
    assert np.array_equal(back.loss[:201], spoilt.loss[:201])


def test_a_divergence_under_backtracking_is_one(camera: Image) -> None:
    def script(call: int, output: Tensor) -> Tensor:
        return output * float("nan") if call == 0 else output

    protocol = PROTOCOL.replace(backtracking_db=5.0)
    assert train(Small(script=script), camera, n=3, protocol=protocol).status == "diverged"


def test_bf16_is_what_the_network_computes_in(camera: Image) -> None:
    full, half = Small(), Small()
    one = train(full, camera, n=3)
    other = train(half, camera, n=3, protocol=PROTOCOL.replace(precision="bf16"))
    assert half.conv.weight.dtype == torch.float32
    assert not np.array_equal(one.loss, other.loss)
    assert other.loss == pytest.approx(one.loss, rel=0.05)


def test_threads_are_the_protocols_and_given_back(camera: Image) -> None:
    seen: list[int] = []
    before = torch.get_num_threads()
    train(
        Small(), camera, n=1, protocol=PROTOCOL.replace(threads=2),
        progress=lambda done, training: seen.append(torch.get_num_threads()),
    )  # fmt: skip
    assert (seen, torch.get_num_threads()) == ([2], before)


def test_a_changed_network_of_a_genotype_is_trained_as_it_is(camera: Image) -> None:
    network = build_network(MODEL)
    network.register_forward_hook(lambda net, z, output: 0 * output + 0.25)
    assert np.all(train(network, camera, n=1).output == 0.25)


# Bad input


def test_a_network_of_another_output_shape_is_refused(colour: Image) -> None:
    with pytest.raises(DipbenchError, match=r"shape \(1, 1, 64, 64\): expected \(1, 3, 64, 64\)"):
        train(Small(1, 3), colour)


def test_an_observation_of_another_shape_is_refused(camera: Image) -> None:
    small = Observation(np.zeros((1, 32, 32), np.float32))
    with pytest.raises(DipbenchError, match="observation is of an image of shape"):
        train(Small(), camera, observation=small)


@pytest.mark.parametrize(
    ("made_by", "named"),
    [("inpainting-50", "denoising-25"), ("denoising-25", "sr-4"), ("sr-4", "sr-2")],
)
def test_an_observation_of_another_task_is_refused(camera: Image, made_by: str, named: str) -> None:
    other = parse_task(made_by).observe(camera, 0)
    with pytest.raises(TaskError, match=f"the observation is not of {named}"):
        fit(Small(), None, named, 2, protocol="quick", observation=other)


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize(
    "around", [torch.no_grad, torch.inference_mode, lambda: default_dtype(torch.float64)]
)
@pytest.mark.parametrize("model", [0, "deep-decoder"])
def test_a_run_is_the_same_whatever_is_set_around_it(
    camera: Image, model: Any, around: Any
) -> None:
    settings: Any = {"iterations": 2, "protocol": "quick", "device": "cpu"}
    alone = fit(model, camera, "denoising-25", **settings)
    with around():
        inside = fit(model, camera, "denoising-25", **settings)
    assert same(alone, inside)


def test_fits_are_compared_as_objects(camera: Image) -> None:
    one, other = train(Small(), camera, n=1), train(Small(), camera, n=1)
    assert one != other
    assert len({one, other}) == 2


def test_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(DipbenchError, match="give an image or an observation"):
        train(Small(), None)


@pytest.mark.parametrize("iterations", [0, -3])
def test_iterations_start_at_one(camera: Image, iterations: int) -> None:
    with pytest.raises(ProtocolError, match="whole number from 1"):
        train(Small(), camera, n=iterations)


# No copy to the host within a chunk


class HostCopies(TorchDispatchMode):
    """Counts what makes a host wait for a device: reading a scalar, or moving to the CPU."""

    READS = ("_local_scalar_dense", "is_nonzero", "item", "nonzero", "_to_copy")

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func.overloadpacket.__name__ in self.READS
        return func(*args, **(kwargs or {}))


def copies(protocol: Protocol, n: int) -> int:
    image = plain()
    model = Small(inputs=protocol.input_channels_for(1))
    with HostCopies() as counted:
        train(model, image, n=n, protocol=protocol, observation=observed(image))
    return counted.count


@pytest.mark.parametrize(
    "changes",
    [
        {"stop": StopRule(drop_db=60, start=0), "ema": (0.9, 0.99)},
        {"stop": PeakStop(100)},
        {"input_kind": "drifting", "weight_noise": 0.01},
        {"input_kind": "meshgrid", "loss_reduction": "sum"},
    ],
)
def test_nothing_is_read_from_the_device_within_a_chunk(
    changes: dict[str, Any], monkeypatch: Any
) -> None:
    monkeypatch.setattr(fitting, "CHUNK", 10)
    protocol = PROTOCOL.replace(**changes)
    assert copies(protocol, 10) == copies(protocol, 2)
    assert copies(protocol, 30) == copies(protocol, 10) + 2  # one look at `active` a chunk


@settings(max_examples=15)
@given(
    levels=st.lists(st.floats(0.4, 0.6), min_size=1, max_size=12),
    drop=st.floats(0.5, 10),
    start=st.integers(0, 6),
)
def test_the_stop_rule_against_its_definition(levels: list[float], drop: float, start: int) -> None:
    result = stopping(levels, drop_db=drop, start=start)
    curve = result.psnr
    fired = [
        i
        for i in range(1, len(curve))
        if i >= start and curve[i] < curve[:i].max() - np.float32(drop)
    ]
    assert fired == ([len(curve) - 1] if result.status == "stopped" else [])
    assert result.status == "stopped" or len(curve) == len(levels)
