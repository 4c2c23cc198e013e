"""The published way to train and this package's, an iteration a call, and what bounds both.

*Plain* is the published way: eager float32, tensors laid out contiguously, every skip chain walked
on its own, and after every iteration the output copied to the host for two PSNRs in NumPy. *Fast*
is `fit`'s own loop in a precision.
"""

import argparse
import platform
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from dipbench.data import Denoising, load_image
from dipbench.errors import DeviceError
from dipbench.evaluate.devices import described, resolve_device, resolve_precision
from dipbench.evaluate.fitting import Training
from dipbench.evaluate.protocol import get_protocol
from dipbench.genotypes import ISNAS522
from dipbench.genotypes.initialisation import initialise
from dipbench.genotypes.network import GenotypeNetwork, build_network, count_macs

MODELS = (0, 1, 2, 3, 6, 9, 12, 13, 24, 27, 46, 97)
"""Of the 522: every resizing primitive, operation and kernel size is among them."""
ITERATIONS = 10**4
"""Room for the curves of the fast loop; nothing runs that many."""

LABEL = 58
"""Characters of a model in a table: the longest of the 522 upsample codes fits."""

Loop = Callable[[], None]


def label(index: int) -> str:
    """A model's number and upsample code, as wide as a table's first column."""
    return f"{index:4d} {str(ISNAS522[index]).split('/')[0]}".ljust(LABEL)


class PlainLoop:
    """The published loop, one iteration a call."""

    def __init__(self, index: int, size: int, device: torch.device):
        self.image, self.device = load_image("camera", size=size).array, device
        self.network = build_network(index, len(self.image), len(self.image))
        initialise(self.network, 0)
        self.network.to(device)
        self.noisy = torch.tensor(observation(size).observed)[None].to(device)
        self.z = torch.rand(self.noisy.shape).to(device) / 10
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=0.01)
        self.smooth: np.ndarray | None = None
        self.curves: list[tuple[float, float, float]] = []

    def __call__(self) -> None:
        self.optimiser.zero_grad()
        z = self.z + torch.randn_like(self.z) / 30
        output = chain_by_chain(self.network, z)
        loss = nn.functional.mse_loss(output, self.noisy)
        loss.backward()
        self.optimiser.step()
        found = output.detach().cpu().numpy()[0]
        self.smooth = found if self.smooth is None else 0.99 * self.smooth + 0.01 * found
        self.curves.append((loss.item(), self.psnr(found), self.psnr(self.smooth)))

    def psnr(self, found: np.ndarray) -> float:
        return float(-10 * np.log10(np.mean((found - self.image) ** 2)))


def chain_by_chain(network: GenotypeNetwork, z: Tensor) -> Tensor:
    """The plain network's output, each connection computed from its encoder level on."""
    encoded = [z]
    for encode in network.encoder:
        encoded.append(encode(encoded[-1]))
    x = encoded[-1]
    for level in reversed(range(5)):
        x = network.main_up[level](x)
        for source in np.flatnonzero(network.genotype.skip_matrix[level]):
            x = x + chain(network, encoded[source], int(source), level)
        x = network.decoder[level](x)
    return torch.sigmoid(network.head(x))


def chain(network: GenotypeNetwork, x: Tensor, source: int, level: int) -> Tensor:
    if source == level:
        return network.skip[level](x)
    for step in range(source, level):
        x = network.down[step](x)
    for step in reversed(range(level, source)):
        x = network.up[step](x)
    return x


def observation(size: int):
    return Denoising().observe(load_image("camera", size=size), 0)


def make_loop(kind: str, index: int, size: int, device: torch.device, threads: int) -> Loop:
    """The loop of a model, warmed up: `plain`, or `fit`'s in `float32` or `bf16`."""
    if kind == "plain":
        loop: Loop = PlainLoop(index, size, device)
    else:
        protocol = get_protocol("isnas").replace(precision=kind, threads=threads, stop=None)
        image, parts = load_image("camera", size=size), (0, "camera", str(Denoising()))
        start = Training(index, observation(size), image.array, protocol, ITERATIONS, device, parts)
        loop = partial(start.advance, 1)
    # On CUDA the fourth call captures a graph, and every later one replays it.
    for _ in range(8 if device.type == "cuda" else 1):
        loop()
    return loop


def precisions(device: torch.device) -> list[str]:
    """Those that the device computes in."""
    try:
        return ["float32", resolve_precision("bf16", device)]
    except DeviceError:
        return ["float32"]


def clock_of(kind: str, device: torch.device) -> Callable[[], float]:
    """Seconds of the wall, or with `cpu` of this process's own work."""
    if device.type != "cuda":
        return time.process_time if kind == "cpu" else time.perf_counter

    def synchronised() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return synchronised


def matrix_rate(kind: str, device: torch.device, clock: Callable[[], float]) -> float:
    """Multiply-accumulates a second of matrix products, of 1024 x 1024, or 8192 on CUDA."""
    side = 8192 if device.type == "cuda" else 1024
    dtype = torch.bfloat16 if kind == "bf16" else torch.float32
    a, b = (torch.rand(side, side, device=device).to(dtype) for _ in range(2))
    return side**3 / shortest(lambda: torch.mm(a, b), clock)


def bandwidth(device: torch.device, clock: Callable[[], float]) -> float:
    """Bytes a second, read and written, of copying 256 MB."""
    a = torch.rand(2**26, device=device)
    b = torch.empty_like(a)
    return 2 * a.nbytes / shortest(lambda: b.copy_(a), clock)


def shortest(act: Callable[[], object], clock: Callable[[], float]) -> float:
    act()
    seconds = []
    for _ in range(7):
        start = clock()
        act()
        seconds.append(clock() - start)
    return min(seconds)


def macs_of(index: int, size: int) -> int:
    """Multiply-accumulates of an iteration of the plain network: forward, twice that backward."""
    return 3 * count_macs(build_network(index), (1, 1, size, size))


def bytes_of(index: int, size: int) -> int:
    """Bytes that an iteration of the plain network in float32 must move at least.

    Each layer's output is written, read by the next, read again backward, and its gradient
    written and read. Each parameter is read forward and backward and its gradient written; Adam
    then reads it, its gradient and two moments, and writes all but the gradient.
    """
    network = build_network(index).to("meta")
    outputs = 0

    def count(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal outputs
        outputs += output.numel()

    for module in network.modules():
        if not list(module.children()):
            module.register_forward_hook(count)
    network(torch.empty(1, 1, size, size, device="meta"))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return 4 * (5 * outputs + 10 * parameters)


def parser_of(what: str) -> argparse.ArgumentParser:
    """The options that the scripts share."""
    parser = argparse.ArgumentParser(description=what.splitlines()[0])
    parser.add_argument("--size", type=int, nargs="+", default=[64])
    parser.add_argument("--models", type=int, nargs="+", default=list(MODELS))
    parser.add_argument("--device", type=resolve_device, default="cpu")
    return parser


def machine(device: torch.device) -> str:
    return (
        f"{described(device)}, {platform.system()}, Python {platform.python_version()}, "
        f"torch {torch.__version__}"
    )
