import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from dipbench.data import load_image, parse_task
from dipbench.errors import ScoreError
from dipbench.evaluate import SCORES
from dipbench.evaluate import scores_network_training as training
from dipbench.evaluate.protocol import DiscrepancyStop, StopRule, VarianceStop, get_protocol
from dipbench.evaluate.scores import names_for
from dipbench.evaluate.scores_network import _before_sigmoid
from dipbench.evaluate.scores_network_baselines import KERNELS, attenuation_of
from dipbench.evaluate.scores_network_probe import Probe
from dipbench.evaluate.scoring import score_models
from dipbench.genotypes import Genotype
from dipbench.genotypes.network import build_network, count_used_parameters

CAMERA = load_image("camera", size=64)


def probe_of(model, task="denoising-25", seed=0, image=CAMERA, **protocol):
    task = parse_task(task)
    return Probe(
        model=model,
        image=image.name,
        task=task,
        observation=task.observe(image, 0),
        protocol=get_protocol("quick").replace(**protocol),
        seed=seed,
        device=torch.device("cpu"),
    )


def value(name, probe):
    return SCORES[name].function(probe)


def with_block(block, bits="1" * 25):
    return Genotype.parse(f"{block}/{bits}")


class PixelGain(nn.Module):
    """Each pixel its own weight, times a fixed gain: as linear as a network can be."""

    def __init__(self, gain, weight=1.0):
        super().__init__()
        self.register_buffer("gain", torch.tensor(gain, dtype=torch.float32))
        self.weight = nn.Parameter(torch.full(gain.shape, float(weight)))

    def forward(self, z):
        return self.gain * self.weight + 0 * z


@pytest.mark.parametrize("primitive", ["nearest", "bilinear", "bicubic"])
def test_attenuation_of_a_known_filter_is_that_of_its_response(primitive):
    measured = value("white_noise_attenuation", probe_of(with_block(f"{primitive}-identity-none")))
    assert measured == pytest.approx(attenuation_of(primitive), abs=0.01)


def test_the_response_of_pixel_doubling_is_known_analytically():
    # |H(u, v)|^2 = 16 cos^2(pi u) cos^2(pi v), integrated over |f| > 1/4.
    u = np.linspace(-0.5, 0.5, 2001)[:-1]
    response = np.outer(np.cos(np.pi * u) ** 2, np.cos(np.pi * u) ** 2)
    outside = np.hypot(u, u[:, None]) > 0.25
    expected = response[outside].sum() / response.sum()
    assert attenuation_of("nearest") == pytest.approx(expected, abs=2e-3)


def test_kernels_keep_the_mean():
    for primitive in ("nearest", "bilinear", "bicubic"):
        assert sum(KERNELS[primitive]) == 2


def test_attenuation_depends_on_the_block_alone():
    few, all_bits = (with_block("bilinear-conv-3x3-relu", bit * 25) for bit in "01")
    assert 0 < value("white_noise_attenuation", probe_of(few)) < 0.8
    assert value("white_noise_attenuation", probe_of(few)) == pytest.approx(
        value("white_noise_attenuation", probe_of(all_bits)), abs=0.03
    )


def test_gradients_of_a_scalar_network():
    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.full((1, 1, 1, 1), 0.7))
            self.bias = nn.Parameter(torch.zeros(1))

        def forward(self, z):
            return self.weight * z + self.bias

    probe = probe_of(Scale())
    z, y = probe.z.double(), probe.observed.double()
    slope = float((2 * z * (0.7 * z - y)).mean())
    assert value("grad_norm", probe) == pytest.approx(abs(slope), rel=1e-4)
    assert value("snip", probe) == pytest.approx(0.7 * abs(slope), rel=1e-4)


def test_gradients_see_the_tasks_operator():
    genotype = Genotype.parse(0)
    found = {task: value("grad_norm", probe_of(genotype, task)) for task in ("sr-4", "inpainting")}
    assert len({round(norm, 6) for norm in found.values()}) == 2


