"""Adam, as a processor runs it fastest."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class MemoryOrderAdam:
    """Fused Adam that is shown every parameter as the contiguous memory that it is.

    PyTorch's fused kernel for processors reads memory in its own order, parameter and gradient
    alike, and yet copies each gradient that is not contiguous in the order of its dimensions, as
    those of weights laid out channels last are (see evaluate/PERFORMANCE.md).

    Args:
        parameters: dense ones; those that have no gradient stay as they are.
        learning_rate: of Adam.

    >>> weight = nn.Parameter(torch.ones(2, 3, 5, 5).to(memory_format=torch.channels_last))
    >>> adam = MemoryOrderAdam([weight], learning_rate=0.01)
    >>> weight.sum().backward()
    >>> adam.step()
    >>> round(weight.mean().item(), 4)
    0.99
    """

    def __init__(self, parameters: Iterable[nn.Parameter], learning_rate: float) -> None:
        self._parameters = list(parameters)
        self._orders = [_memory_order(each) for each in self._parameters]
        self._shown = [
            nn.Parameter(each.detach().permute(order))
            for each, order in zip(self._parameters, self._orders, strict=True)
        ]
        self.fused = torch.optim.Adam(self._shown, lr=learning_rate, fused=True)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    def step(self) -> None:
        """Update the parameters by their gradients."""
        rows = zip(self._parameters, self._orders, self._shown, strict=True)
        for parameter, order, shown in rows:
            grad = parameter.grad
            # Autograd lays gradients out like their parameters: nothing is copied here.
            shown.grad = None if grad is None else grad.permute(order).contiguous()
        self.fused.step()
        # Else they would live on through the next iteration.
        self.fused.zero_grad()


def _memory_order(x: Tensor) -> list[int]:
    """The dimensions of x as they lie in memory: of channels last N, H, W, C."""
    return sorted(range(x.dim()), key=x.stride, reverse=True)
