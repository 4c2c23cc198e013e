"""Training the runs of one unit: what every executor's worker does."""

import platform
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache, partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from ..data import Image, Observation, parse_task
from ..errors import DeviceError, MissingExtraError, StoreError, named
from ..evaluate.memory import TooLittleMemoryError
from ..evaluate.protocol import Protocol
from ..evaluate.results import Fit
from .executors import Outcome, Unit
from .logs import logger, unit_log
from .parts import Made, write_part
from .pictures import read_image, read_observation
from .plan import PLAN_PICTURES, Plan
from .schema import Run, RunKey
from .store import PARTS

DIRTY = "-dirty"
"""What follows the commit of a checkout with changes."""

CONCERNS_EVERY_RUN = (DeviceError, StoreError, MissingExtraError)
"""Errors that end a build: each further run would end by them, too."""


def train_unit(folder: Path, plan: Plan, keys: tuple[RunKey, ...], device: str) -> Outcome:
    """Train the runs of a unit and publish them as one part; return their keys and statuses.

    On a GPU they are trained side by side, on a CPU one after the other.
    """
    train = _together if _on_gpu(device) else _one_by_one
    with unit_log(folder, Unit(keys).name) as log:
        log.info("starts %d run%s on %s", len(keys), "s" * (len(keys) != 1), device)
        made = {}
        for run in train(folder, plan, keys, device):
            log.info("%s %s %s", run.status, run.key, run.reason)
            made[run.key] = run
        runs = [made[key] for key in keys]
        write_part(folder / PARTS, runs, made_by(plan.protocol))
        log.info("its part is published")
    return [(run.key, run.status) for run in runs]


def _on_gpu(device: str) -> bool:
    if device == "cpu":
        return False  # without loading torch
    from ..evaluate.devices import resolve_device

    return resolve_device(device).type == "cuda"


def _one_by_one(folder: Path, plan: Plan, keys: tuple[RunKey, ...], device: str) -> Iterator[Run]:
    for key in keys:
        logger.info("starts %s", key)
        yield train_run(folder, plan, key, device)


def _together(folder: Path, plan: Plan, keys: tuple[RunKey, ...], device: str) -> Iterator[Run]:
    """The runs as they end; one that does not fit even alone is recorded as failed."""
    from ..evaluate.fitting import prepare
    from ..evaluate.together import train_together

    observations = [_observation(folder, key.image, key.task) for key in keys]
    starts = [
        partial(
            prepare,
            **_settings(key, _image(folder, key.image), observation, plan.protocol, device),
        )
        for key, observation in zip(keys, observations, strict=True)
    ]
    for place, ended in train_together(starts, device):
        if isinstance(ended, TooLittleMemoryError):
            yield Run(keys[place], "failed", str(ended))
        else:
            yield _as_run(keys[place], ended, observations[place], plan.outputs)


def record_failed(folder: Path, keys: tuple[RunKey, ...], reason: str) -> Outcome:
    """Publish a part that says why runs could not be made; return their keys and statuses."""
    write_part(folder / PARTS, [Run(key, "failed", reason) for key in keys])
    return [(key, "failed") for key in keys]


def train_run(folder: Path, plan: Plan, key: RunKey, device: str) -> Run:
    """Train one run; whatever goes wrong in it is recorded as its reason.

    Raises:
        MemoryError: if it did not fit into memory; it may in a fresh process, or later.
        DipbenchError: if no run could be made, such as on a device that is not there.
    """
    image = _image(folder, key.image)
    observation = _observation(folder, key.image, key.task)
    return make_run(key, image, observation, plan.protocol, device, plan.outputs)


def make_run(
    key: RunKey,
    image: Image | None,
    observation: Observation,
    protocol: Protocol,
    device: str,
    outputs: bool = False,
) -> Run:
    """Train one run on what is given.

    Args:
        key: of the run.
        image: the ground truth, or None where it is not known.
        observation: what it is trained on.
        protocol: of the benchmark.
        device: to train on.
        outputs: whether to keep the smoothed output.

    Raises:
        MemoryError: if it did not fit into memory.
        DipbenchError: if no run could be made.
    """
    from ..evaluate.fitting import fit

    try:
        ended = fit(**_settings(key, image, observation, protocol, device))
    except TooLittleMemoryError as error:
        raise MemoryError(str(error)) from error
    except Exception as error:
        return _as_run(key, error, observation, outputs)
    return _as_run(key, ended, observation, outputs)


def _settings(
    key: RunKey, image: Image | None, observation: Observation, protocol: Protocol, device: str
) -> dict[str, Any]:
    """What `fit` and `prepare` are given for a run."""
    return {
        "model": key.model,
        "image": image,
        "task": parse_task(key.task),
        "seed": key.seed or 0,
        "protocol": protocol,
        "device": device,
        "observation": observation,
    }


def _as_run(key: RunKey, ended: Fit | Exception, observation: Observation, outputs: bool) -> Run:
    """The record of a run that ended so.

    Raises:
        DipbenchError: if it ended by one of `CONCERNS_EVERY_RUN`.
        KeyboardInterrupt: if it was interrupted: such a run says nothing.
    """
    if isinstance(ended, CONCERNS_EVERY_RUN):
        raise ended
    if isinstance(ended, Exception):
        logger.error("fails %s", key, exc_info=ended)
        return Run(key, "failed", named(ended)[:500])
    if ended.status == "interrupted":
        raise KeyboardInterrupt
    return Run(
        key,
        ended.status,
        ended.reason,
        ended.curves,
        {
            "seconds": ended.seconds,
            "device": ended.device,
            "commit": _commit(),
            "observation_sha256": observation.sha256,
            "input_sha256": ended.input_sha256,
            "parameters": ended.parameters,
            "parameters_used": ended.parameters_used,
            "macs": ended.macs,
        },
        ended.output_smooth.astype(np.float16) if outputs else None,
    )


@lru_cache(maxsize=64)
def _image(folder: Path, name: str) -> Image:
    return read_image(folder / PLAN_PICTURES, name)


@lru_cache(maxsize=64)
def _observation(folder: Path, image: str, task: str) -> Observation:
    return read_observation(folder / PLAN_PICTURES, (image, task))


def made_by(protocol: Protocol) -> Made:
    """How runs that are made here and now come about."""
    return {"environment": environment(), "protocol": protocol.to_record()}


def environment() -> Mapping[str, str]:
    """Versions and hardware that runs are made with."""
    names = ("dipbench", "torch", "numpy", "scipy", "pyarrow", "h5py", "scikit-image", "pillow")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: version for name in names if (version := _version(name))},
    }


@cache
def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


@cache
def _commit() -> str | None:
    """The commit of the checkout that this package runs from; None for an installed one.

    `-dirty` follows it where files that are committed have been changed since.
    """
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return None
    asked = ("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no")
    try:
        commit, changed = (
            subprocess.run(
                ["git", "-C", str(root), *words],
                capture_output=True,
                text=True,
                check=True,
                timeout=10,
            ).stdout.strip()
            for words in asked
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + DIRTY * bool(changed)
