"""Upsample blocks of the fast network: where the block's algebra allows it, at low resolution."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import Resize, SplitStackSum, UpsampleBlock
from .network_fast_convolve import convolve, depth_wise, pays_on, suits_winograd
from .network_fast_float32 import convolution, prefers_float32
from .network_fast_layers import conv_after_nearest, fold, resize_bicubic
from .processor import has_amx

PHASES_FROM = 8
"""The side in pixels from which four small kernels are cheaper than resizing first."""

PHASES_FROM_AMX = 32
"""The same in bfloat16 on a processor with AMX, and of large kernels to no more channels alone."""


def is_affine(block: UpsampleBlock) -> bool:
    """Whether the block maps averages to averages: it has no activation."""
    return isinstance(block.activate, nn.Identity)


def apply_block(block: UpsampleBlock, x: Tensor) -> Tensor:
    """What `block` computes.

    Resizing to the nearest commutes with every activation and 1x1 operation; the other ways of
    resizing commute with 1x1 operations, and with sums of channels, where there is no activation.

    >>> import torch
    >>> from dipbench.genotypes.upsample import decode
    >>> block, x = UpsampleBlock(decode(130)), torch.rand(1, 128, 8, 8)
    >>> torch.allclose(apply_block(block, x), block(x), atol=1e-5)
    True
    """
    return finish(block, begin(block, x))


def finish(block: UpsampleBlock, x: Tensor) -> Tensor:
    """The last step of a block, which is linear: it may be taken once, on a sum.

    >>> import torch
    >>> from dipbench.genotypes.upsample import decode
    >>> finish(UpsampleBlock(decode(255)), torch.ones(1, 512, 2, 2)).shape
    torch.Size([1, 128, 4, 4])
    """
    return F.pixel_shuffle(x, 2) if block.op_first else x


def begin(block: UpsampleBlock, x: Tensor) -> Tensor:
    """All of a block but what `finish` does.

    >>> import torch
    >>> from dipbench.genotypes.upsample import decode
    >>> begin(UpsampleBlock(decode(255)), torch.ones(1, 128, 2, 2)).shape
    torch.Size([1, 512, 2, 2])
    """
    operation, resize = block.operation, block.resize
    mode = resize.mode if isinstance(resize, Resize) else None
    if isinstance(resize, nn.ConvTranspose2d):
        return _activate(block, operate(resize, x))
    if block.op_first and operation is not None:
        # As published, the activation comes twice: before the shuffle and after it.
        return _activate(block, operate(operation, x), times=2)
    if mode == "nearest":
        return _nearest(block, x)
    if operation is None:
        return _activate(block, _resize(x, mode))
    if is_affine(block) and mode is not None:
        if _kernel(operation) == 1:
            return _resize(operate(operation, x), mode)
        if isinstance(operation, SplitStackSum):
            return operate(operation.conv, _resize(fold(x), mode))
    return _activate(block, operate(operation, _activate(block, _resize(x, mode))))


def operate(operation: nn.Module, x: Tensor) -> Tensor:
    """What the operation of an upsample block computes, without its activation.

    >>> import torch
    >>> operate(nn.Conv2d(2, 3, 1), torch.rand(1, 2, 4, 4)).shape
    torch.Size([1, 3, 4, 4])
    """
    if isinstance(operation, nn.Sequential):
        for each in operation:
            x = operate(each, x)
        return x
    if isinstance(operation, SplitStackSum):
        return operate(operation.conv, fold(x))
    layer: Any = operation
    if layer.groups > 1:
        return depth_wise(x, layer.weight)
    kernel, padding = layer.kernel_size[0], layer.padding
    wider = layer.out_channels > layer.in_channels
    by_winograd = suits_winograd(x, kernel, padding, layer.stride[0], wider)
    if layer.transposed and not by_winograd:
        more = layer.output_padding
        if prefers_float32(x):
            how = layer.stride[0], padding[0], more[0]
            return _biased(convolution(x, layer.weight, *how, transposed=True), layer.bias)
        weight = layer.weight.to(x.dtype)
        bias = None if layer.bias is None else layer.bias.to(x.dtype)
        return F.conv_transpose2d(x, weight, bias, layer.stride, padding, more)
    return _biased(convolve(x, as_conv(layer), padding), layer.bias)


def as_conv(layer: Any) -> Tensor:
    """The weight (out, in, k, k) of a convolution, also of a transposed one of stride 1.

    >>> as_conv(nn.ConvTranspose2d(2, 3, 5)).shape
    torch.Size([3, 2, 5, 5])
    """
    weight: Tensor = layer.weight
    return weight.transpose(0, 1).flip(2, 3) if layer.transposed else weight


def _nearest(block: UpsampleBlock, x: Tensor) -> Tensor:
    operation = block.operation
    x = _activate(block, x.clone())
    if operation is None:
        return F.interpolate(x, scale_factor=2)
    if _kernel(operation) == 1:
        return F.interpolate(_activate(block, operate(operation, x)), scale_factor=2)
    if isinstance(operation, SplitStackSum):
        operation, x = operation.conv, fold(x)
    layer: Any = operation
    if isinstance(operation, nn.Sequential) or layer.groups > 1 or not _phases_pay(layer, x):
        return _activate(block, operate(operation, F.interpolate(x, scale_factor=2)))
    return _activate(block, _biased(conv_after_nearest(x, as_conv(layer)), layer.bias))


def _phases_pay(layer: Any, x: Tensor) -> bool:
    """Whether four small kernels on x are cheaper than one of the layer on x resized."""
    if not pays_on(x.device):
        return False
    side = min(x.shape[-2:])
    if x.dtype == torch.bfloat16 and has_amx():
        large = layer.kernel_size[0] > 3 and layer.in_channels >= layer.out_channels
        return large and not layer.transposed and side >= PHASES_FROM_AMX
    return side >= PHASES_FROM


def _resize(x: Tensor, mode: str | None) -> Tensor:
    if mode is None:
        return F.pixel_shuffle(x, 2)
    if mode == "bicubic":
        return resize_bicubic(x)
    return F.interpolate(x, scale_factor=2, mode=mode)


def _activate(block: UpsampleBlock, x: Tensor, times: int = 1) -> Tensor:
    """Apply the activation, in place where that is cheap: nothing else needs x."""
    if isinstance(block.activate, nn.LeakyReLU):
        slope = block.activate.negative_slope**times
        return F.leaky_relu(x, slope, inplace=_cheap_in_place(x))
    return F.relu(x, inplace=_cheap_in_place(x)) if isinstance(block.activate, nn.ReLU) else x


def _biased(x: Tensor, bias: Tensor | None) -> Tensor:
    """Add a bias to every pixel, in place where that is cheap: nothing else needs x."""
    if bias is None:
        return x
    over_pixels = bias.to(x.dtype).view(-1, 1, 1)
    return x.add_(over_pixels) if _cheap_in_place(x) else x + over_pixels


def _cheap_in_place(x: Tensor) -> bool:
    """Whether x is no view: autograd lays the gradient of a view that is written to out anew."""
    return not x._is_view()


def _kernel(operation: nn.Module) -> int:
    """Side of the operation's kernel: of a separable one the depthwise, which comes first."""
    weight = next(operation.parameters())
    return int(weight.shape[-1])
