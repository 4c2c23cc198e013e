"""What every task has: a kind, a text form, and a way to degrade an image."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..errors import ImageError, TaskError
from ..seeds import checked_seed, generator
from .images import Image
from .observation import Observation

SMALLEST_SHARE = 0.01


@dataclass(frozen=True)
class Task(ABC):
    """A degradation with its settings; `str(task)` is read back by `parse_task`."""

    kind: ClassVar[str]
    """`denoising`, `inpainting` or `sr`."""

    @abstractmethod
    def __str__(self) -> str: ...

    @abstractmethod
    def _degrade(self, image: Image, rng: np.random.Generator) -> Observation: ...

    def observe(self, image: Image, seed: int) -> Observation:
        """Degrade `image`; the draws depend on `seed`, the image's name and the task alone.

        Raises:
            ImageError: `image` is no `Image`.
            TaskError: The task does not fit the image, or `seed` is no whole number.

        >>> from dipbench.data import Denoising, load_image
        >>> camera = load_image("camera", size=64)
        >>> Denoising(25).observe(camera, seed=0) == Denoising(25).observe(camera, seed=0)
        True
        """
        if not isinstance(image, Image):
            raise ImageError(
                f"a task degrades an Image, got {type(image).__name__} {image!r:.60}: load_image "
                "makes one"
            )
        checked = checked_seed(seed, TaskError)
        return self._degrade(image, generator("observation", checked, image.name, str(self)))

    def mean_squared_noise(self, observation: Observation) -> float | None:
        """The mean squared noise in an observation, values in [0, 1]; None where it is not known.

        Only Gaussian denoising says how strong its noise is: see `clipped_mean_square`. Here what
        is told and what is there, as shares of sigma squared:

        >>> from dipbench.data import load_image, parse_task
        >>> camera = load_image("camera", size=64)
        >>> for sigma in (25, 50):
        ...     task = parse_task(f"denoising-{sigma}")
        ...     noisy = task.observe(camera, seed=0)
        ...     there = float(((noisy.observed - camera.array) ** 2).mean())
        ...     told = task.mean_squared_noise(noisy)
        ...     print(sigma, [round(noise * (255 / sigma) ** 2, 2) for noise in (told, there)])
        25 [0.92, 0.89]
        50 [0.79, 0.83]
        >>> parse_task("sr-2").mean_squared_noise(noisy) is None
        True
        """
        return None


def settle_share(task: Task, field: str, value: float) -> None:
    """`settle` of a share in [0.01, 1), whose text form is in percent.

    Raises:
        TaskError: The value is no number or out of range, as 0.5 % is where a half is meant.
    """
    number = _number(task, field, value)
    if 0 < number < SMALLEST_SHARE or number > 1:
        raise TaskError(
            f"{task.kind} needs {SMALLEST_SHARE} <= {field} < 1, got {number:g}: its text form is "
            f"in percent, as in {task.kind}-50"
        )
    settle(task, field, value, 1)
    if getattr(task, field) == 1:
        raise TaskError(f"{task.kind} with {field}=1 would hide every pixel: give less")


def settle(task: Task, field: str, value: float, limit: float) -> None:
    """Check 0 < value <= limit and round it, so that a task and its text form mean the same.

    Raises:
        TaskError: The value is no number or out of range.
    """
    rounded = round(_number(task, field, value), 6)
    if not 0 < rounded <= limit:
        raise TaskError(f"{task.kind} needs 0 < {field} <= {limit}, got {value}")
    object.__setattr__(task, field, rounded)


def _number(task: Task, field: str, value: float) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise TaskError(f"{task.kind} needs a number for {field}, got {value!r:.60}") from error


def number_text(value: float) -> str:
    """The shortest decimal text of a number with at most six decimals.

    >>> from dipbench.data.task import number_text
    >>> number_text(25.0), number_text(12.5)
    ('25', '12.5')
    """
    return f"{value:.6f}".rstrip("0").rstrip(".")
