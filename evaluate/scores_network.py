"""Scores from the literature that take a network before training and at most one backward pass.

Torch is imported where a score is worked out, so that what the scores are can be listed without it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ScoreError
from ..seeds import generator
from .bands import share_above
from .registry import register_score

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .scores_network_probe import Probe

CONSTANT_WEIGHTS = (1e-7, 1.0)
"""The two weights of epsilon, as published."""

ROUNDING = 1e-9
"""A difference of scaled outputs under which it is rounding; those of genotypes are about 1."""

_network_score = partial(register_score, inputs="network")


@_network_score(
    "white_noise_attenuation",
    direction="lower",
    cost=(1, 0),
    source="after Liu et al., Devil is in the Upsampling, ICCV 2023",
    sees_image=False,
)
def white_noise_attenuation(probe: Probe) -> float:
    """Share of the energy above half Nyquist that the untrained upsample block passes.

    sum over |f| > 1/4 of |FFT2(h U(n))|^2 / sum over |f| > 0 of it, f in cycles per pixel, for
    normal white noise n (128, H/2, W/2) through the main upsample block U of the first level,
    each channel less its mean and under a Hann window h, so that the rims do not count as edges.
    White output has 0.80; the less, the more the block attenuates. Its cost is one pass of the
    block alone.
    """
    import torch

    probe.genotype  # noqa: B018 - refuses what has no upsample block
    block = probe.untrained.get_submodule("main_up.0")
    height, width = probe.z.shape[-2:]
    draw = generator("white noise", *probe.seed_parts)
    noise = draw.standard_normal((1, 128, height // 2, width // 2), dtype=np.float32)
    with torch.no_grad():
        output = block(torch.from_numpy(noise).to(probe.device))
    channels = output[0].double().cpu().numpy()
    window = np.outer(np.hanning(height), np.hanning(width))
    varying = window * (channels - channels.mean(axis=(1, 2), keepdims=True))
    return share_above(np.abs(np.fft.fft2(varying)) ** 2)


@_network_score(
    "grad_norm",
    direction="higher",
    cost=(1, 1),
    source="Abdelfattah et al., Zero-Cost Proxies for Lightweight NAS, ICLR 2021",
)
def grad_norm(probe: Probe) -> float:
    """Sum over the convolutions of the norm of dL/dw, of the loss L = mean((A f(z) - y)^2)."""
    return sum(float(slope.norm()) for _, slope in _of_convolutions(probe))


@_network_score(
    "snip",
    direction="higher",
    cost=(1, 1),
    source="Lee et al., SNIP, ICLR 2019; as a score, Abdelfattah et al., ICLR 2021",
)
def snip(probe: Probe) -> float:
    """Sum of |w dL/dw| over the convolutions' weights, of the loss L = mean((A f(z) - y)^2)."""
    return sum(float((weight * slope).abs().sum()) for weight, slope in _of_convolutions(probe))


@_network_score(
    "synflow",
    direction="higher",
    cost=(1, 1),
    source="Tanaka et al., NeurIPS 2020; as a score, Abdelfattah et al., ICLR 2021",
    sees_image=False,
)
def synflow(probe: Probe) -> float:
    """Logarithm of the sum of w dR/dw, R the summed output for an input of ones and weights |w|.

    Normalisation is left out, as where the score was proposed, and so is the final sigmoid, which
    would be saturated; biases, which the sources leave out, count among the weights. The published
    score is the sum itself; its logarithm ranks alike and stays within what a double holds.
    """
    import torch
    from torch import nn

    network = probe.network().double()
    for name, layer in list(network.named_modules()):
        if isinstance(layer, nn.BatchNorm2d):
            parent, _, own = name.rpartition(".")
            setattr(network.get_submodule(parent), own, nn.Identity())
    with torch.no_grad():
        for weight in network.parameters():
            weight.abs_()
    _before_sigmoid(network, torch.ones_like(probe.z, dtype=torch.float64)).sum().backward()
    slopes = ((w, w.grad) for w in network.parameters() if w.grad is not None)
    return float(np.log(sum(float((w.detach() * slope).sum()) for w, slope in slopes)))


@_network_score(
    "epsilon",
    direction="higher",
    cost=(2, 0),
    source="Gracheva, Two Constant Shared Weights Initialisations, Artif. Intell. Rev. 2025",
    sees_image=False,
)
def epsilon(probe: Probe) -> float:
    """Mean |a - b| / mean of a and b, outputs with all weights 1e-7 and all 1, scaled to [0, 1].

    Weights of every convolution are the constant; biases are 0 and normalisation is as at the
    start of training. Each output is taken before the final sigmoid, which would round the
    smaller one to a constant, and scaled by its own least and largest value.
    """
    import torch
    from torch import nn

    network = probe.network()
    weighted = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    layers = [layer for layer in network.modules() if isinstance(layer, weighted)]
    outputs = []
    with torch.no_grad():
        for layer in layers:
            layer.register_parameter("bias", None)
            if not isinstance(layer, nn.Linear):
                _share_weight(layer)
        network.double()
        for constant in CONSTANT_WEIGHTS:
            for layer in layers:
                layer.weight.fill_(constant)
            raw = _before_sigmoid(network, probe.z.double())
            outputs.append(probe.crop(raw).cpu().numpy())
    a, b = (_scaled(output) for output in outputs)
    difference = np.abs(a - b).mean()
    # One output in two scales: what would be left of it is rounding, in no order of worth.
    return float(difference / np.mean([a, b])) if difference > ROUNDING else 0.0


def _of_convolutions(probe: Probe) -> list[tuple[Tensor, Tensor]]:
    """The weights of convolutions with their slopes; biases and normalisation are left out."""
    return [(weight, slope) for weight, slope in probe.gradients if weight.dim() == 4]


def _share_weight(layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
    """Leave a convolution one kernel a group, for weights that are all the same number.

    It is applied to the sum of the group's channels, and what it gives is every channel of the
    output: the same up to rounding, for one product in place of in_channels * out_channels.
    """
    from torch import nn

    groups, copies = layer.groups, layer.out_channels // layer.groups
    layer.weight = nn.Parameter(layer.weight.new_empty(groups, 1, *layer.kernel_size))
    layer.register_forward_pre_hook(lambda _, x: x[0].unflatten(1, (groups, -1)).sum(2))
    layer.register_forward_hook(lambda _, __, output: output.repeat_interleave(copies, 1))


def _before_sigmoid(network: nn.Module, z: Tensor) -> Tensor:
    """The output of the last convolution that a forward pass runs.

    Raises:
        ScoreError: it is not what the sigmoid is taken of.
    """
    from torch import nn

    outputs: list[Tensor] = []
    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    convolutions = [layer for layer in network.modules() if isinstance(layer, kinds)]
    hooks = [
        layer.register_forward_hook(lambda _, __, output: outputs.append(output))
        for layer in convolutions
    ]
    shape = network(z).shape
    for hook in hooks:
        hook.remove()
    if not outputs or outputs[-1].shape != shape:
        raise ScoreError("the network has no last convolution to read before its sigmoid")
    return outputs[-1]


def _scaled(output: np.ndarray) -> np.ndarray:
    lowest, highest = output.min(), output.max()
    if lowest == highest:
        raise ScoreError("the output with constant weights is constant: it has no dispersion")
    return np.asarray((output - lowest) / (highest - lowest))
