"""torchvision, which other packages import, beside a torch that it was not built for."""

from importlib import import_module
from types import ModuleType


def import_torchvision() -> ModuleType:
    """Import torchvision, beside a torch without CUDA too.

    The torchvision of the package index has compiled operators for torch with CUDA alone. Beside
    another it cannot load them and fails when it describes two of them to torch. Neither deepinv's
    restoration nor LPIPS calls them, so that it is enough that they have names.

    Raises:
        ImportError: it is not installed.
        RuntimeError: it cannot be imported all the same.
    """
    import torch

    try:
        return import_module("torchvision")
    except RuntimeError:
        for name in ("nms", "qnms"):
            if not hasattr(torch.ops.torchvision, name):
                torch.library.define(f"torchvision::{name}", "() -> ()")
        return import_module("torchvision")