def test_synflow_of_a_chain_is_known():
    chain = nn.Sequential(
        nn.Conv2d(1, 2, 1, bias=False), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1, bias=False)
    )
    with torch.no_grad():
        chain[0].weight[:] = torch.tensor([-0.5, 2.0])[:, None, None, None]
        chain[2].weight[:] = torch.tensor([3.0, -0.25])[None, :, None, None]
    flow = 64 * 64 * (0.5 * 3 + 2 * 0.25)
    assert value("synflow", probe_of(chain)) == pytest.approx(math.log(2 * flow), rel=1e-6)


def test_epsilon_of_a_linear_network_is_zero_and_of_a_deep_one_is_not():
    assert value("epsilon", probe_of(nn.Conv2d(1, 1, 3, padding=1))) == 0
    assert value("epsilon", probe_of("deep-decoder")) == 0
    assert value("epsilon", probe_of(Genotype.parse(0))) > 0.1


@pytest.mark.parametrize(
    "model",
    [
        "trans_conv-5x5-relu",
        "bicubic-sep_conv-3x3-leaky_relu",
        "nearest-depth_wise_conv-5x5-none",
        "pixel_shuffle-split_stack_sum-7x7-relu-op_first",
        "dip-transposed",
    ],
)
def test_epsilon_is_that_of_networks_with_every_weight_written_out(model):
    known = model.startswith("dip")
    image = load_image("camera", size=128) if known else CAMERA
    probe = probe_of(model if known else with_block(model), image=image)
    network, outputs = probe.network().double(), []
    for constant in (1e-7, 1.0):
        for name, weight in network.named_parameters():
            if weight.dim() == 4:
                nn.init.constant_(weight, constant)
                own, _, _ = name.rpartition(".")
                network.get_submodule(own).bias = None
        with torch.no_grad():
            raw = _before_sigmoid(network, probe.z.double())
        outputs.append((raw - raw.min()) / (raw.max() - raw.min()))
    a, b = outputs
    expected = float((a - b).abs().mean() / torch.cat([a, b]).mean())
    assert value("epsilon", probe) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("model", ["dip-transposed", "dip-pixel-shuffle", "deep-decoder"])
def test_what_is_read_before_the_sigmoid_is_the_whole_output(model):
    probe = probe_of(model, "inpainting-50", image=load_image("camera", size=128))
    network = probe.network()
    raw, output = _before_sigmoid(network, probe.z), torch.logit(network(probe.z))
    assert raw.shape == output.shape
    # Some normalise it before the sigmoid.
    pair = torch.stack([raw.flatten(), output.flatten()]).detach()
    assert torch.corrcoef(pair)[0, 1].abs() > 0.999


def test_gradients_are_summed_over_the_convolutions_by_their_norms():
    probe = probe_of(nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 1, 1)))
    slopes = [slope for weight, slope in probe.gradients if weight.dim() == 4]
    assert len(slopes) == 2
    assert value("grad_norm", probe) == pytest.approx(sum(float(s.norm()) for s in slopes))


def test_epsilon_of_a_constant_output_is_refused():
    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1)

        def forward(self, z):
            return self.conv(0 * z)

    with pytest.raises(ScoreError, match="no dispersion"):
        value("epsilon", probe_of(Flat()))


def test_degrees_of_freedom_of_a_linear_network_are_its_trace():
    class Diagonal(nn.Module):
        gain = torch.linspace(-1, 3, 64 * 64).reshape(1, 1, 64, 64)

        def forward(self, z):
            return self.gain * z

    assert value("degrees_of_freedom", probe_of(Diagonal())) == pytest.approx(1.0, rel=1e-5)
    conv = nn.Conv2d(1, 1, 3, padding=1)
    with torch.no_grad():
        conv.weight.fill_(0.1)
        conv.weight[0, 0, 1, 1] = 0.6
    assert value("degrees_of_freedom", probe_of(conv)) == pytest.approx(0.6, abs=0.02)


def test_degrees_of_freedom_need_a_picture_as_input():
    with pytest.raises(ScoreError, match="input of 1 channels, the protocol's has 8"):
        value("degrees_of_freedom", probe_of(Genotype.parse(0), input_channels=8))


