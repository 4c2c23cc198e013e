"""The curves of a report: thinned to a stride and quantised, so that the file stays small."""

from base64 import b64encode
from typing import Any

import numpy as np

from ..errors import QueryError

KINDS = ("psnr_smooth", "psnr")
STEP = 0.01
LOWEST = -200.0
MISSING = 65535
MOST_POINTS = 300
FEWEST_POINTS = 60
BUDGET = 4_500_000
"""Characters of text that all curves together may take."""
PER_POINT = 2 * 4 / 3

Models = dict[tuple[str, str], list[str]]


def curve_payload(bench: Any, ranked: Models, budget: int = BUDGET) -> dict[str, Any]:
    """The curves of the ranked models of every pair, mean over their seeds.

    Args:
        bench: A benchmark.
        ranked: Models that have a usable run, best first, by (image, task).
        budget: Characters of text to keep to.

    Returns:
        `first` and `stride` in iterations; `every`, of how many of the benchmark's own values one
        is shown; `kept` (curves kept of each pair, None for all); and by kind a list, in the order
        of `ranked`, of `[places, points, text]`: which of the pair's models, points of each curve,
        and base64 of little-endian uint16 (models, points): the PSNR in steps of 0.01 dB above
        -200 dB, 65535 where there is none.
    """
    held = sum(len(models) for models in ranked.values())
    iterations = max((_length(bench, pair, models) for pair, models in ranked.items()), default=1)
    first, spacing = _axis(bench, ranked)
    longest = max(1, -(-(iterations - first) // spacing))
    each = budget / (PER_POINT * max(held, 1))
    # A second kind is worth room that the first does not need.
    kinds = KINDS if each >= 2 * min(2 * FEWEST_POINTS, longest) else KINDS[:1]
    points, fewest = int(each / len(kinds)), min(FEWEST_POINTS, longest)
    kept = None
    if points < fewest:
        points, kept = fewest, max(2, int(budget / (PER_POINT * fewest * len(ranked))))
    every = -(-longest // min(points, MOST_POINTS))
    found: dict[str, list[Any]] = {}
    for kind in kinds:
        try:
            found[kind] = [
                _pair(bench, pair, models, kind, every, kept) for pair, models in ranked.items()
            ]
        except QueryError:
            continue
    return {
        "first": first,
        "stride": every * spacing,
        "every": every,
        "kept": kept,
        "step": STEP,
        "lowest": LOWEST,
        "missing": MISSING,
        "kinds": found,
    }


def quantise(curves: np.ndarray) -> np.ndarray:
    """PSNR in dB as uint16 steps; what is not finite or out of range is missing.

    >>> quantise(np.array([-200.0, 30.004, np.nan])).tolist()
    [0, 23000, 65535]
    """
    steps = np.round((curves.astype(np.float64) - LOWEST) / STEP)
    with np.errstate(invalid="ignore"):
        known = np.isfinite(steps) & (steps >= 0) & (steps < MISSING)
    return np.where(known, steps, MISSING).astype("<u2")


def _pair(
    bench: Any, pair: tuple[str, str], models: list[str], kind: str, every: int, kept: int | None
) -> list[Any]:
    count = len(models) if kept is None else min(kept, len(models))
    # Evenly over the ranks, so that the best, the worst and the middle are among them.
    places = np.unique(np.linspace(0, len(models) - 1, count).round().astype(int)).tolist()
    curves = [bench.curve(models[place], *pair, kind=kind)[::every] for place in places]
    width = max(map(len, curves))
    table = np.full((len(curves), width), np.nan, np.float32)
    for line, curve in zip(table, curves, strict=True):
        line[: len(curve)] = curve
    return [places, width, b64encode(quantise(table).tobytes()).decode("ascii")]


def _axis(bench: Any, ranked: Models) -> tuple[int, int]:
    """The first iteration that the benchmark's curves hold, and how far it is to the next."""
    for pair, models in ranked.items():
        at = bench.curve_iterations(models[0], *pair)
        if len(at) > 1:
            return int(at[0]), int(at[1] - at[0])
    return 0, 1


def _length(bench: Any, pair: tuple[str, str], models: list[str]) -> int:
    frame = bench.to_frame()
    mine = (frame["image"] == pair[0]) & (frame["task"] == pair[1]) & frame["model"].isin(models)
    return int(frame.loc[mine, "length"].max())
