"""What a run costs, in multiply-accumulates, before it is made."""

from functools import lru_cache

import torch

from ..data import parse_task
from ..evaluate.models import parse_model
from ..genotypes import Genotype
from ..genotypes.named import NamedNetwork
from ..genotypes.network import SMALLEST, count_genotype_macs, count_macs
from .plan import Plan
from .schema import RunKey


def run_cost(plan: Plan, key: RunKey, shape: tuple[int, int, int]) -> float:
    """Multiply-accumulates of the forward passes of a run.

    Args:
        plan: of the run.
        key: of the run.
        shape: (C, H, W) of its image.

    >>> from dipbench.data import load_images
    >>> from dipbench.benchmark.plan import make_plan
    >>> from dipbench.evaluate.protocol import get_protocol
    >>> protocol = get_protocol("quick").with_iterations(2)
    >>> image = load_images("camera", size=64)[0]
    >>> plan = make_plan("two", ["deep-decoder"], [image], ["denoising"], [0], protocol)
    >>> run_cost(plan, plan.run_keys()[0], image.shape)
    179372032.0
    """
    kind = parse_task(key.task).kind
    channels, height, width = shape
    inputs = plan.protocol.input_channels_for(channels)
    macs, pixels = _reference_macs(parse_model(key.model, key.task), channels, inputs)
    return macs * (height * width / pixels) * plan.protocol.iterations_for(kind)


@lru_cache(maxsize=4096)
def _reference_macs(
    model: Genotype | NamedNetwork, channels: int, input_channels: int
) -> tuple[int, int]:
    """Multiply-accumulates on a small image, and its pixels: nearly all layers grow with them."""
    if isinstance(model, Genotype):
        return count_genotype_macs(model, input_channels, channels), SMALLEST**2
    side = max(SMALLEST, model.smallest, model.multiple)
    image_shape = (channels, side, side)
    with torch.device("meta"):
        network = model.build(image_shape)
    return count_macs(network, (1, *model.input_shape(image_shape))), side * side
