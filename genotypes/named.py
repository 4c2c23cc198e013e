"""What is known of a named network: its source, how to build it, how its authors trained it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import ImageError

if TYPE_CHECKING:
    from torch import nn

Shape = tuple[int, int, int]
"""Channels, height, width."""


@dataclass(frozen=True)
class Settings:
    """How a network was trained by its authors; the fields are those of a training protocol.

    Attributes:
        iterations: number of iterations by kind of task, for the kinds that were published.
        learning_rate: of Adam.
        loss_reduction: `mean` or `sum` of the squared error.
        input_kind: uniform on [0, 1), normal, meshgrid (coordinates in [0, 1]) or drifting
            (normal, and moved by noise of `input_noise` after every step).
        input_scale: factor on z.
        input_noise: standard deviation of the noise added to z in each iteration.
        backtracking_db: earlier weights are restored after a fall of the observed PSNR by this.
        weight_noise: noise on each convolution weight in each iteration, relative to its standard
            deviation.
        ema: weight of the smoothed output.
    """

    iterations: Mapping[str, int] = field(default_factory=dict, hash=False)
    learning_rate: float = 0.01
    loss_reduction: str = "mean"
    input_kind: str = "uniform"
    input_scale: float = 0.1
    input_noise: float = 0.0
    backtracking_db: float | None = None
    weight_noise: float = 0.0
    ema: float = 0.99


def _same(height: int, width: int) -> tuple[int, int]:
    return height, width


@dataclass(frozen=True)
class NamedNetwork:
    """A network of the field.

    Attributes:
        name: as users give it.
        summary: what it is, in a line.
        source: the publication or code that it follows.
        build: from the image's (C, H, W) to the network.
        input_channels: of its input z.
        published: its authors' training settings.
        input_size: from the image's (H, W) to those of z; the same unless said.
        multiple: both sides of the image must be multiples of this.
        smallest: and at least this many pixels.
    """

    name: str
    summary: str
    source: str
    build: Callable[[Shape], nn.Module] = field(repr=False)
    input_channels: int
    published: Settings
    input_size: Callable[[int, int], tuple[int, int]] = field(default=_same, repr=False)
    multiple: int = 32
    smallest: int = 64

    def check_sides(self, image_shape: Shape) -> None:
        """See that the network can make an image of a shape, padded as a training pads it.

        Raises:
            ImageError: the image is too small.

        >>> from dipbench.genotypes.reference import REFERENCE
        >>> REFERENCE["dip-pixel-shuffle"].check_sides((3, 65, 80))
        """
        _, height, width = image_shape
        least = self.smallest - self.multiple + 1  # which padding brings to the smallest
        if min(height, width) < least:
            raise ImageError(
                f"{self.name} cannot make an image {width} pixels wide and {height} high: both "
                f"sides must have {least} pixels or more; enlarge it or choose another model"
            )

    def input_shape(self, image_shape: Shape) -> Shape:
        """The (C, H, W) of the input z for an image of the given (C, H, W).

        Raises:
            ImageError: the network cannot make images of that size.

        >>> from dipbench.genotypes.reference import REFERENCE
        >>> REFERENCE["deep-decoder"].input_shape((3, 512, 512))
        (16, 32, 32)
        """
        _, height, width = image_shape
        if height % self.multiple or width % self.multiple or min(height, width) < self.smallest:
            raise ImageError(
                f"{self.name} cannot make an image of {height} x {width} pixels: both sides must "
                f"be multiples of {self.multiple} and at least {self.smallest}; pad or resize it"
            )
        return (self.input_channels, *self.input_size(height, width))
