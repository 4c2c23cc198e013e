"""Adam in memory order: the same steps as PyTorch's own, whatever the layouts."""

import pytest
import torch
from torch import nn

from dipbench.evaluate.optimising import MemoryOrderAdam

SHAPES = [(6, 4, 3, 3), (6, 1, 5, 5), (6, 4, 1, 1), (6,), (1, 4, 3, 3)]
LAYOUTS = [torch.contiguous_format, torch.channels_last]


def laid_out(x, layout):
    return x.contiguous(memory_format=layout) if x.dim() == 4 else x


@pytest.mark.parametrize("of_gradients", LAYOUTS)
@pytest.mark.parametrize("of_weights", LAYOUTS)
def test_steps_are_those_of_adam(of_weights, of_gradients):
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=generator) for shape in SHAPES]
    expected = [nn.Parameter(each.clone()) for each in start]
    found = [nn.Parameter(laid_out(each.clone(), of_weights)) for each in start]
    theirs = torch.optim.Adam(expected, lr=0.01, fused=False)
    ours = MemoryOrderAdam(found, 0.01)
    for _ in range(3):
        for a, b in zip(expected, found, strict=True):
            a.grad = torch.randn(a.shape, generator=generator)
            b.grad = laid_out(a.grad.clone(), of_gradients)
        theirs.step()
        ours.step()
    for a, b in zip(expected, found, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_what_has_no_gradient_stays():
    used, idle = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    adam = MemoryOrderAdam([used, idle], 0.01)
    (2 * used).sum().backward()
    adam.step()
    assert torch.allclose(used, torch.full((3,), 0.99))
    assert torch.equal(idle, torch.ones(3))
    adam.zero_grad()
    assert used.grad is None


def test_no_gradient_of_weights_laid_out_channels_last_is_copied():
    weight = nn.Parameter(torch.ones(8, 8, 3, 3).to(memory_format=torch.channels_last))
    adam = MemoryOrderAdam([weight], 0.01)
    weight.square().sum().backward()
    with torch.profiler.profile() as profile:
        adam.step()
    assert "aten::clone" not in {event.key for event in profile.key_averages()}
