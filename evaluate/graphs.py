"""The iterations of a training on CUDA: on a stream of its own, and replayed as one graph.

An iteration is some thousand small kernels. Replayed as a graph they cost one launch, and those of
several trainings side by side overlap.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ..errors import one_line
from .memory import is_out_of_memory

logger = logging.getLogger(__name__)

WARM_UP = 3
"""Iterations before the capture, counted ones: cuDNN chooses its kernels, and what is made once
(the optimiser's state, the matrices of the resizings) is made."""

_BROKEN: list[torch.cuda.CUDAGraph] = []
"""Graphs whose capture failed. PyTorch's allocator still refers to them, so they are kept, and no
other capture is tried in this process."""


def new_stream(device: torch.device) -> torch.cuda.Stream | None:
    """A stream that goes on from where the current one is; None on a CPU.

    >>> new_stream(torch.device("cpu")) is None
    True
    """
    if device.type != "cuda":
        return None
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    return stream


@contextmanager
def own_stream(stream: torch.cuda.Stream | None) -> Iterator[None]:
    """Work meanwhile on a training's stream, and fast; where it has none, as always."""
    if stream is None:
        yield
        return
    with fast_products(), torch.cuda.stream(stream):
        yield


@contextmanager
def fast_products() -> Iterator[None]:
    """Have CUDA multiply float32 in TF32 where it can, and take its fastest convolutions.

    TF32 has 10 bits of the factors' fractions; sums are float32.
    """
    switches = _switches()
    before = [getattr(owner, name) for owner, name, _ in switches]
    try:
        for owner, name, value in switches:
            setattr(owner, name, value)
        yield
    finally:
        for (owner, name, _), value in zip(switches, before, strict=True):
            setattr(owner, name, value)


def _switches() -> list[tuple[Any, str, object]]:
    matmul: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    switches: list[tuple[Any, str, object]] = [(cudnn, "benchmark", True)]
    if hasattr(matmul, "fp32_precision"):
        # Since torch 2.9, which warns of the older names.
        switches += [(matmul, "fp32_precision", "tf32"), (cudnn.conv, "fp32_precision", "tf32")]
    else:
        switches += [(matmul, "allow_tf32", True), (cudnn, "allow_tf32", True)]
    return switches


def capture(
    step: Callable[[], None], optimiser: torch.optim.Optimizer, generator: torch.Generator
) -> torch.cuda.CUDAGraph | None:
    """Capture an iteration on the current stream without computing it.

    Args:
        step: the iteration; it must launch the same work on the same tensors every time.
        optimiser: that it steps.
        generator: that it draws from; every replay draws what the iteration would have.

    Returns:
        The graph, to be replayed on the same stream; None where it cannot be captured, and then
        all is as it was.

    Raises:
        RuntimeError: if memory runs out.
    """
    if _BROKEN:
        return None
    # A failed capture leaves the generators that it knows of, torch's own among them, unusable.
    generators = [generator, torch.cuda.default_generators[torch.cuda.current_device()]]
    states = [each.clone_state() for each in generators]
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(generator)
    # Only now: PyTorch warns of steps that are capturable and run outside a capture.
    _set_capturable(optimiser, True)
    try:
        with torch.cuda.graph(graph, stream=torch.cuda.current_stream()):
            step()
    except Exception as error:
        if is_out_of_memory(error):
            raise  # the capture itself has ended well
        _BROKEN.append(graph)
        for each, state in zip(generators, states, strict=True):
            each.graphsafe_set_state(state)
        logger.warning("trains without CUDA graphs from now on: %s", one_line(error)[:200])
        return None
    finally:
        _set_capturable(optimiser, False)
    return graph


def _set_capturable(optimiser: torch.optim.Optimizer, value: bool) -> None:
    for group in optimiser.param_groups:
        group["capturable"] = value