def test_sure_of_a_linear_network_in_closed_form():
    rng = np.random.default_rng(0)
    gain = rng.choice([0.0, 0.5, 1.0, 2.0], (1, 1, 64, 64))
    probe = probe_of(PixelGain(gain, weight=0.4))
    residual = probe.observation.observed.astype(float).ravel() - 0.4 * gain.ravel()
    sigma, values = 25 / 255, gain.ravel() ** 2
    times = np.concatenate([[0], np.logspace(-2, 5, 2001) / values.max()])
    risks = [
        np.mean(np.exp(-2 * t * values) * residual**2)
        - sigma**2
        + 2 * sigma**2 * np.mean(1 - np.exp(-t * values))
        for t in times
    ]
    assert value("ntk_sure", probe) == pytest.approx(min(risks), abs=2e-4)


def test_sure_is_the_same_in_several_threads():
    gain = np.random.default_rng(0).random((1, 1, 64, 64))
    probes = [probe_of(PixelGain(gain, weight=weight)) for weight in (0.2, 0.4, 0.6, 0.8)]
    alone = [value("ntk_sure", probe) for probe in probes]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda probe: value("ntk_sure", probe), probes)) == alone


def test_sure_is_for_gaussian_denoising_alone():
    with pytest.raises(ScoreError, match="inpainting-50 has none"):
        value("ntk_sure", probe_of(Genotype.parse(0), "inpainting-50"))


def test_the_kernel_of_a_genotype_is_symmetric_and_positive():
    from dipbench.evaluate.scores_network_linearised import _kernel

    _, product = _kernel(probe_of(Genotype.parse(0)))
    a, b = np.random.default_rng(0).normal(size=(2, 64 * 64))
    along_a, along_b = product(a), product(b)
    assert a @ along_b == pytest.approx(b @ along_a, rel=1e-2)
    assert a @ along_a > 0


def test_baselines_are_counts():
    probe = probe_of(Genotype.parse(13))
    network = build_network(13)
    assert value("parameters_used", probe) == count_used_parameters(network)
    assert value("macs", probe) > value("macs", probe_of(with_block("nearest-identity-relu")))
    assert value("primitive_attenuation", probe) == attenuation_of(probe.genotype.primitive)


def test_what_is_no_genotype_has_no_upsample_block():
    for name in ("white_noise_attenuation", "primitive_attenuation"):
        with pytest.raises(ScoreError, match="no upsample block"):
            value(name, probe_of(nn.Conv2d(1, 1, 1)))


@pytest.fixture
def three_steps(monkeypatch):
    monkeypatch.setattr(training, "STEPS", 3)


def test_training_scores_read_the_one_loop(three_steps):
    probe = probe_of(Genotype.parse(0))
    fit = probe.train(probe.observation, 3)
    assert fit.length == 4
    assert value("loss_after_100", probe) == pytest.approx(float(fit.loss[3]), rel=1e-5)
    assert np.isfinite(value("band_correspondence_gap_100", probe))


@pytest.mark.parametrize("rule", [StopRule(), VarianceStop(2), DiscrepancyStop()])
def test_scores_train_their_steps_whatever_ends_a_run(three_steps, rule):
    names = ["loss_after_100", "impedance_contrast_100"]
    settings = {"costly_initialisations": 1, "size": 64}
    found = [
        [row["value"] for row in score_models([0], "camera", "denoising-25", names, **one)]
        for one in (
            settings | {"protocol": get_protocol("quick").replace(stop=rule)},
            settings | {"protocol": get_protocol("quick").replace(stop=None)},
        )
    ]
    assert found[0] == found[1]
    assert found[0][0] is not None


def test_scores_share_the_trainings_of_an_initialisation_in_any_number_of_threads(
    three_steps, monkeypatch
):
    made = []
    train = Probe._trained
    monkeypatch.setattr(
        Probe, "_trained", lambda *asked: made.append(asked[0].seed) or train(*asked)
    )
    names = ["loss_after_100", "impedance_contrast_100", "band_correspondence_gap_100"]
    settings = {"costly_initialisations": 3, "protocol": "quick", "threads": 2}
    records = list(score_models([0, 1], CAMERA, "denoising-25", names, **settings))
    assert len(records) == 18
    # Of each model and initialisation, on the observation and on the noise.
    assert sorted(made) == sorted(4 * list(set(made)))
    assert len(made) == 12


