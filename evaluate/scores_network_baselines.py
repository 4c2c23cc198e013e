"""What any score must beat: a model's size, its cost, and its upsampling primitive alone.

The mean rank of a model on other images, another such baseline, needs a benchmark's table and is
worked out from one.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from .bands import share_above
from .registry import register_score

if TYPE_CHECKING:
    from .scores_network_probe import Probe

KERNELS: dict[str, tuple[float, ...]] = {
    "nearest": (1, 1),
    "bilinear": (0.25, 0.75, 0.75, 0.25),
    "bicubic": (
        -0.03515625, -0.10546875, 0.26171875, 0.87890625,
        0.87890625, 0.26171875, -0.10546875, -0.03515625,
    ),
    "pixel_shuffle": (1,),
    "trans_conv": (1,),
}  # fmt: skip
"""What each primitive convolves a picture with zeros between its pixels with, along one axis: the
cubic of a = -3/4 for bicubic; learnt or rearranged pixels stay white at first."""

GRID = 256

_baseline = partial(
    register_score, inputs="network", cost=(0, 0), source="baseline", sees_image=False
)


@_baseline("parameters_used", direction="lower")
def parameters_used(probe: Probe) -> float:
    """Number of weights that the forward pass uses."""
    from ..genotypes.network import count_used_parameters

    return float(count_used_parameters(probe.outline.network))


@_baseline("macs", direction="lower")
def macs(probe: Probe) -> float:
    """Multiply-accumulates of one forward pass at the image's size."""
    from ..genotypes.network import count_macs

    return float(count_macs(probe.outline.network, (1, *probe.outline.input_shape)))


@_baseline("primitive_attenuation", direction="lower")
def primitive_attenuation(probe: Probe) -> float:
    """Share of white noise's energy above half Nyquist that the primitive alone passes.

    From its kernel's frequency response; see `white_noise_attenuation` for the whole block.
    """
    return attenuation_of(probe.genotype.primitive)


def attenuation_of(primitive: str) -> float:
    """The share of energy above half Nyquist after upsampling white noise with a primitive.

    >>> from dipbench.evaluate.scores_network_baselines import attenuation_of
    >>> [round(attenuation_of(name), 2) for name in ("bilinear", "nearest", "pixel_shuffle")]
    [0.11, 0.42, 0.8]
    """
    response = np.abs(np.fft.fft(KERNELS[primitive], GRID)) ** 2
    return share_above(np.outer(response, response))
