"""The published tree of ISNAS-DIP: what each of its files is, read into plain records.

Layout: `benchmark/<task>/<number>/<image>/data/<model>/htr.pkl` with `.npy` files beside it, tables
of scores above it, and the pictures under `images/<task>/`. The leading folders may be missing.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import TaskError
from .refusal import RefusedError
from .tasks import parse_task
from .unpickling import read_pickle

STOP_START, STOP_DROP_DB = 500, 3.0
"""The published stop: from this iteration on, an output so far under the best raw PSNR ends it."""

_TASK = r"(?:^|.*/)(?P<kind>denoising|inpainting|sr)"
_RUN = _TASK + r"/(?P<number>[0-9.]+)/(?P<image>[^/]+)/data/(?P<model>[^/]+)/"
_PLACES = {
    "run": _RUN + r"htr\.pkl",
    "observation": _RUN + r"img_noisy\.npy",
    "input": _RUN + r"input_noise\.npy",
    "observed_psnr": _RUN + r"psnr_noisy\.pkl",
    "scores": _TASK + r"/(?P<number>[0-9.]+)/(?P<image>[^/]+)/similarity_metrics_noisy_img\.csv",
    "lowpass": r"(?:^|.*/)lowpass_metrics\.csv",
    "random_output": r"(?:^|.*/)random_outputs/(?P<model>[^/]+)/random_output\.npy",
    "truth": _TASK + r"/true/(?P<image>[^/]+)\.png",
    "noisy_picture": _TASK + r"/noisy/(?P<number>[0-9.]+)/(?P<image>[^/]+)\.png",
    "degradation": _TASK + r"/noise/(?P<number>[0-9.]+)/(?P<image>[^/]+)\.npy",
}


@dataclass(frozen=True)
class Place:
    """What a file of a published tree is, by its path.

    Attributes:
        role: `run`, `observation`, `input`, `observed_psnr`, `scores`, `lowpass`,
            `random_output`, `truth`, `noisy_picture` or `degradation` (the noise or the mask).
        task: The task's text form, where the path says one; of a `truth`, its kind alone.
        image: The image's name, where the path says one.
        model: The model's published name, where the path says one.
    """

    role: str
    task: str | None = None
    image: str | None = None
    model: str | None = None


def is_sidecar(name: str) -> bool:
    """Whether macOS put this file into an archive beside the real one.

    >>> is_sidecar("tree.zip/__MACOSX/true/._camera.png"), is_sidecar("true/camera.png")
    (True, False)
    """
    *folders, last = name.split("/")
    return "__MACOSX" in folders or last.startswith("._") or last == ".DS_Store"


@dataclass(frozen=True)
class LegacyRun:
    """The content of one `htr.pkl`.

    Attributes:
        curves: float32 (iterations,) by kind: `loss`, `psnr`, `psnr_smooth` (dB).
        best: The published bests: `best_psnr`, `best_psnr_iteration`, and both `_smooth`.
        stopped: Why the run ended early, or empty.
        output: The last smoothed output, float32 (C, H, W).
    """

    curves: Mapping[str, np.ndarray] = field(repr=False)
    best: Mapping[str, float | int]
    stopped: str
    output: np.ndarray = field(repr=False)


def locate(path: str) -> Place | None:
    """What the file at `path` of a published tree is, or None.

    >>> locate("x/benchmark/denoising/25/lena_512/data/0_4_skip_0/htr.pkl")
    Place(role='run', task='denoising-25', image='lena_512', model='0_4_skip_0')
    >>> locate("README.md") is None
    True
    """
    for role, pattern in _PLACES.items():
        match = re.fullmatch(pattern, path)
        if match:
            found = match.groupdict()
            kind, number = found.get("kind"), found.get("number")
            try:
                task = str(parse_task(f"{kind}-{number}")) if number else kind
            except TaskError:
                return None
            return Place(role, task, found.get("image"), found.get("model"))
    return None


def read_run(data: bytes) -> LegacyRun:
    """Read an `htr.pkl`.

    Raises:
        RefusedError: It is no such pickle, its shapes disagree, or a curve is not finite.
    """
    record = read_pickle(data)
    if type(record) is not dict:
        raise RefusedError("the pickle is no dict of a run")
    names = {"loss": "loss", "psnr": "psnr_gt", "psnr_smooth": "psnr_gt_sm"}
    curves = {kind: _curve(record, name) for kind, name in names.items()}
    lengths = {len(curve) for curve in curves.values()}
    if len(lengths) != 1:
        raise RefusedError(f"its curves have unequal lengths {sorted(lengths)}")
    best = {
        "best_psnr": _number(record, "best_psnr_gt"),
        "best_psnr_iteration": _iteration(record, "best_iter", *lengths),
        "best_psnr_smooth": _number(record, "best_psnr_gt_sm"),
        "best_psnr_smooth_iteration": _iteration(record, "best_iter_sm", *lengths),
    }
    outputs = [
        _output(record, name) for name in ("best_out", "best_out_sm", "last_out", "last_out_sm")
    ]
    shapes = {output.shape for output in outputs}
    if len(shapes) != 1:
        raise RefusedError(f"its outputs have unequal shapes {sorted(shapes)}")
    return LegacyRun(curves, best, stop_reason(curves["psnr"]), outputs[-1])


def stop_reason(psnr: np.ndarray) -> str:
    """Why a published run ended where it did, or empty where it ran to its end.

    >>> stop_reason(np.array([20.0] * 600 + [16.5]))
    'output 3 dB under its best raw PSNR at iteration 600'
    >>> stop_reason(np.array([20.0] * 600))
    ''
    """
    last = len(psnr) - 1
    if last >= STOP_START and psnr[last] < psnr.max() - STOP_DROP_DB:
        return f"output {STOP_DROP_DB:g} dB under its best raw PSNR at iteration {last}"
    return ""


def _curve(record: Mapping[Any, Any], name: str) -> np.ndarray:
    values = record.get(name)
    if isinstance(values, np.ndarray) and values.ndim == 1:
        values = values.tolist()
    if type(values) is not list or not all(type(value) in (float, int) for value in values):
        raise RefusedError(f"the pickle has no list of numbers {name!r}")
    if not values:
        raise RefusedError(f"its curve {name!r} is empty")
    with np.errstate(over="ignore"):  # what is too large for a curve is infinite in it
        curve = np.array(values, np.float64).astype(np.float32)
    if not np.isfinite(curve).all():
        at = int(np.flatnonzero(~np.isfinite(curve))[0])
        raise RefusedError(f"its curve {name!r} is NaN or infinite from iteration {at} on")
    return curve


def _number(record: Mapping[Any, Any], name: str) -> float:
    value: Any = record.get(name)
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if type(value) not in (int, float) or not math.isfinite(value):
        raise RefusedError(f"the pickle has no finite number {name!r}")
    return float(value)


def _iteration(record: Mapping[Any, Any], name: str, length: int) -> int:
    value = _number(record, name)
    if not (value.is_integer() and 0 <= value < length):
        raise RefusedError(f"its {name!r} is {value:g}, outside its {length} iterations")
    return int(value)


def _output(record: Mapping[Any, Any], name: str) -> np.ndarray:
    value = record.get(name)
    if not isinstance(value, np.ndarray):
        raise RefusedError(f"the pickle has no array {name!r}")
    if value.ndim != 3 or value.shape[0] not in (1, 3) or value.dtype.kind != "f":
        raise RefusedError(
            f"its {name!r} has the shape {value.shape} of {value.dtype}; expected (C, H, W) floats "
            "with 1 or 3 channels"
        )
    if not np.isfinite(value).all():
        raise RefusedError(f"its {name!r} holds NaN or infinite values")
    return value
