"""The selection by averaging against the figures of the authors' code."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dipbench.data import load_image, parse_task
from dipbench.errors import ScoreError
from dipbench.evaluate.selecting import (
    nearest_to_average,
    nearest_to_noise,
    selection_weights,
    weighted_average,
)

# Five toy outputs, their scores, the average and the selection of the authors' code.
FIGURES = json.loads((Path(__file__).parents[1] / "reference" / "selection.json").read_text())
NAMES = list(FIGURES["outputs"])
OUTPUTS = [np.array(FIGURES["outputs"][name]) for name in NAMES]
VALUES = [FIGURES["scores"][name] for name in NAMES]


def test_average_and_selection_of_the_authors_code():
    assert weighted_average(OUTPUTS, VALUES) == pytest.approx(np.array(FIGURES["average"]))
    index, distances = nearest_to_average(OUTPUTS, VALUES)
    assert NAMES[index] == FIGURES["selected"]
    assert distances.argmin() == index


def test_a_score_whose_high_end_is_good_is_turned():
    index, _ = nearest_to_average(OUTPUTS, [-value for value in VALUES], lower_is_better=False)
    assert NAMES[index] == FIGURES["selected"]


def test_equal_scores_weigh_equally():
    assert selection_weights([2.0, 2.0]).tolist() == [1.0, 1.0]
    assert nearest_to_average([np.zeros(3)], [5.0])[0] == 0


def test_neither_a_slow_output_nor_one_of_fitted_noise_is_nearest_to_the_noise():
    generator = np.random.default_rng(0)
    truth = generator.random((1, 64, 64))
    noise = generator.normal(0, 25 / 255, truth.shape)
    slow = truth + generator.normal(0, 0.1, truth.shape)
    outputs = [slow, truth + 0.9 * noise, truth + 0.1 * noise]
    index, discrepancies = nearest_to_noise(outputs, truth + noise, (25 / 255) ** 2)
    assert index == 2
    assert (discrepancies >= 0).all()


def test_the_picture_itself_is_nearer_to_clipped_noise_than_a_blurred_one():
    picture, task = load_image("camera", size=64), parse_task("denoising-50")
    noisy = task.observe(picture, 0)
    outputs = [gaussian_filter(picture.array, (0, 1.2, 1.2)), picture.array]
    told = task.mean_squared_noise(noisy)
    assert nearest_to_noise(outputs, noisy.observed, told)[0] == 1
    assert nearest_to_noise(outputs, noisy.observed, (50 / 255) ** 2)[0] == 0


@pytest.mark.parametrize("scores", [[], [np.nan, 1.0], [1.0]])
def test_scores_must_be_there_and_finite(scores):
    with pytest.raises(ScoreError):
        weighted_average([np.zeros(2), np.ones(2)], scores)


def test_outputs_of_several_shapes_are_not_averaged():
    with pytest.raises(ScoreError, match=r"shapes differ: \(2,\), \(3,\)"):
        nearest_to_average([np.zeros(2), np.ones(3)], [0.0, 1.0])


def test_levels_of_eight_bits_do_not_wrap_round():
    outputs = [np.full(4, 10, np.uint8), np.full(4, 30, np.uint8)]
    assert nearest_to_noise(outputs, np.full(4, 20, np.uint8), 100.0)[1].tolist() == [0, 0]


@pytest.mark.parametrize("outputs", [[], [np.zeros((3, 4, 4))], [np.zeros(4), np.zeros(5)]])
def test_outputs_must_be_there_and_of_one_shape(outputs):
    with pytest.raises(ScoreError, match=r"no outputs|shapes differ"):
        nearest_to_noise(outputs, np.zeros((1, 4, 4)), 0.01)
