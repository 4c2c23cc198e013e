"""The frames of a training: spread over it, and no more than are promised."""

from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest

from dipbench.data import Observation
from dipbench.evaluate.animation import MOST_FRAMES, Frames
from dipbench.evaluate.fitting import CHUNK


@pytest.mark.parametrize("iterations", [10, 1000, 2000, 3000, 4000, 5001])
def test_there_are_at_most_so_many_frames_with_the_first_and_the_last(iterations, tmp_path):
    pictures = iter(np.random.default_rng(0).random((600, 1, 8, 8), np.float32))  # no two alike
    tracker = SimpleNamespace(last=lambda: next(pictures))
    frames = Frames(Observation(np.zeros((1, 8, 8), np.float32)), iterations)
    for done in range(CHUNK, iterations + 1, CHUNK):
        frames.take(done, SimpleNamespace(tracker=tracker))
    frames.write(tmp_path / "a.gif", np.ones((1, 8, 8), np.float32))
    with PIL.Image.open(tmp_path / "a.gif") as gif:
        assert min(MOST_FRAMES // 2, iterations // CHUNK + 2) <= gif.n_frames <= MOST_FRAMES
