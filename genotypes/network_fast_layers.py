"""Layers of the fast network: the same functions of the same parameters, computed cheaper.

All take and return tensors (N, C, H, W) laid out channels last, and compute in the type of their
input, whatever the type of the parameters. What each gains is measured in
evaluate/PERFORMANCE.md.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from .network_fast_convolve import convolve
from .network_fast_winograd import TILE


def conv_norm_act(part: nn.Module, x: Tensor, images: int = 1) -> Tensor:
    """A block of `blocks.conv_norm_act`, without the convolution's bias: BatchNorm cancels it.

    Args:
        part: convolution, BatchNorm, leaky ReLU.
        x: the inputs of one or more passes through the block, one after the other.
        images: how many passes; each is normalised by its own statistics.
    """
    conv, norm, act = _children(part)
    y = convolve(x, conv.weight, conv.padding, mode="reflect", stride=conv.stride[0])
    if images == 1:
        y = batch_norm(norm, y)
    else:
        y = torch.cat([batch_norm(norm, each) for each in y.chunk(images)])
    return F.leaky_relu(y, act.negative_slope, inplace=True)


def batch_norm(norm: Any, x: Tensor) -> Tensor:
    """BatchNorm by the statistics of x, which are computed in the type of the parameters.

    >>> batch_norm(nn.BatchNorm2d(2), torch.ones(1, 2, 4, 4)).abs().max()
    tensor(0., grad_fn=<MaxBackward1>)
    """
    return F.batch_norm(x, None, None, norm.weight, norm.bias, training=True, eps=norm.eps)


def resize_bicubic(x: Tensor) -> Tensor:
    """Bicubic resizing by 2 as two matrix products: far cheaper than gathering 16 values a pixel.

    >>> x = torch.rand(1, 1, 4, 6)
    >>> expected = F.interpolate(x, scale_factor=2, mode="bicubic")
    >>> torch.allclose(resize_bicubic(x), expected, atol=1e-6)
    True
    """
    images, channels, height, width = x.shape
    rows = _bicubic(height, x.dtype, x.device)
    columns = _bicubic(width, x.dtype, x.device)
    tall = rows @ x.permute(0, 2, 3, 1).reshape(images, height, width * channels)
    wide = columns @ tall.view(images, 2 * height, width, channels)
    return wide.permute(0, 3, 1, 2)


def fold(x: Tensor) -> Tensor:
    """The channels in four consecutive groups, summed.

    >>> fold(torch.ones(1, 8, 2, 2)).shape
    torch.Size([1, 2, 2, 2])
    """
    first, second, third, fourth = x.chunk(4, dim=1)
    return first + second + third + fourth


def conv_after_nearest(x: Tensor, weight: Tensor) -> Tensor:
    """A zero-padded convolution of x resized by 2 to the nearest, without resizing x.

    Of the k x k weights that a pixel of the result sums over, those that meet the same pixel of
    x are added up first. What remains are four small kernels, one for each of the four phases of
    the result: 9, 4, 9 and 16 products a weight pair and pixel of x instead of 4, 36, 100, 196.

    Args:
        x: (N, in, H, W).
        weight: (out, in, k, k), k odd, of any type.

    Returns:
        (N, out, 2 H, 2 W).

    >>> x, weight = torch.rand(1, 2, 4, 4), torch.rand(3, 2, 5, 5)
    >>> expected = F.conv2d(F.interpolate(x, scale_factor=2), weight, padding=2)
    >>> torch.allclose(conv_after_nearest(x, weight), expected, atol=1e-5)
    True
    """
    out_channels, in_channels, kernel, _ = weight.shape
    phases = _phases(kernel, weight.dtype, weight.device)
    taps = kernel // 2 + 1
    small = phases @ weight.permute(0, 2, 3, 1).reshape(out_channels, kernel**2, in_channels)
    small = small.view(out_channels, 4, taps, taps, in_channels).transpose(0, 1)
    small = small.reshape(4 * out_channels, taps, taps, in_channels).permute(0, 3, 1, 2)
    margin, shift = taps // 2, 1 - taps % 2
    height, width = x.shape[-2:]
    # An even kernel needs one row and column more; `more` rounds that up to whole tiles.
    more = (TILE - 1) * shift
    y = convolve(x, small, (margin, margin + more))
    interleaved: Tensor = _Interleave.apply(y, (height, width), shift)
    return interleaved.permute(0, 3, 1, 2)


class _Interleave(torch.autograd.Function):
    """Four phases (N, 4 C, H, W), the later ones `shift` pixels on, to one image (N, H, W, C)."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, size: tuple[int, int], shift: int) -> Tensor:
        ctx.shape, ctx.size, ctx.shift = y.shape, size, shift
        phases = _phase_view(y, size, shift)
        out = y.new_empty(len(y), 2 * size[0], 2 * size[1], y.shape[1] // 4)
        out.view(phases.shape).copy_(phases)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        by_y = grad.new_zeros(ctx.shape).contiguous(memory_format=torch.channels_last)
        phases = _phase_view(by_y, ctx.size, ctx.shift)
        phases.copy_(grad.reshape(phases.shape))
        return by_y, None, None


def _phase_view(y: Tensor, size: tuple[int, int], shift: int) -> Tensor:
    """View y (N, 4 C, H, W), channels last, as (N, row, row phase, column, column phase, C)."""
    quarter = y.shape[1] // 4
    image, _, row, column = y.stride()
    return y.as_strided(
        (len(y), size[0], 2, size[1], 2, quarter),
        (image, row, shift * row + 2 * quarter, column, shift * column + quarter, 1),
    )


@cache
@torch.inference_mode(mode=False)  # it is kept for trainings too
def _phases(kernel: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The sums that `conv_after_nearest` makes, (4 x taps x taps, kernel x kernel), of 0 and 1.

    Output pixel 2 m + p meets, with weight w, pixel 2 m + p + w - k // 2 of the resized image.
    """
    taps, reach = kernel // 2 + 1, kernel // 2
    one = torch.zeros(2, taps, kernel)
    for phase in range(2):
        met = [(phase + w - reach) // 2 for w in range(kernel)]
        for w, pixel in enumerate(met):
            first = -(taps // 2) + (phase if taps % 2 == 0 else 0)
            one[phase, pixel - first, w] = 1
    both = torch.einsum("ptk,qul->pqtukl", one, one)
    return both.reshape(4 * taps**2, kernel**2).to(device, dtype)


@cache
@torch.inference_mode(mode=False)  # it is kept for trainings too
def _bicubic(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The matrix (2 size, size) of bicubic resizing by 2; its values are exact in bfloat16."""
    unit = torch.eye(size, dtype=torch.float64)[None, None]
    matrix = F.interpolate(unit, size=(2 * size, size), mode="bicubic")[0, 0]
    return matrix.to(device, dtype)


def _children(part: nn.Module) -> list[Any]:
    return list(part.children())
