"""Methods from other packages on our observations: deepinv's Deep Image Prior, and BM3D."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data import Denoising, Observation, Task
from ..errors import DipbenchError, MissingExtraError, TaskError, unknown
from .devices import resolve_device
from .operators import forward_operator
from .results import OUT_OF_TIME
from .vision import import_torchvision

EXTRA = "compare"


@dataclass(frozen=True, eq=False)
class BaselineResult:
    """What another package's method made of an observation.

    Attributes:
        image: float32 (C, H, W) in [0, 1], the method's own result.
        seconds: wall time.
        iterations: of its training; 0 where there is none.
        reason: why that ended early; empty where it did not.
    """

    image: np.ndarray = field(repr=False)
    seconds: float
    iterations: int = 0
    reason: str = ""


Look = Callable[[int, np.ndarray], None]


def deepinv_dip(
    observation: Observation,
    task: Task,
    *,
    iterations: int = 2500,
    seconds: float | None = None,
    seed: int = 0,
    device: str = "auto",
    look: Look | None = None,
) -> BaselineResult:
    """DeepImagePrior of deepinv with its ConvDecoder, both with their own defaults.

    Args:
        observation: what is known of the picture; its operator is handed to deepinv.
        task: what was done to it.
        iterations: of the training; deepinv's default.
        seconds: end the training after this time, if it is not over before.
        seed: of torch's generator, which deepinv draws from.
        device: `auto`, `cpu` or `cuda`.
        look: called with each iteration's number and output (C, H, W).

    Raises:
        MissingExtraError: deepinv is not installed.
        DipbenchError: it is, and cannot be imported.
    """
    deepinv = import_deepinv()
    where = resolve_device(device)
    operator = forward_operator(observation, where)
    start = time.perf_counter()
    seen: list[Tensor] = []
    count, reason = 0, ""

    def watched(x: Tensor, **_: Any) -> Tensor:
        nonlocal count
        seen[:] = [x.detach()]
        if look is not None:
            look(count, x.detach()[0].cpu().numpy())
        count += 1
        if seconds is not None and time.perf_counter() - start > seconds:
            raise _TimeIsUpError
        return operator(x)

    with torch.random.fork_rng(devices=[where] if where.type == "cuda" else []):
        torch.manual_seed(seed)
        network = deepinv.models.ConvDecoder(img_size=observation.restored_shape).to(where)
        prior = deepinv.models.DeepImagePrior(network, img_size=(256, 4, 4), iterations=iterations)
        observed = torch.tensor(observation.observed, device=where)[None]
        try:
            final = prior(observed, deepinv.physics.LinearPhysics(A=watched)).detach()
        except _TimeIsUpError:
            final = seen[0]
            reason = OUT_OF_TIME.format(seconds, count)
    image = final[0].cpu().numpy().astype(np.float32).clip(0, 1)
    return BaselineResult(image, time.perf_counter() - start, count, reason)


def bm3d(observation: Observation, task: Task, **_: Any) -> BaselineResult:
    """BM3D (Dabov et al., 2007), told the noise's deviation; in colour CBM3D.

    Raises:
        MissingExtraError: the package `bm3d` is not installed.
        TaskError: the task is not denoising of a known sigma.
    """
    package = _import_bm3d()
    sigma = _known_sigma(task)
    start = time.perf_counter()
    noisy = np.moveaxis(observation.observed.astype(np.float64), 0, 2)
    method = package.bm3d_rgb if noisy.shape[2] == 3 else package.bm3d
    clean = np.asarray(method(noisy.squeeze(), sigma / 255))
    image = np.moveaxis(clean.reshape(noisy.shape), 2, 0).clip(0, 1).astype(np.float32)
    return BaselineResult(image, time.perf_counter() - start)


BASELINES: dict[str, Callable[..., BaselineResult]] = {"deepinv-dip": deepinv_dip, "bm3d": bm3d}
"""Methods of other packages by the name that `compare` takes for them."""


def check_baseline(name: str, task: Task) -> None:
    """Refuse, before any long work, a baseline that cannot be run.

    Raises:
        DipbenchError: it is unknown, not installed, or not for the task.

    >>> from dipbench.data import parse_task
    >>> from dipbench.evaluate.baselines import check_baseline
    >>> check_baseline("bm3d", parse_task("sr-4"))
    Traceback (most recent call last):
    dipbench.errors.TaskError: bm3d removes Gaussian noise of a known sigma, not sr-4: leave it out
    """
    if name not in BASELINES:
        raise DipbenchError(unknown("baseline", name, BASELINES))
    if name == "deepinv-dip":
        import_deepinv()
    else:
        _known_sigma(task)
        _import_bm3d()


def import_deepinv() -> Any:
    """The package deepinv.

    Raises:
        MissingExtraError: it, or what it needs, is not installed.
        DipbenchError: it cannot be imported.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import_torchvision()
            return import_module("deepinv")
        except ImportError as error:
            raise MissingExtraError(EXTRA, "deepinv's Deep Image Prior") from error
        except RuntimeError as error:
            raise DipbenchError(
                f"deepinv cannot be imported ({str(error).splitlines()[0]}): install the "
                "torchvision that belongs to your torch"
            ) from error


def _import_bm3d() -> Any:
    try:
        return import_module("bm3d")
    except ImportError as error:
        raise MissingExtraError(EXTRA, "BM3D") from error


def _known_sigma(task: Task) -> float:
    if not isinstance(task, Denoising):
        raise TaskError(f"bm3d removes Gaussian noise of a known sigma, not {task}: leave it out")
    return task.sigma


class _TimeIsUpError(Exception):
    pass
