"""Decoder networks: a small input grown to an image, without an encoder."""

from math import ceil

from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import WIDTH, Resize, batch_norm, to_levels


class DeepDecoder(nn.Module):
    """The Deep Decoder (Heckel and Hand, 2019): (N, in, H/16, W/16) to (N, out, H, W) in (0, 1).

    Five layers of 128 channels, each but the first resized bilinearly by 2, then a 1x1
    convolution, ReLU and BatchNorm; without any bias.

    >>> import torch
    >>> DeepDecoder(16, 3)(torch.zeros(1, 16, 4, 4)).shape
    torch.Size([1, 3, 64, 64])
    """

    def __init__(self, in_channels: int, out_channels: int, layers: int = 5) -> None:
        super().__init__()
        entering = [in_channels] + (layers - 1) * [WIDTH]
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, WIDTH, 1, bias=False), nn.ReLU(), batch_norm(WIDTH))
            for channels in entering
        )
        self.resize = Resize("bilinear")
        self.head = nn.Conv2d(WIDTH, out_channels, 1, bias=False)

    def forward(self, z: Tensor) -> Tensor:
        """Map z (N, in_channels, H/16, W/16) to an image (N, out_channels, H, W)."""
        x = self.layers[0](z)
        for layer in list(self.layers)[1:]:
            x = layer(self.resize(x))
        return to_levels(self.head(x))


class ConvDecoder(nn.Module):
    """The ConvDecoder (Darestani and Heckel, 2021, as in deepinv): (N, in, 4, 4) to an image.

    Seven layers of 3x3 convolution, ReLU and BatchNorm; before each of the first six, nearest
    resizing along a geometric progression of sizes. No sigmoid: the values are not bounded.

    Args:
        in_channels: channels of z and of every layer.
        out_channels: channels of the image.
        size: (H, W) of the image.
        start: (h, w) of z.
        layers: number of layers.

    >>> ConvDecoder(8, 3, size=(40, 64)).sizes
    [(6, 7), (9, 11), (13, 16), (19, 26), (28, 41), (40, 64)]
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: tuple[int, int],
        start: tuple[int, int] = (4, 4),
        layers: int = 7,
    ) -> None:
        super().__init__()
        resizings = layers - 1
        growth = [(end / begin) ** (1 / resizings) for end, begin in zip(size, start, strict=True)]
        self.sizes = [
            tuple(ceil(g**n * begin) for g, begin in zip(growth, start, strict=True))
            for n in range(1, resizings)
        ]
        self.sizes.append(size)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(in_channels, in_channels, 3, padding=1),
                nn.ReLU(),
                batch_norm(in_channels),
            )
            for _ in range(layers)
        )
        self.head = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, z: Tensor) -> Tensor:
        """Map z (N, in_channels, 4, 4) to an image (N, out_channels, H, W)."""
        x = z
        for layer, size in zip(self.layers, self.sizes, strict=False):
            x = layer(F.interpolate(x, size=size, mode="nearest"))
        out: Tensor = self.head(self.layers[-1](x))
        return out