def with_fits(monkeypatch, **fits):
    """Let trainings give what the test says, by whether the observation is the probe's."""
    monkeypatch.setattr(
        Probe,
        "train",
        lambda self, observation, _: fits["own" if observation == self.observation else "noise"],
    )


class FakeFit:
    def __init__(self, loss=(), output=None):
        self.loss, self.output = np.array(loss), output


def test_impedance_is_the_ratio_of_the_falls(monkeypatch):
    with_fits(monkeypatch, own=FakeFit([0.5, 0.3, 0.1]), noise=FakeFit([0.4, 0.3, 0.3]))
    probe = probe_of(Genotype.parse(0))
    assert value("impedance_contrast_100", probe) == pytest.approx(4)
    with_fits(monkeypatch, own=FakeFit([0.5, 0.1]), noise=FakeFit([0.4, 0.5]))
    with pytest.raises(ScoreError, match="noise did not fall"):
        value("impedance_contrast_100", probe)


@pytest.mark.parametrize("task", ["denoising-25", "inpainting-50", "sr-4"])
def test_the_noise_is_the_known_pixels_in_another_order(task):
    probe = probe_of(Genotype.parse(0), task)
    noise = training._shuffled(probe)
    own = probe.observation
    assert noise != own
    assert noise.zoom == own.zoom
    np.testing.assert_array_equal(np.sort(noise.observed.ravel()), np.sort(own.observed.ravel()))
    if own.mask is not None:
        np.testing.assert_array_equal(noise.mask, own.mask)
        assert (noise.observed[:, ~own.mask] == 0).all()


def test_the_gap_is_none_where_all_is_learnt_and_full_where_only_the_low_is(monkeypatch):
    probe = probe_of(Genotype.parse(0))
    seen = probe.observation.observed
    with_fits(monkeypatch, own=FakeFit(output=np.array(seen)))
    assert value("band_correspondence_gap_100", probe) == pytest.approx(0, abs=1e-6)
    radius = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.fftfreq(64))
    low = np.fft.ifft2(np.fft.fft2(seen) * (radius < np.sqrt(0.5) / 5)).real
    with_fits(monkeypatch, own=FakeFit(output=low.astype(np.float32)))
    assert value("band_correspondence_gap_100", probe) == pytest.approx(1, abs=1e-4)


def test_a_probe_repeats_itself_and_other_seeds_differ():
    genotype = Genotype.parse(0)
    names = ("grad_norm", "white_noise_attenuation", "epsilon")
    first, again, other = (
        [value(name, probe_of(genotype, seed=seed)) for name in names] for seed in (0, 0, 1)
    )
    assert first == again
    assert all(a != b for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("block", ["nearest-conv-7x7-relu", "bicubic-split_stack_sum-3x3-none"])
def test_the_output_is_that_of_the_network_that_is_trained(block):
    probe = probe_of(with_block(block))
    with torch.no_grad():
        assert torch.allclose(probe.output(1), probe.network()(probe.z), atol=1e-5)


def test_no_score_depends_on_which_was_worked_out_first():
    first, second = probe_of(Genotype.parse(0)), probe_of(Genotype.parse(0))
    attenuation = value("white_noise_attenuation", first)
    output = second.output(1)
    assert torch.equal(output, first.output(1))
    assert value("white_noise_attenuation", second) == attenuation


def test_odd_sizes_are_padded_and_cropped():
    image = load_image(np.random.default_rng(0).random((3, 70, 81)), name="odd")
    probe = probe_of(Genotype.parse(0), image=image)
    assert probe.z.shape == (1, 3, 96, 96)
    assert probe.output(1).shape == (1, 1, 70, 81)
    assert np.isfinite(value("grad_norm", probe))
    assert np.isfinite(value("degrees_of_freedom", probe))


def test_every_score_says_what_it_is():
    for one in SCORES.values():
        assert one.formula.endswith("."), one.name
        assert one.source, one.name
        assert min(one.cost) >= 0


def test_network_scores_are_listed_without_torch():
    code = (
        "import sys; from dipbench.evaluate import SCORES;"
        "print(SCORES['ntk_sure'].direction, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["lower", "False"]
    assert len(names_for("network")) >= 11
