"""The blocks that the networks are built from, in the published order of their layers.

BatchNorm here keeps no running statistics, so a network normalises by the statistics of its batch
whether it is in training or evaluation mode: a DIP network is only ever run as it is trained.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .upsample import Block

WIDTH = 128


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """BatchNorm on batch statistics, always.

    >>> len(list(batch_norm(8).buffers()))
    0
    """
    return nn.BatchNorm2d(channels, track_running_stats=False)


def conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution with bias and reflection padding that keeps the size at stride 1.

    >>> conv(1, 4, 3, stride=2)(torch.zeros(1, 1, 8, 8)).shape
    torch.Size([1, 4, 4, 4])
    """
    return nn.Conv2d(
        in_channels, out_channels, kernel, stride, padding=kernel // 2, padding_mode="reflect"
    )


def conv_norm_act(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, slope: float = 0.2
) -> nn.Sequential:
    """Reflection-padded convolution, BatchNorm, leaky ReLU of the given negative slope.

    >>> [type(layer).__name__ for layer in conv_norm_act(1, 4, 3)]
    ['Conv2d', 'BatchNorm2d', 'LeakyReLU']
    """
    return nn.Sequential(
        conv(in_channels, out_channels, kernel, stride),
        batch_norm(out_channels),
        nn.LeakyReLU(slope),
    )


def to_levels(x: Tensor) -> Tensor:
    """The levels of a picture: the sigmoid of x, in no less than float32.

    bfloat16, which x has under autocast, knows a level near 1 to a 256th alone.

    >>> to_levels(torch.tensor([0.0, 4.0], dtype=torch.bfloat16))
    tensor([0.5000, 0.9820])
    """
    return torch.sigmoid(x.to(torch.promote_types(x.dtype, torch.float32)))


def activation(word: str) -> nn.Module:
    """The module of an activation word of the search space: none, relu, leaky_relu (slope 0.2).

    >>> activation("relu")
    ReLU()
    """
    if word == "none":
        return nn.Identity()
    return nn.ReLU() if word == "relu" else nn.LeakyReLU(0.2)


class SplitStackSum(nn.Module):
    """The channels in four consecutive groups, summed, then a convolution without bias."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels // 4, out_channels, kernel, padding=kernel // 2, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, out_channels, H, W)."""
        out: Tensor = self.conv(torch.stack(x.chunk(4, dim=1)).sum(dim=0))
        return out


class Resize(nn.Module):
    """Resizing by 2 in each direction: bilinear, bicubic (align_corners off) or nearest."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, 2 H, 2 W)."""
        return F.interpolate(x, scale_factor=2, mode=self.mode)

    def extra_repr(self) -> str:
        """Shown by `print(network)`."""
        return self.mode


class UpsampleBlock(nn.Module):
    """The upsample block of a genotype: (N, 128, H, W) to (N, 128, 2 H, 2 W).

    Resizing and operation in the block's order, each followed by the activation; an identity is
    no operation, so its activation is applied once, as published. Zero padding throughout.

    >>> from dipbench.genotypes.upsample import decode
    >>> UpsampleBlock(decode(4))(torch.zeros(1, 128, 2, 2)).shape
    torch.Size([1, 128, 4, 4])
    """

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.op_first = block.order == "op_first"
        self.resize = resizing(block)
        self.operation = operation(block)
        self.activate = activation(block.activation)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 128, H, W) to (N, 128, 2 H, 2 W)."""
        if self.operation is None:
            return self._step(self.resize, x)
        if self.op_first:
            return self._step(self.resize, self._step(self.operation, x))
        return self._step(self.operation, self._step(self.resize, x))

    def _step(self, layer: nn.Module, x: Tensor) -> Tensor:
        out: Tensor = self.activate(layer(x))
        return out


def resizing(block: Block) -> nn.Module:
    """The layer of an upsample block that doubles the size.

    >>> from dipbench.genotypes.upsample import decode
    >>> resizing(decode(0)), resizing(decode(189))
    (Resize(bilinear), PixelShuffle(upscale_factor=2))
    """
    if block.primitive == "trans_conv" and block.kernel is not None:
        return nn.ConvTranspose2d(
            WIDTH, WIDTH, block.kernel, stride=2, padding=block.kernel // 2, output_padding=1
        )
    if block.primitive == "pixel_shuffle":
        return nn.PixelShuffle(2)
    return Resize(block.primitive)


def operation(block: Block) -> nn.Module | None:
    """The operation of an upsample block, None for an identity and for the trans_conv primitive.

    Beside a pixel shuffle it maps 32 to 128 channels after it, or 128 to 512 before it.

    >>> from dipbench.genotypes.upsample import codes_by_name, decode
    >>> layer = operation(decode(codes_by_name()["bilinear-sep_conv-3x3-none"]))
    >>> sum(parameter.numel() for parameter in layer.parameters())
    17536
    """
    kernel = block.kernel
    if block.operation is None or kernel is None:
        return None
    in_channels = out_channels = WIDTH
    if block.order == "op_first":
        out_channels = 4 * WIDTH
    elif block.primitive == "pixel_shuffle":
        in_channels = WIDTH // 4
    padding = kernel // 2
    if block.operation == "split_stack_sum":
        return SplitStackSum(in_channels, out_channels, kernel)
    if block.operation == "trans_conv":
        return nn.ConvTranspose2d(in_channels, out_channels, kernel, padding=padding)
    if block.operation == "conv":
        return nn.Conv2d(in_channels, out_channels, kernel, padding=padding, bias=False)
    depth_wise = nn.Conv2d(
        in_channels, in_channels, kernel, padding=padding, groups=in_channels, bias=False
    )
    if block.operation == "depth_wise_conv":
        return depth_wise
    return nn.Sequential(depth_wise, nn.Conv2d(in_channels, out_channels, 1, bias=False))
