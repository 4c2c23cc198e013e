"""Which lengths of training can be asked of every configuration, where runs do not end together."""

from collections.abc import Mapping

import numpy as np

from ...errors import QueryError


def common_lengths(
    reached: Mapping[str, np.ndarray], count: int
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Lengths that nine in ten models reach, up to the longest such, and the models that do.

    A rule that has looked at the truth ends runs at very different lengths, so that few models
    reach the longest of all.

    Args:
        reached: by model the lengths that its curve tells of, int (points,), ascending; a shorter
            one is the beginning of a longer one.
        count: how many lengths, equally spaced among those.

    Returns:
        The places of the lengths in the curves, int (lengths,), fewer than `count` where the curves
        tell of fewer; the models that have them all.

    Raises:
        QueryError: the count is under 1, or there is no model or no length.

    >>> long, short = np.arange(1, 91), np.arange(1, 31)
    >>> places, models = common_lengths({"a": long, "b": long, "c": short}, 3)
    >>> short[places].tolist(), models
    ([10, 20, 30], ('a', 'b', 'c'))
    """
    if count < 1:
        raise QueryError(f"{count} lengths of training cannot be asked for: give 1 or more")
    points = sorted(map(len, reached.values()))
    common = points[len(points) // 10] if points else 0
    if not common:
        raise QueryError("too few models have curves with recorded seconds: nothing to simulate")
    models = tuple(model for model, lengths in reached.items() if len(lengths) >= common)
    lengths = reached[models[0]][:common]
    wanted = np.linspace(0, int(lengths[-1]), count + 1)[1:].round()
    return np.unique(np.minimum(lengths.searchsorted(wanted), common - 1)), models
