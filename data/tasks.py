"""Denoising, super-resolution, and the text form of every task."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import TaskError, unknown
from .images import Image
from .inpainting import HoleInpainting, Inpainting, MaskInpainting, TextInpainting
from .masks import load_mask
from .noise import clipped_mean_square
from .observation import Observation
from .resampling import lanczos_resize
from .task import Task, number_text, settle

ZOOMS = (2, 3, 4, 8)
"""The factors of super-resolution."""

FORMS = {
    "denoising-25": "Gaussian noise of deviation 25 on the 0-255 scale, clipped to black and white",
    "denoising-poisson-30": "photon noise, of 30 photons where the image is white, clipped",
    "inpainting-50": "50 % of the pixels missing, each drawn by itself",
    "inpainting-hole-25": "a centred hole of 25 % of the height and of the width",
    "inpainting-text": "lines of random letters over the image",
    "inpainting-mask": "the pixels missing that a mask marks; of one picture, so in no benchmark",
    "sr-4": "an image 4 times smaller in height and width, by Pillow's LANCZOS",
}
"""One text form of each kind of task, and what it does to an image."""


@dataclass(frozen=True)
class Denoising(Task):
    """Gaussian noise of deviation `sigma` on the 0–255 scale, clipped to [0, 1]: `denoising-25`.

    >>> from dipbench.data import Denoising
    >>> str(Denoising(sigma=12.5))
    'denoising-12.5'
    """

    sigma: float = 25
    kind = "denoising"

    def __post_init__(self) -> None:
        settle(self, "sigma", self.sigma, 255)

    def __str__(self) -> str:
        return f"denoising-{number_text(self.sigma)}"

    def _degrade(self, image: Image, rng: np.random.Generator) -> Observation:
        noise = rng.standard_normal(image.shape, dtype=np.float32)
        return Observation((image.array + np.float32(self.sigma / 255) * noise).clip(0, 1))

    def mean_squared_noise(self, observation: Observation) -> float | None:
        """See `Task.mean_squared_noise`."""
        return clipped_mean_square(observation.observed, self.sigma)


@dataclass(frozen=True)
class PoissonDenoising(Task):
    """Photon noise: `peak` photons where the image is 1, clipped to [0, 1]: `denoising-poisson-30`.

    >>> from dipbench.data import PoissonDenoising
    >>> str(PoissonDenoising(peak=30))
    'denoising-poisson-30'
    """

    peak: float = 30
    kind = "denoising"

    def __post_init__(self) -> None:
        settle(self, "peak", self.peak, 65535)

    def __str__(self) -> str:
        return f"denoising-poisson-{number_text(self.peak)}"

    def _degrade(self, image: Image, rng: np.random.Generator) -> Observation:
        photons = rng.poisson(self.peak * image.array.astype(np.float64))
        return Observation((photons / self.peak).clip(0, 1))


@dataclass(frozen=True)
class SuperResolution(Task):
    """An image `zoom` times smaller, made with Pillow's LANCZOS resize: `sr-4`.

    The operator that a restoration is compared through is `lanczos_downsample`, which differs a
    little from that resize, as in the published system.

    >>> from dipbench.data import SuperResolution
    >>> str(SuperResolution(zoom=4))
    'sr-4'
    """

    zoom: int = 4
    kind = "sr"

    def __post_init__(self) -> None:
        if self.zoom not in ZOOMS:
            given = str(self.zoom).removesuffix(".0")
            raise TaskError(unknown("super-resolution factor", given, ZOOMS))
        object.__setattr__(self, "zoom", int(self.zoom))

    def __str__(self) -> str:
        return f"sr-{self.zoom}"

    def _degrade(self, image: Image, rng: np.random.Generator) -> Observation:
        height, width = image.height, image.width
        if height % self.zoom or width % self.zoom:
            raise TaskError(
                f"{self} needs sides that are multiples of {self.zoom}; {image.name} is {width} "
                f"pixels wide and {height} high: crop it or load it with a fitting size"
            )
        small = lanczos_resize(image.array, height // self.zoom, width // self.zoom)
        return Observation(small.clip(0, 1), zoom=self.zoom)


def zoom_of(task: Task) -> int:
    """How many times larger than its observation a task's image is.

    >>> zoom_of(SuperResolution(4)), zoom_of(Denoising(25))
    (4, 1)
    """
    return task.zoom if isinstance(task, SuperResolution) else 1


def check_observed(observation: Observation, task: Task) -> None:
    """Refuse an observation that cannot be of a task.

    Raises:
        TaskError: the task is of another kind or zoom.

    >>> check_observed(Observation(np.zeros((1, 64, 64))), Denoising(25))
    """
    masked = observation.mask is not None
    if (task.kind == "inpainting") != masked or zoom_of(task) != observation.zoom:
        found = "lacks pixels" if masked else "has all pixels"
        raise TaskError(
            f"the observation is not of {task}: it {found} and is to be enlarged by "
            f"{observation.zoom}; give the task that it was made by"
        )


def parse_task(task: str | Task, mask: str | Path | np.ndarray | None = None) -> Task:
    """Read a task's text form; a bare `denoising`, `inpainting` or `sr` is that task's default.

    Args:
        task: A text form, or a task, which is given back.
        mask: For `inpainting-mask`, `inpainting-mask-<8 digits>` and `MaskInpainting` alone: what
            `load_mask` reads.

    Raises:
        TaskError: `task` is no text or names no task, its number is out of range, a mask is
            missing, not that of the digits in the text or of the task, or given to a task that
            takes none.

    >>> from dipbench.data import parse_task
    >>> parse_task("inpainting-50")
    Inpainting(missing=0.5)
    >>> str(parse_task("denoising"))
    'denoising-25'
    """
    if not isinstance(task, str | Task):
        raise TaskError(
            f"cannot read a task from {type(task).__name__} {task!r:.60}: give a text form, as "
            "denoising-25, or a task"
        )
    text = str(task).strip()
    if re.fullmatch(_MASK_FORM, text) and not (mask is None and isinstance(task, Task)):
        return _with_mask(text, mask)
    if mask is not None:
        raise TaskError(f"{task} takes no mask; write inpainting-mask to inpaint by a given one")
    if isinstance(task, Task):
        return task
    for form, make in _FORMS.items():
        match = re.fullmatch(form, text)
        if match:
            number = match["number"] if "number" in match.re.groupindex else None
            return make() if number is None else make(float(number))
    raise TaskError(unknown("task", task, FORMS))


_NUMBER = r"(?P<number>[0-9]+(?:\.[0-9]+)?)"
_MASK_FORM = "inpainting-mask(?:-(?P<digits>[0-9a-f]{8}))?"
_FORMS: dict[str, Callable[..., Task]] = {
    f"denoising(?:-{_NUMBER})?": Denoising,
    f"denoising-poisson(?:-{_NUMBER})?": PoissonDenoising,
    f"inpainting(?:-{_NUMBER})?": lambda percent=50: Inpainting(percent / 100),
    f"inpainting-hole(?:-{_NUMBER})?": lambda percent=25: HoleInpainting(percent / 100),
    "inpainting-text": TextInpainting,
    f"sr(?:-{_NUMBER})?": SuperResolution,
}
"""Each text form as a pattern, and what makes the task of its number."""


def _with_mask(text: str, source: str | Path | np.ndarray | None) -> MaskInpainting:
    if source is None:
        raise TaskError(f"{text} needs its mask: --mask FILE, in Python mask= (a file or an array)")
    task = MaskInpainting(load_mask(source))
    if text not in ("inpainting-mask", str(task)):
        raise TaskError(f"the mask given is that of {task}, not of {text}")
    return task
