"""One model, one image: train it (`fit`), judge what came out, score it without training."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtraError
from .quality import psnr, psnr_y, ssim
from .registry import SCORES, register_score
from .scores import score

if TYPE_CHECKING:
    from .fitting import Fit, fit

__all__ = ["SCORES", "Fit", "fit", "psnr", "psnr_y", "register_score", "score", "ssim"]

_WITH_TORCH = {"fit": ".fitting", "Fit": ".fitting"}


def __getattr__(name: str) -> Any:
    """Import what needs torch only when it is asked for."""
    if name in _WITH_TORCH:
        try:
            return getattr(import_module(_WITH_TORCH[name], __name__), name)
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise MissingExtraError("train", "training") from error
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
