"""Scores from the literature that train for a few steps, with the protocol's own loop.

Their cost is that of the steps: each is a forward and a backward pass.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ..data import Observation
from ..errors import ScoreError
from ..seeds import generator
from .bands import band_amplitudes
from .registry import register_score

if TYPE_CHECKING:
    from .scores_network_probe import Probe

STEPS = 100
BANDS = 5

_network_score = partial(register_score, inputs="network")


@_network_score(
    "loss_after_100",
    direction="lower",
    cost=(STEPS + 1, STEPS),
    source="the early learning curve; Domhan et al., IJCAI 2015",
)
def loss_after_100(probe: Probe) -> float:
    """The protocol's loss, mean((A f(z) - y)^2) in all that are packaged, after 100 steps."""
    return float(probe.train(probe.observation, STEPS).loss[-1])


@_network_score(
    "impedance_contrast_100",
    direction="higher",
    cost=(2 * (STEPS + 1), 2 * STEPS),
    source="after Ulyanov et al., Deep Image Prior, CVPR 2018",
)
def impedance_contrast_100(probe: Probe) -> float:
    """(L_0(y) - L_100(y)) / (L_0(n) - L_100(n)), L_k(x) the loss on x after k steps.

    The noise n is the observation y with its known pixels in random order: white, and of the
    same values. A prior of high impedance to noise takes up the picture and not the noise.
    """
    decrease = []
    for observation in (probe.observation, _shuffled(probe)):
        loss = probe.train(observation, STEPS).loss
        decrease.append(float(loss[0]) - float(loss[-1]))
    if decrease[1] <= 0:
        raise ScoreError(f"the loss on noise did not fall in {STEPS} steps: there is no contrast")
    return decrease[0] / decrease[1]


@_network_score(
    "band_correspondence_gap_100",
    direction="higher",
    cost=(STEPS + 1, STEPS),
    source="after Shi et al., On Measuring and Controlling the Spectral Bias of the Deep Image "
    "Prior, IJCV 2022",
)
def band_correspondence_gap_100(probe: Probe) -> float:
    """H(lowest band) - H(highest band), H = sum |FFT2(A f(z))| / sum |FFT2(y)| after 100 steps.

    Five rings of equal width, zero frequency left out. H near 1 says that the network has learnt
    a band; a large gap that it learns low frequencies first. The sums are divided, where the
    publication averages the ratios of single frequencies, which one near zero would govern.
    """
    import torch

    fit = probe.train(probe.observation, STEPS)
    output = probe.operator(torch.tensor(fit.output, device=probe.device)[None])
    reached = band_amplitudes(output.cpu().numpy().astype(np.float64), BANDS)
    wanted = band_amplitudes(probe.observation.observed.astype(np.float64), BANDS)
    if not (wanted[0] > 0 and wanted[-1] > 0):
        raise ScoreError("the observation has no energy in its lowest or highest band")
    return float(reached[0] / wanted[0] - reached[-1] / wanted[-1])


def _shuffled(probe: Probe) -> Observation:
    observed, mask = probe.observation.observed, probe.observation.mask
    known = np.flatnonzero(np.ones(observed.shape[1:], bool) if mask is None else mask)
    order = generator("shuffle", *probe.seed_parts).permutation(known)
    pixels = observed.reshape(len(observed), -1).copy()
    pixels[:, known] = pixels[:, order]
    return Observation(pixels.reshape(observed.shape), mask, probe.observation.zoom)
