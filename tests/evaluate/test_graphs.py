"""What a capture needs of an iteration, seen on a CPU, and what is switched on around one."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from dipbench.evaluate.fitting import prepare
from dipbench.evaluate.graphs import WARM_UP, fast_products
from dipbench.evaluate.protocol import (
    DiscrepancyStop,
    PeakStop,
    Rule,
    StopRule,
    VarianceStop,
    get_protocol,
)

# With every way of resizing: nearest, bicubic, pixel shuffle, transposed convolution, bilinear.
CASES = [(3, "float32"), (12, "float32"), (9, "float32"), (24, "bf16"), ("deep-decoder", "bf16")]


class HostTensors(TorchDispatchMode):
    """Notes what no graph can hold: values read by the host, and tensors made from its values."""

    OPERATIONS = ("_local_scalar_dense", "is_nonzero", "nonzero", "lift_fresh")

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        self.found += [name] if name in self.OPERATIONS else []
        return func(*args, **(kwargs or {}))


def test_the_mode_sees_them() -> None:
    with HostTensors() as seen:
        torch.tensor(2.0).item()
    assert set(seen.found) == {"lift_fresh", "_local_scalar_dense"}


@pytest.mark.parametrize(
    ("task", "stop"),
    [
        ("sr-4", StopRule()),
        ("sr-4", VarianceStop()),
        ("sr-4", PeakStop(2)),
        ("denoising-25", DiscrepancyStop()),
    ],
)
@pytest.mark.parametrize(("model", "precision"), CASES)
def test_a_warm_iteration_neither_reads_nor_makes_values_of_the_host(
    model: int | str, precision: Any, task: str, stop: Rule
) -> None:
    protocol = get_protocol("quick").replace(
        precision=precision,
        weight_noise=0.01,
        input_kind="drifting",
        input_noise_decay=0.9,
        stop=stop,
    )
    training = prepare(model, "camera", task, 5, protocol=protocol, device="cpu")
    training.advance(1)
    with HostTensors() as seen:
        training.advance(1)
    assert seen.found == []


def test_backtracking_looks_only_at_its_iterations() -> None:
    protocol = get_protocol("quick").replace(backtracking_db=5.0)
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Sigmoid())
    training = prepare(network, "camera", "denoising", 250, protocol=protocol, device="cpu")
    reads = []
    while training.done < 205:
        with HostTensors() as seen:
            training.advance(1)
        reads += [training.done - 1] if seen.found else []
    assert reads == [0, 100, 200]
    assert WARM_UP % 100


def test_what_is_switched_on_is_restored() -> None:
    def switches() -> tuple[str, str, bool]:
        backends: Any = torch.backends
        precise = backends.cuda.matmul.fp32_precision, backends.cudnn.conv.fp32_precision
        return (*precise, backends.cudnn.benchmark)

    before = switches()
    with fast_products():
        assert switches() == ("tf32", "tf32", True)
        with fast_products():
            pass
        assert switches() == ("tf32", "tf32", True)
    assert switches() == before
    with pytest.raises(KeyError), fast_products():
        raise KeyError
    assert switches() == before
