"""Hourglass networks: an encoder, a decoder, and side branches concatenated between them."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from .blocks import WIDTH, Resize, batch_norm, conv, conv_norm_act, to_levels

SKIP_CHANNELS = 4


class Hourglass(nn.Module):
    """DIP's hourglass (Ulyanov et al., 2018): (N, in, H, W) to (N, out, H, W) in (0, 1).

    At each level the input goes through two convolutions to half its size, through the deeper
    levels, and back up by 2; a side branch of the level's input is concatenated before it.
    Lists hold level i = 1..L at i - 1.

    Args:
        in_channels: channels of z.
        out_channels: channels of the image.
        widths: channels of each level, down and up.
        skips: channels of each level's side branch, 0 for none.
        mode: bilinear or nearest resizing.
        down_kernel: kernel of the downward convolutions.
        mixing: whether a 1x1 convolution follows each upward one.

    >>> Hourglass(32, 3, [8, 16], [4, 0], "nearest")(torch.zeros(1, 32, 64, 64)).shape
    torch.Size([1, 3, 64, 64])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        widths: Sequence[int],
        skips: Sequence[int],
        mode: str,
        down_kernel: int = 3,
        mixing: bool = True,
    ) -> None:
        super().__init__()
        entering = [in_channels, *widths[:-1]]
        returning = [*widths[1:], widths[-1]]
        self.down = nn.ModuleList(
            nn.Sequential(
                conv_norm_act(below, width, down_kernel, stride=2),
                conv_norm_act(width, width, down_kernel),
            )
            for below, width in zip(entering, widths, strict=True)
        )
        self.side = nn.ModuleList(
            conv_norm_act(below, skip, 1) if skip else nn.Identity()
            for below, skip in zip(entering, skips, strict=True)
        )
        self.up = nn.ModuleList(
            _merge(skip + deeper, width, 0.2, mixing)
            for skip, deeper, width in zip(skips, returning, widths, strict=True)
        )
        self.resize = Resize(mode)
        self.head = conv(widths[0], out_channels, 1)
        self.skips = tuple(skips)

    def forward(self, z: Tensor) -> Tensor:
        """Map z (N, in_channels, H, W) to an image (N, out_channels, H, W)."""
        entered = []
        x = z
        for down in self.down:
            entered.append(x)
            x = down(x)
        for level in reversed(range(len(self.skips))):
            x = self.resize(x)
            if self.skips[level]:
                x = torch.cat([self.side[level](entered[level]), x], dim=1)
            x = self.up[level](x)
        return to_levels(self.head(x))


class ConcatBicubic(nn.Module):
    """DIP in an independent reproduction: five levels of 128, skips after the down blocks.

    Each decoder level ends with bicubic resizing by 2; the deepest sees its skip alone.

    >>> ConcatBicubic(32, 1)(torch.zeros(1, 32, 64, 64)).shape
    torch.Size([1, 1, 64, 64])
    """

    def __init__(self, in_channels: int, out_channels: int, levels: int = 5) -> None:
        super().__init__()
        slope = 0.01
        entering = [in_channels] + (levels - 1) * [WIDTH]
        self.down = nn.ModuleList(
            nn.Sequential(
                conv_norm_act(below, WIDTH, 3, stride=2, slope=slope),
                conv_norm_act(WIDTH, WIDTH, 3, slope=slope),
            )
            for below in entering
        )
        self.side = nn.ModuleList(
            conv_norm_act(WIDTH, SKIP_CHANNELS, 1, slope=slope) for _ in entering
        )
        self.up = nn.ModuleList(
            _merge(SKIP_CHANNELS + (WIDTH if level < levels else 0), WIDTH, slope, mixing=True)
            for level in range(1, levels + 1)
        )
        self.resize = Resize("bicubic")
        self.head = conv(WIDTH, out_channels, 1)

    def forward(self, z: Tensor) -> Tensor:
        """Map z (N, in_channels, H, W) to an image (N, out_channels, H, W)."""
        sides = []
        x = z
        for down, side in zip(self.down, self.side, strict=True):
            x = down(x)
            sides.append(side(x))
        x = self.resize(self.up[-1](sides[-1]))
        for level in reversed(range(len(sides) - 1)):
            x = self.resize(self.up[level](torch.cat([x, sides[level]], dim=1)))
        return to_levels(self.head(x))


class DeepHourglass(nn.Module):
    """Six levels to 256 channels and back by pixel shuffle or by transposed convolution.

    Kernels of 5 with zero padding down; the outputs of levels 3, 4 and 5 come back through a
    convolution to 4 channels, concatenated after the upsampled ones.

    Args:
        in_channels: channels of z.
        out_channels: channels of the image.
        transposed: transposed convolutions rather than pixel shuffles.

    >>> DeepHourglass(3, 1, transposed=True)(torch.zeros(1, 3, 128, 128)).shape
    torch.Size([1, 1, 128, 128])
    """

    def __init__(self, in_channels: int, out_channels: int, transposed: bool) -> None:
        super().__init__()
        widths = [in_channels, 8, 16, 32, 64, 128, 256]
        self.down = nn.ModuleList(
            nn.Sequential(_conv5(below, width, stride=2), batch_norm(width), nn.LeakyReLU(0.01))
            for below, width in pairwise(widths)
        )
        self.side = nn.ModuleList(_conv5(width, SKIP_CHANNELS) for width in (128, 64, 32))
        self.resize = nn.ModuleList()
        self.up = nn.ModuleList()
        returning = [256, 128, 64, 32, 16, 8 if transposed else 16, out_channels]
        for level, (below, width) in enumerate(pairwise(returning)):
            skip = SKIP_CHANNELS if level < len(self.side) else 0
            resize: nn.Module = nn.PixelShuffle(2)
            mix: nn.Module = _conv5(below // 4 + skip, width)
            if transposed:
                resize = nn.ConvTranspose2d(below, width - skip, 4, stride=2, padding=1)
                mix = nn.Identity()
            last = level == len(returning) - 2
            act = nn.Identity() if last else nn.LeakyReLU(0.01)
            self.resize.append(resize)
            self.up.append(nn.Sequential(mix, batch_norm(width), act))

    def forward(self, z: Tensor) -> Tensor:
        """Map z (N, in_channels, H, W) to an image (N, out_channels, H, W)."""
        encoded = []
        x = z
        for down in self.down:
            x = down(x)
            encoded.append(x)
        sides = [side(encoded[4 - level]) for level, side in enumerate(self.side)]
        for level, (resize, up) in enumerate(zip(self.resize, self.up, strict=True)):
            x = resize(x)
            if level < len(sides):
                x = torch.cat([x, sides[level]], dim=1)
            x = up(x)
        return to_levels(x)


def _merge(in_channels: int, out_channels: int, slope: float, mixing: bool) -> nn.Sequential:
    layers = [batch_norm(in_channels), conv_norm_act(in_channels, out_channels, 3, slope=slope)]
    if mixing:
        layers.append(conv_norm_act(out_channels, out_channels, 1, slope=slope))
    return nn.Sequential(*layers)


def _conv5(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 5, stride, padding=2)
