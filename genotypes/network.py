"""From a genotype to its network, and what a network costs: parameters and multiply-accumulates.

The network of Chen et al. (NAS-DIP, ECCV 2020) as Arican et al. (CVPR 2022) train it: an encoder
and a decoder of five levels joined by the genotype's skip connections. A connection between
different levels passes through shared steps, one module per level, whoever passes through it.
"""

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ImageError
from .blocks import WIDTH, UpsampleBlock, batch_norm, conv, conv_norm_act, to_levels
from .space import LEVELS, Genotype
from .upsample import Block

MULTIPLE: int = 2**LEVELS
SMALLEST = 2 * MULTIPLE


class GenotypeNetwork(nn.Module):
    """The network of a genotype: (N, in_channels, H, W) to (N, out_channels, H, W) in (0, 1).

    Level i = 1..5 works at 1/2^(i-1) of the input's size; the lists below hold level i at i - 1:
    `encoder` (level i to i + 1), `skip` (same level), `down` (level i to i + 1), `up` and
    `main_up` (level i + 1 to i), `decoder` (same level), then `head`. All modules exist whatever
    the skip bits; `unused` names those that no bit uses.
    """

    def __init__(self, genotype: Genotype, in_channels: int = 1, out_channels: int = 1) -> None:
        super().__init__()
        self.genotype = genotype
        block = genotype.block
        widths = [in_channels] + (LEVELS - 1) * [WIDTH]
        steps = range(LEVELS - 1)
        self.encoder = nn.ModuleList(_encoder(width) for width in widths)
        self.skip = nn.ModuleList(conv_norm_act(width, WIDTH, 1) for width in widths)
        self.down = nn.ModuleList(conv_norm_act(widths[i], WIDTH, 3, stride=2) for i in steps)
        self.up = nn.ModuleList(UpsampleBlock(block) for _ in steps)
        self.main_up = nn.ModuleList(UpsampleBlock(block) for _ in range(LEVELS))
        self.decoder = nn.ModuleList(_decoder() for _ in range(LEVELS))
        self.head = conv(WIDTH, out_channels, 1)
        self.targets = [np.flatnonzero(column).tolist() for column in genotype.skip_matrix.T]

    def forward(self, z: Tensor) -> Tensor:
        """Map z (N, in_channels, H, W) to an image (N, out_channels, H, W).

        Raises:
            ImageError: a side is not a multiple of 32 or is below 64 pixels.
        """
        check_size(*z.shape[-2:])
        encoded = [z]
        for encode in self.encoder:
            encoded.append(encode(encoded[-1]))
        arriving: list[list[Tensor]] = [[] for _ in range(LEVELS)]
        for source in range(LEVELS):
            for level, x in self._connections(encoded[source], source):
                arriving[level].append(x)
        x = encoded[-1]
        for level in reversed(range(LEVELS)):
            x = self.decoder[level](sum(arriving[level], self.main_up[level](x)))
        return to_levels(self.head(x))

    @property
    def unused(self) -> tuple[str, ...]:
        """Names of the modules that no skip bit of the genotype uses, e.g. `up.3`."""
        used = set()
        for source, targets in enumerate(self.targets):
            used |= {f"skip.{source}"} & {f"skip.{level}" for level in targets}
            used |= {f"down.{i}" for i in range(source, max(targets, default=0))}
            used |= {f"up.{i}" for i in range(min(targets, default=LEVELS), source)}
        optional = [f"skip.{i}" for i in range(LEVELS)]
        optional += [f"{step}.{i}" for step in ("down", "up") for i in range(LEVELS - 1)]
        return tuple(name for name in optional if name not in used)

    def _connections(self, x: Tensor, source: int) -> Iterator[tuple[int, Tensor]]:
        """Yield (level, what it receives) for all levels that level `source` is connected to.

        Each chain of shared steps is walked once, and only as far as a level needs it.
        """
        targets = self.targets[source]
        if source in targets:
            yield source, self.skip[source](x)
        above = x
        for level in reversed(range(min(targets, default=source), source)):
            above = self.up[level](above)
            if level in targets:
                yield level, above
        below = x
        for level in range(source + 1, max(targets, default=source) + 1):
            below = self.down[level - 1](below)
            if level in targets:
                yield level, below


def build_network(genotype: Any, in_channels: int = 1, out_channels: int = 1) -> GenotypeNetwork:
    """Build the network of a genotype, with PyTorch's default initialisation.

    Args:
        genotype: a Genotype or any form that `Genotype.parse` reads.
        in_channels: channels of the network's input z.
        out_channels: channels of the image.

    Raises:
        GenotypeError: `genotype` names no valid genotype.

    >>> net = build_network(13)
    >>> net(torch.zeros(1, 1, 64, 96)).shape, count_parameters(net)
    (torch.Size([1, 1, 64, 96]), 7094785)
    """
    return GenotypeNetwork(Genotype.parse(genotype), in_channels, out_channels)


