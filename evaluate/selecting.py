"""Which of several trained candidates to select without the truth.

As published (Arican et al., "ISNAS-DIP", CVPR 2022): outputs are averaged with weights that grow
as the training-free score gets better, and the model nearest to that average is chosen. Where the
noise is known, the discrepancy principle (Morozov, Soviet Math. Dokl. 7, 1966) is another way: the
model whose output differs from the observation by as much as the noise does. A third way, this
project's, takes of those that come so near the one whose output still varies most.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ScoreError


def selection_weights(scores: ArrayLike, lower_is_better: bool = True) -> NDArray[np.float64]:
    """(max score - score) / (max score - min score): 1 for the best, 0 for the worst.

    All are 1 where the scores are equal.

    Raises:
        ScoreError: There is no score, or one is not finite.

    >>> from dipbench.evaluate.selecting import selection_weights
    >>> selection_weights([3.0, 1.0, 2.0]).tolist()
    [0.0, 1.0, 0.5]
    """
    values = np.asarray(scores, np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise ScoreError("weights need one finite score for each candidate")
    values = values if lower_is_better else -values
    spread = values.max() - values.min()
    return (values.max() - values) / spread if spread else np.ones_like(values)


def weighted_average(
    outputs: Sequence[np.ndarray], scores: ArrayLike, lower_is_better: bool = True
) -> NDArray[np.float64]:
    """The average of outputs of one shape with `selection_weights`.

    >>> import numpy as np
    >>> from dipbench.evaluate.selecting import weighted_average
    >>> weighted_average([np.zeros(2), np.ones(2), np.ones(2)], [0.0, 2.0, 1.0]).round(3).tolist()
    [0.333, 0.333]
    """
    weights = selection_weights(scores, lower_is_better)
    if len(outputs) != len(weights):
        raise ScoreError(f"{len(outputs)} outputs and {len(weights)} scores: give one each")
    _check_shapes(outputs)
    total = sum(
        weight * output.astype(np.float64) for weight, output in zip(weights, outputs, strict=True)
    )
    return np.asarray(total / weights.sum())


def nearest_to_average(
    outputs: Sequence[np.ndarray], scores: ArrayLike, lower_is_better: bool = True
) -> tuple[int, NDArray[np.float64]]:
    """The index of the output nearest to the weighted average, and all mean squared distances.

    Of equal distances the first is taken.

    Raises:
        ScoreError: there is no output, they have several shapes, or not as many scores.

    >>> import numpy as np
    >>> from dipbench.evaluate.selecting import nearest_to_average
    >>> nearest_to_average([np.zeros(2), np.ones(2), np.ones(2)], [2.0, 1.0, 0.0])[0]
    1
    """
    average = weighted_average(outputs, scores, lower_is_better)
    distances = _mean_squares(outputs, average)
    return int(distances.argmin()), distances


def nearest_to_noise(
    outputs: Sequence[np.ndarray], observed: np.ndarray, noise: float
) -> tuple[int, NDArray[np.float64]]:
    """The index of the output whose discrepancy is smallest, and all discrepancies.

    The discrepancy is |mean((output - observed)^2) - noise|: an output that has not
    reached the picture differs from the observation by more than the noise, one that has fitted
    the noise by less. Of equal ones the first is taken.

    Args:
        outputs: of the candidates, each of the observation's shape.
        observed: the noisy picture, (C, H, W) in [0, 1].
        noise: the mean squared noise in it, as `Task.mean_squared_noise` tells it.

    Raises:
        ScoreError: there is no output, or one has another shape than the observation.

    >>> import numpy as np
    >>> from dipbench.evaluate.selecting import nearest_to_noise
    >>> outputs = [np.full(4, 0.5), np.full(4, 0.1), np.zeros(4)]
    >>> nearest_to_noise(outputs, np.zeros(4), noise=0.01)[0]
    1
    """
    errors = _mean_squares(outputs, observed)
    discrepancies = np.abs(errors - noise)
    return int(discrepancies.argmin()), discrepancies


def _mean_squares(outputs: Sequence[np.ndarray], other: np.ndarray) -> NDArray[np.float64]:
    """The mean squared distance of each output from another array of its shape.

    Raises:
        ScoreError: there is no output, or one has another shape.
    """
    if not len(outputs):
        raise ScoreError("no outputs to select from: give one or more")
    _check_shapes([*outputs, other])
    whole = np.asarray(other, np.float64)
    squares = [(np.asarray(output, np.float64) - whole) ** 2 for output in outputs]
    return np.array([float(square.mean()) for square in squares])


def _check_shapes(arrays: Sequence[np.ndarray]) -> None:
    shapes = {np.shape(array) for array in arrays}
    if len(shapes) > 1:
        raise ScoreError(f"shapes differ: {', '.join(map(str, sorted(shapes)))}; give one")
