"""Scores from the derivatives of a network before training: degrees of freedom and risk."""

from __future__ import annotations

import warnings
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from ..data.resampling import lanczos_resize
from ..data.tasks import Denoising
from ..errors import ScoreError
from ..seeds import generator
from .lanczos import Product, Values, linearised_risk
from .registry import register_score

if TYPE_CHECKING:
    from torch import Tensor

    from .scores_network_probe import Probe

DIVERGENCE_PROBES = 8
LANCZOS_STEPS = 10
PRODUCTS = 2 * LANCZOS_STEPS

_FORWARD_MODE = Lock()
"""Torch keeps one nesting of forward derivatives for all threads."""

_network_score = partial(register_score, inputs="network")


@_network_score(
    "degrees_of_freedom",
    direction="lower",
    cost=(1, DIVERGENCE_PROBES),
    source="Jo et al., Rethinking Deep Image Prior for Denoising, ICCV 2021",
)
def degrees_of_freedom(probe: Probe) -> float:
    """Divergence div f(y) / N: mean over probes b of b' J b / N, J the Jacobian of f at y.

    The untrained network f is given the observation y (enlarged for super-resolution) as its
    input, as there; b are 8 vectors of independent signs.
    """
    import torch

    channels, height, width = probe.observation.restored_shape
    if probe.z.shape[1] != channels:
        raise ScoreError(
            f"degrees of freedom need an input of {channels} channels, the protocol's has "
            f"{probe.z.shape[1]}: the network must map a picture to a picture"
        )
    picture = lanczos_resize(probe.observation.observed, height, width)
    padded = torch.zeros_like(probe.z)
    padded[:] = torch.from_numpy(probe.pad(picture))
    padded.requires_grad_()
    output = probe.network()(padded)
    products = []
    for signs in _signs(probe, "divergence", DIVERGENCE_PROBES, output.numel()):
        direction = torch.from_numpy(signs).to(output).reshape(output.shape)
        (slope,) = torch.autograd.grad(output, padded, direction, retain_graph=True)
        products.append(float((slope * direction).mean()))
    return float(np.mean(products))


@_network_score(
    "ntk_sure",
    direction="lower",
    cost=(1 + 2 * PRODUCTS, PRODUCTS),
    source="Stein, Ann. Statist. 1981, on the kernel of Jacot et al., NeurIPS 2018; for the deep "
    "image prior Tachella et al., The Neural Tangent Link, CVPR 2021",
)
def ntk_sure(probe: Probe) -> float:
    """Least over t of |y - f_t|^2/N - s^2 + 2 s^2/N tr(I - exp(-t K)), f_t the linearised fit.

    K = J J' with J the Jacobian of the output in the weights before training, and f_t = f_0 +
    (I - exp(-t K)) (y - f_0). K is known by its products alone: 10 Lanczos steps from the
    residual, and 10 from a vector of random signs for the trace. A product takes a backward pass
    and one in forward mode, which is counted as two forward passes. For denoising of Gaussian
    noise only, whose deviation s is taken as known.
    """
    task = probe.task
    if not isinstance(task, Denoising):
        raise ScoreError(f"SURE needs Gaussian noise of known deviation: {task} has none")
    start, product = _kernel(probe)
    residual = probe.observation.observed.astype(np.float64).ravel() - start
    signs = _signs(probe, "trace", 1, residual.size)
    return linearised_risk(product, residual, task.sigma / 255, signs, LANCZOS_STEPS)


def _kernel(probe: Probe) -> tuple[Values, Product]:
    """The output before training, (N,), and the product with K = J J'."""
    import torch
    from torch.func import functional_call, jvp, vjp

    network, z = probe.network(), probe.z
    weights = {name: weight.detach() for name, weight in network.named_parameters()}

    def output(values: dict[str, Tensor]) -> Tensor:
        return probe.crop(functional_call(network, values, (z,))).ravel()

    start, pull_back = vjp(output, weights)[:2]

    def product(vector: Values) -> Values:
        (direction,) = pull_back(torch.from_numpy(vector).to(start))
        with _FORWARD_MODE, warnings.catch_warnings():
            # On its first use torch's forward mode warns of the means it is written with itself.
            warnings.simplefilter("ignore", DeprecationWarning)
            image = jvp(output, (weights,), (direction,))[1]
        return np.asarray(image.detach().cpu().numpy().astype(np.float64))

    return start.detach().cpu().numpy().astype(np.float64), product


def _signs(probe: Probe, purpose: str, count: int, size: int) -> Values:
    draw = generator(purpose, *probe.seed_parts)
    return np.asarray(draw.integers(0, 2, (count, size)) * 2.0 - 1.0)
