"""Convolutions of the fast network: the same functions, computed cheaper on a CPU.

All take and return tensors (N, C, H, W) laid out channels last, and compute in the type of their
input, whatever the type of the weight. What each gains is measured in evaluate/PERFORMANCE.md.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from .network_fast_float32 import convolution, linear, prefers_float32
from .network_fast_winograd import TILE, winograd, winograd_by_input, winograd_by_weight
from .processor import has_amx

WINOGRAD_FROM = 128
"""The output's side times the kernel's from which Winograd's algorithm is faster in float32, and in
bfloat16 on a processor that multiplies it slower (`prefers_float32`)."""

WINOGRAD_FROM_BF16 = 320
"""The same in bfloat16 on others without AMX, of kernels larger than 3 to no more channels; the
algorithm itself computes in float32."""

SMALL = 4
"""The output's side in pixels up to which a large kernel's convolution is a matrix product."""

STRIP = 3
"""Columns of a depthwise kernel whose gradient oneDNN computes by its fast routine."""

Padding = tuple[int, int]
"""Pixels before and after an image, in both dimensions."""


def pays_on(device: torch.device) -> bool:
    """Whether rewriting convolutions pays on a device; cuDNN's own are best left alone.

    >>> pays_on(torch.device("cpu")), pays_on(torch.device("cuda"))
    (True, False)
    """
    return device.type == "cpu"


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A 1x1 convolution, as the matrix product that it is.

    Args:
        x: (N, in, H, W).
        weight: (out, in, 1, 1) or (out, in); of another type than x only without a bias.
        bias: (out,).

    >>> pointwise(torch.ones(1, 2, 4, 4), torch.ones(3, 2, 1, 1)).shape
    torch.Size([1, 3, 4, 4])
    """
    pixels, weight = x.permute(0, 2, 3, 1), weight.flatten(1)
    alike = x.dtype == weight.dtype
    y = F.linear(pixels, weight, bias) if alike else linear(pixels, weight)
    return y.permute(0, 3, 1, 2)


def convolve(
    x: Tensor,
    weight: Tensor,
    padding: Padding = (0, 0),
    mode: str = "constant",
    stride: int = 1,
) -> Tensor:
    """A convolution of the padded x, by Winograd's algorithm where that is faster.

    Args:
        x: (N, in, H, W).
        weight: (out, in, k, k), of any type.
        padding: pixels before and after, in both dimensions.
        mode: of the padding: `constant` (zeros) or `reflect`.
        stride: in both dimensions.

    >>> convolve(torch.ones(1, 2, 6, 6), torch.ones(3, 2, 3, 3), padding=(1, 1)).shape
    torch.Size([1, 3, 6, 6])
    """
    wider = len(weight) > weight.shape[1]
    by_winograd = suits_winograd(x, weight.shape[-1], padding, stride, wider)
    in_float32 = prefers_float32(x)
    if not by_winograd and not in_float32:
        weight = weight.to(x.dtype)
    if weight.shape[-1] == stride == 1:
        return pointwise(x, weight)
    small = max(x.shape[-2:]) + sum(padding) - weight.shape[-1] < SMALL
    if small and weight.shape[-1] > 3 and pays_on(x.device):
        return _as_product(_padded(x, padding, mode), weight)
    if by_winograd:
        return _Winograd.apply(x, weight, padding, mode)  # type: ignore[no-any-return]
    zeros = padding[0] if mode == "constant" and padding[0] == padding[1] else 0
    x = x if zeros else _padded(x, padding, mode)
    if in_float32:
        return convolution(x, weight, stride, zeros)
    return F.conv2d(x, weight, stride=stride, padding=zeros)


