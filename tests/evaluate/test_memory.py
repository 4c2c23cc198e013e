"""Running out of memory, as it really happens: one line that says what to do instead."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dipbench.errors import DeviceError
from dipbench.evaluate import fit
from dipbench.evaluate.memory import TooLittleMemoryError, is_out_of_memory


class Greedy(nn.Module):
    """A network that asks for more memory than any machine has."""

    def __init__(self, amount: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1)
        self.amount = amount

    def forward(self, z: Tensor) -> Tensor:
        self.amount()
        return torch.as_tensor(self.conv(z))


@pytest.mark.parametrize("allocator", [torch, np])
def test_a_run_that_does_not_fit_says_what_to_choose_instead(allocator: Any) -> None:
    greedy = Greedy(lambda: allocator.empty(2**55))
    expected = "too little memory on cpu for one run: choose a smaller picture, bf16 or another "
    expected += "device"
    with pytest.raises(TooLittleMemoryError) as raised:
        fit(greedy, "camera", "denoising", 2, protocol="quick", device="cpu")
    assert str(raised.value) == expected
    assert isinstance(raised.value, DeviceError)


def test_other_errors_stay_what_they_are() -> None:
    def refuse() -> None:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        fit(Greedy(refuse), "camera", "denoising", 2, protocol="quick", device="cpu")
    assert not is_out_of_memory(ValueError("out of memory"))
    assert is_out_of_memory(RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"))
