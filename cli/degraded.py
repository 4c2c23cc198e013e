"""What the commands that restore a picture share: their options, and how they read the picture."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..data import PACKAGED, load_image, load_observation, parse_task
from ..errors import ImageError
from ..evaluate.quality import psnr
from .output import notes

if TYPE_CHECKING:
    from ..data import Image, Observation, Task

Mask = Annotated[
    Path | None,
    typer.Option(
        help="Inpainting: white pixels are known, black ones missing. So are, with it or without, "
        "those of a degraded picture's alpha 0 or NaN."
    ),
]
Truth = Annotated[
    Path | None, typer.Option(help="A file with the ground truth; for judging alone.")
]
Output = Literal["stopped", "discrepancy", "smooth", "last", "lowest_loss"]
_OUTPUTS = (
    "stopped: where the moving variance is first lowest for long (needs no truth, and a long "
    "training); discrepancy, for denoising-SIGMA: where the output comes as near to the picture as "
    "its noise is; smooth: the moving average at the end; last; lowest_loss."
)
_BY_TASK = "discrepancy for denoising-SIGMA, else stopped"
_RETURN: dict[str, Any] = {"metavar": "<output>", "help": _OUTPUTS}
Keep = Annotated[Output | None, typer.Option("--return", show_default=_BY_TASK, **_RETURN)]
KeepOfSearch = Annotated[Output, typer.Option("--return", **_RETURN)]
Iterations = Annotated[int | None, typer.Option(min=1, help="Instead of the published ones.")]


def read_degraded(image: str | Path, task: str, mask: Path | None) -> "tuple[Observation, Task]":
    """The observation that a degraded picture is, and the task.

    A bare `inpainting` is that of the pixels which the mask file or the picture marks.

    Raises:
        DipbenchError: as `load_observation` and `parse_task` do.
    """
    from ..evaluate.restoring import task_of

    if str(image) in PACKAGED and not Path(image).exists():
        raise ImageError(
            f"no such image file: {image}; the packaged image of that name is not degraded: "
            f"`dipbench compare {image}` degrades it and restores it with models side by side"
        )
    wanted = parse_task(task, mask if task.startswith("inpainting-mask") else None)
    observation = load_observation(Path(image), wanted, mask)  # never a packaged image
    return observation, task_of(observation, task if task == "inpainting" else wanted)


def read_truth(path: Path | None) -> "Image | None":
    """The ground truth, where there is one."""
    return None if path is None else load_image(path, name="truth")


def degraded_psnr(observation: "Observation", truth: "Image | None") -> float | None:
    """The PSNR of a degraded picture itself, dB; None if it lacks pixels or has no truth."""
    if truth is None or observation.mask is not None or observation.zoom > 1:
        return None
    return psnr(observation.observed, truth.array)


def tell_missing_lpips(quality: Mapping[str, float]) -> None:
    """Say why a judged picture has no LPIPS, to those who have installed it."""
    from ..evaluate.perceptual import has_lpips, why_no_lpips

    if quality and "lpips" not in quality and has_lpips():
        notes.print(f"no LPIPS: {why_no_lpips()}")


def unfired(fired: bool | None, status: str) -> str:
    """What to say where a criterion was to end a training that ran on, or was cut short.

    >>> unfired(False, "finished"), unfired(False, "interrupted"), unfired(None, "finished")
    (' (the criterion never fired)', ' (the criterion had not fired)', '')
    """
    if fired is not False:
        return ""
    if status == "interrupted":
        return " (the criterion had not fired)"
    return " (the criterion never fired)" if status in ("finished", "stopped") else ""


ENDED_EARLY = {"interrupted": 130, "diverged": 1}
"""Exit statuses where a training ended so, and what there is of it was written."""


@contextmanager
def told_if_interrupted(remark: str) -> Iterator[None]:
    """End the command on an interrupt with a remark on what is left of its work."""
    try:
        yield
    except KeyboardInterrupt:
        notes.print(f"interrupted: {remark}")
        raise typer.Exit(130) from None