def suits_winograd(
    x: Tensor, kernel: int, padding: Padding, stride: int = 1, wider: bool = False
) -> bool:
    """Whether Winograd's algorithm is the faster one for a convolution of x, and rounds well.

    Args:
        x: (N, C, H, W).
        kernel: its side.
        padding: pixels before and after, in both dimensions.
        stride: in both dimensions.
        wider: whether the convolution gives more channels than x has.

    >>> suits_winograd(torch.ones(1, 2, 64, 64), kernel=3, padding=(1, 1))
    True
    """
    sides = [side + sum(padding) - kernel + 1 for side in x.shape[-2:]]
    if not pays_on(x.device) or stride != 1 or any(side % TILE for side in sides):
        return False
    if x.dtype == torch.bfloat16 and not prefers_float32(x):
        large = kernel > 3 and min(sides) * kernel >= WINOGRAD_FROM_BF16
        return large and not wider and not has_amx()
    return min(sides) * kernel >= WINOGRAD_FROM


def _as_product(x: Tensor, weight: Tensor) -> Tensor:
    """A convolution of stride 1 without padding as one product, of a matrix with all windows."""
    kernel = weight.shape[-1]
    windows = x.permute(0, 2, 3, 1).unfold(1, kernel, 1).unfold(2, kernel, 1)
    windows = windows.permute(0, 1, 2, 4, 5, 3).flatten(3)
    return pointwise(windows.permute(0, 3, 1, 2), weight.permute(0, 2, 3, 1).flatten(1))


class _Winograd(torch.autograd.Function):
    """Backward pads again: the padded copy kept would be a third of the layer's memory."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, padding: Padding, mode: str) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.how = padding, mode
        return winograd(_padded(x, padding, mode).to(weight.dtype), weight).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        x, weight = ctx.saved_tensors
        padding, mode = ctx.how
        grad = grad.to(weight.dtype)
        by_weight = winograd_by_weight(grad, _padded(x, padding, mode).to(weight.dtype), weight)
        if not ctx.needs_input_grad[0]:
            return None, by_weight, None, None
        by_padded = winograd_by_input(grad, weight).to(x.dtype)
        edges = _edges(padding)
        if mode == "reflect":
            by_x = torch.ops.aten.reflection_pad2d_backward(by_padded, x, edges)
        else:
            by_x = F.pad(by_padded, [-edge for edge in edges])
        return by_x, by_weight, None, None


def depth_wise(x: Tensor, weight: Tensor) -> Tensor:
    """A zero-padded depthwise convolution whose gradient is computed in narrow strips.

    Args:
        x: (N, C, H, W).
        weight: (C, 1, k, k), k odd.

    >>> depth_wise(torch.ones(1, 2, 4, 4), torch.ones(2, 1, 5, 5)).max()
    tensor(16.)
    """
    weight = weight.to(x.dtype)
    if weight.shape[-1] == 1:
        return x * weight.view(-1, 1, 1)
    if not pays_on(x.device):
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2, groups=len(weight))
    return _DepthWise.apply(x, weight)  # type: ignore[no-any-return]


class _DepthWise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor]:
        x, weight = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        kernel = weight.shape[-1]
        margin = kernel // 2
        by_x = _gradient(0, grad, x, weight, margin) if ctx.needs_input_grad[0] else None
        padded = F.pad(x, 4 * [margin])
        strips = []
        for left in range(0, kernel, STRIP):
            strip = weight[..., left : left + STRIP]
            seen = padded[..., left : left + x.shape[-1] + strip.shape[-1] - 1]
            seen = seen.contiguous(memory_format=torch.channels_last)
            strips.append(_gradient(1, grad, seen, strip))
        return by_x, torch.cat(strips, dim=-1)


def _gradient(place: int, grad: Tensor, x: Tensor, weight: Tensor, padding: int = 0) -> Tensor:
    """The gradient of a depthwise convolution by x (place 0) or by the weight (1)."""
    how = ([1, 1], 2 * [padding], [1, 1], False, [0, 0], len(weight))
    wanted = [place == 0, place == 1, False]
    found: Tensor = torch.ops.aten.convolution_backward(grad, x, weight, None, *how, wanted)[place]
    return found


def _padded(x: Tensor, padding: Padding, mode: str) -> Tensor:
    return F.pad(x, _edges(padding), mode=mode) if any(padding) else x


def _edges(padding: Padding) -> list[int]:
    return [*padding, *padding]
