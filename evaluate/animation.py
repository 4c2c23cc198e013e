"""A training as an animated GIF: the observation, then the outputs as they get better."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..data import Observation
from ..data.imagefiles import pixels
from ..errors import ImageError
from ..files import published

if TYPE_CHECKING:
    from .fitting import Training

MOST_FRAMES = 100
"""With the observation before the outputs, and the kept picture after them."""
FRAME_MS = (80, 500)
"""The shortest and the longest time of a frame; the training takes `TRAINING_MS` between them."""
TRAINING_MS = 5000
FIRST_MS, LAST_MS = 800, 2000


class Frames:
    """Collects outputs of a training; give `take` as its `progress`.

    Args:
        observation: what is restored; its picture is the first frame.
        iterations: of the training; frames are spread over them, at most 100.

    >>> import numpy as np
    >>> from dipbench.data import Observation
    >>> from dipbench.evaluate.animation import Frames
    >>> len(Frames(Observation(np.zeros((1, 64, 64))), iterations=100).pictures)
    1
    """

    def __init__(self, observation: Observation, iterations: int) -> None:
        self.pictures = [_enlarged(observation)]
        self._every = max(1, math.ceil(iterations / (MOST_FRAMES - 2)))
        self._next = 0

    def take(self, done: int, training: "Training") -> None:
        """Keep the last output, where enough iterations have passed since the one before."""
        if done >= self._next:
            # Of a training that diverges the last one holds no numbers.
            self.pictures.append(pixels(np.nan_to_num(training.tracker.last())))
            self._next = done + self._every

    def write(self, path: Path | str, last: np.ndarray) -> None:
        """Write the GIF; a reader sees the whole file or none.

        Args:
            path: `.gif`.
            last: the picture that was kept, (C, H, W) in [0, 1], shown longer.

        Raises:
            ImageError: the path cannot be written.
        """
        import PIL.Image

        pictures = [*self.pictures, pixels(last)]
        images = [PIL.Image.fromarray(levels) for levels in pictures]
        each = int(np.clip(TRAINING_MS / len(images), *FRAME_MS))
        durations = [FIRST_MS, *[each] * (len(images) - 2), LAST_MS]
        with published(path, ImageError) as temporary:
            images[0].save(
                temporary,
                format="GIF",
                save_all=True,
                append_images=images[1:],
                duration=durations,
                loop=0,
            )


def _enlarged(observation: Observation) -> np.ndarray:
    zoom = observation.zoom
    return pixels(observation.observed.repeat(zoom, axis=1).repeat(zoom, axis=2))