def count_parameters(net: nn.Module) -> int:
    """Number of values of the parameters of all modules, used in the forward pass or not.

    >>> count_parameters(nn.Conv2d(1, 2, 3))
    20
    """
    return sum(parameter.numel() for parameter in net.parameters())


def unused_modules(net: nn.Module) -> list[nn.Module]:
    """The modules of `net` that its forward pass never runs (those of genotypes without a bit).

    >>> len(unused_modules(build_network("4_" + "0" * 25)))
    13
    """
    networks = (part for part in net.modules() if isinstance(part, GenotypeNetwork))
    return [part.get_submodule(name) for part in networks for name in part.unused]


def count_used_parameters(net: nn.Module) -> int:
    """Number of values of the parameters of the modules that the forward pass runs.

    >>> count_used_parameters(build_network(13))
    6929665
    """
    return count_parameters(net) - sum(count_parameters(part) for part in unused_modules(net))


def count_macs(net: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Multiply-accumulates of one forward pass; only shapes are computed, no values.

    Counted are convolutions (one per weight and output pixel), transposed convolutions (one per
    weight and input pixel) and linear layers (one per weight and row), padding included; not
    biases, normalisation, activations and interpolation.

    Args:
        net: any module of such layers.
        input_shape: of the network's input, (N, C, H, W).

    >>> count_macs(nn.Conv2d(3, 8, 3, padding=1), (1, 3, 10, 10)) == 3 * 8 * 9 * 100
    True
    """
    if isinstance(net, GenotypeNetwork):
        check_size(*input_shape[-2:])
        samples, channels, *size = input_shape
        return samples * count_genotype_macs(
            net.genotype, channels, net.head.out_channels, (size[0], size[1])
        )
    twin = deepcopy(net).to("meta")
    total = 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Linear):
            places = output.numel() // layer.out_features
        else:
            x = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
            places = x.numel() // x.shape[1]
        total += places * layer.get_parameter("weight").numel()

    for layer in twin.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            layer.register_forward_hook(count)
    dtype = next((parameter.dtype for parameter in net.parameters()), None)
    with torch.no_grad():
        twin(torch.empty(input_shape, device="meta", dtype=dtype))
    return total


def count_genotype_macs(
    genotype: Genotype,
    in_channels: int = 1,
    out_channels: int = 1,
    size: tuple[int, int] = (SMALLEST, SMALLEST),
) -> int:
    """What `count_macs` says of a genotype's network, level by level and without building it.

    Running all 522 networks on shapes alone takes more than a minute.

    Args:
        genotype: of the network.
        in_channels: of its input.
        out_channels: of its output.
        size: (H, W) of both, multiples of 32.

    >>> count_genotype_macs(Genotype.parse(13)) == count_macs(build_network(13), (1, 1, 64, 64))
    True
    """
    pixels = [(size[0] >> level) * (size[1] >> level) for level in range(LEVELS + 1)]
    widths = [in_channels] + (LEVELS - 1) * [WIDTH]
    step_up = _block_macs(genotype.block)
    total = WIDTH * out_channels * pixels[0]
    for level, entering in enumerate(widths):
        total += 9 * (entering + WIDTH) * WIDTH * pixels[level + 1]  # encoder
        total += step_up * pixels[level + 1] + (9 + 9 + 1) * WIDTH**2 * pixels[level]  # decoder
        targets = np.flatnonzero(genotype.skip_matrix[:, level]).tolist()
        total += entering * WIDTH * pixels[level] if level in targets else 0
        for below in range(level, max(targets, default=level)):
            total += 9 * widths[below] * WIDTH * pixels[below + 1]
        for above in range(min(targets, default=level), level):
            total += step_up * pixels[above + 1]
    return total


@cache
def _block_macs(block: Block) -> int:
    """Multiply-accumulates of an upsample block for each pixel that enters it."""
    with torch.device("meta"):
        parameters = list(UpsampleBlock(block).parameters())
    weights = sum(parameter.numel() for parameter in parameters if parameter.dim() > 1)
    return 4 * weights if block.order == "resize_first" else weights


def _encoder(in_channels: int) -> nn.Sequential:
    return nn.Sequential(
        conv_norm_act(in_channels, WIDTH, 3, stride=2), conv_norm_act(WIDTH, WIDTH, 3)
    )


def _decoder() -> nn.Sequential:
    return nn.Sequential(
        batch_norm(WIDTH),
        conv_norm_act(WIDTH, WIDTH, 3),
        conv_norm_act(WIDTH, WIDTH, 3),
        conv_norm_act(WIDTH, WIDTH, 1),
    )


def check_size(height: int, width: int) -> None:
    """Refuse sides of an input, in pixels, that the five levels cannot halve.

    Raises:
        ImageError: a side is not a multiple of 32 or is below 64 pixels.

    >>> check_size(64, 96)
    """
    if height % MULTIPLE or width % MULTIPLE or min(height, width) < SMALLEST:
        raise ImageError(
            f"a network input of {height} x {width} pixels does not fit: both sides must be "
            f"multiples of {MULTIPLE} and at least {SMALLEST}; pad or resize the image"
        )
