"""LPIPS, where the package `lpips` is installed: it and its weights are too much to require."""

import socket
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..errors import ScoreError
from .vision import import_torchvision

PATIENCE_SECONDS = 20
"""For a server that does not answer: a picture that is restored waits for its figures."""


def has_lpips() -> bool:
    """Whether `lpips` is installed.

    >>> isinstance(has_lpips(), bool)
    True
    """
    return find_spec("lpips") is not None


def lpips(a: np.ndarray, b: np.ndarray) -> float:
    """Learned perceptual distance with AlexNet (Zhang et al., CVPR 2018); lower is nearer.

    Args:
        a: (1 or 3, H, W) in [0, 1]; a grey picture is taken as three equal channels.
        b: likewise, of the same shape.

    Raises:
        ScoreError: `lpips` is not installed, or its weights are not here and cannot be fetched.
    """
    network, reason = _network()
    if network is None:
        raise ScoreError(reason)
    return distance(network, a, b)


def why_no_lpips() -> str:
    """Why `lpips` refuses, in a line; empty where it does not."""
    return _network()[1]


def distance(network: Callable[..., Any], a: np.ndarray, b: np.ndarray) -> float:
    """What a network of the package `lpips` says of two pictures, as `lpips` takes them."""
    import torch

    first, second = (
        torch.tensor(np.broadcast_to(x, (3, *x.shape[1:])).copy())[None].float() for x in (a, b)
    )
    with torch.no_grad():
        return float(network(first, second, normalize=True))


@cache
def _network() -> tuple[Any, str]:
    """The network, or None and why there is none; fetched or refused once in a process."""
    if not has_lpips():
        return None, "LPIPS needs a package of its own: pip install lpips"
    try:
        with warnings.catch_warnings(), _patience():
            # The package asks torchvision for its weights in a way that is deprecated.
            warnings.simplefilter("ignore")
            import_torchvision()
            return import_module("lpips").LPIPS(net="alex", verbose=False), ""
    except ImportError as error:
        return None, f"LPIPS needs packages that are not installed ({error}): pip install lpips"
    except (OSError, RuntimeError) as error:
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        return None, (
            f"the weights of AlexNet, which LPIPS needs, cannot be had ({what}): put "
            "alexnet-owt-7be5be79.pth of download.pytorch.org/models into torch's hub folder"
        )


@contextmanager
def _patience() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
