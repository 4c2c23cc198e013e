"""Products of bfloat16 images with float32 weights that are computed in float32.

Some processors multiply bfloat16 slower than float32 (`prefers_float32`). The images stay in
bfloat16 between layers; their copies in float32 are made anew backwards, for kept ones would take
twice the memory.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from .processor import has_slow_bfloat16


def prefers_float32(x: Tensor) -> bool:
    """Whether a processor multiplies x, which is in bfloat16, faster in float32.

    >>> prefers_float32(torch.ones(1))
    False
    """
    return x.dtype == torch.bfloat16 and x.device.type == "cpu" and has_slow_bfloat16()


def convolution(
    x: Tensor,
    weight: Tensor,
    stride: int = 1,
    padding: int = 0,
    output_padding: int = 0,
    transposed: bool = False,
) -> Tensor:
    """A convolution without bias, in the type of x; arguments as PyTorch's.

    Args:
        x: (N, in, H, W).
        weight: (out, in, k, k), or (in, out, k, k) of a transposed one.
        stride: in both dimensions.
        padding: pixels of zeros before and after, in both dimensions.
        output_padding: pixels that a transposed one gives more.
        transposed: whether it is one.

    >>> x, weight = torch.ones(1, 2, 4, 4, dtype=torch.bfloat16), torch.ones(3, 2, 3, 3)
    >>> convolution(x, weight, padding=1).max()
    tensor(18., dtype=torch.bfloat16)
    """
    how = (2 * [stride], 2 * [padding], [1, 1], transposed, 2 * [output_padding], 1)
    return _Convolution.apply(x, weight, how)  # type: ignore[no-any-return]


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """The product of the last dimension of x with a weight (out, in), in the type of x.

    >>> linear(torch.ones(5, 2).bfloat16(), torch.ones(3, 2)).shape
    torch.Size([5, 3])
    """
    return _Linear.apply(x, weight)  # type: ignore[no-any-return]


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, how: tuple[Any, ...]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.how = how
        y: Tensor = torch.ops.aten.convolution(x.to(weight.dtype), weight, None, *how)
        return y.to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, None]:
        x, weight = ctx.saved_tensors
        whole = grad.to(weight.dtype), x.to(weight.dtype), weight, None
        wanted = [ctx.needs_input_grad[0], True, False]
        by_x, by_weight, _ = torch.ops.aten.convolution_backward(*whole, *ctx.how, wanted)
        return None if by_x is None else by_x.to(x.dtype), by_weight, None


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.linear(x.to(weight.dtype), weight).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor]:
        x, weight = ctx.saved_tensors
        grad = grad.to(weight.dtype)
        by_weight = grad.flatten(0, -2).T @ x.to(weight.dtype).flatten(0, -2)
        return (grad @ weight).to(x.dtype) if ctx.needs_input_grad[0] else None, by_weight
