"""Verifying curves that are kept at a stride: the summaries of their runs may only lie above."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .curves import CurvesReader
from .merging import run_sha256
from .schema import CENSORED, STOP_COLUMN, USABLE, Pair, Run, RunKey, is_summary, peak_censored
from .thinning import thinned_iterations

TOLERANCE_DB = 2e-3
"""How far a summary may lie from a curve that is rounded to 0.001 dB."""


def thinned_sha256(row: Mapping[str, Any], stored: Mapping[str, np.ndarray]) -> str:
    """The hash of a run of a compact benchmark: its key, status, curves and summaries.

    Args:
        row: of the runs table.
        stored: its curves by dataset, as they are stored.
    """
    key = RunKey.of(row)
    facts = {
        name: float(np.float32(value)).hex() if isinstance(value, float) else value
        for name, value in sorted(row.items())
        if value is not None and _is_content(name)
    }
    curves = run_sha256(Run(key, row["status"], curves=stored))
    return hashlib.sha256(f"{curves} {facts}".encode()).hexdigest()


def _is_content(name: str) -> bool:
    summary = name.removesuffix("_iteration")
    known = summary in ("length", "loss", "spikes", CENSORED)
    return known or is_summary(summary) or summary.startswith(STOP_COLUMN)


def iterations_agree(pair: Pair, curves: CurvesReader, stride: int | None) -> bool:
    """Whether a pair's curves are of the iterations that a stride keeps, of all where None."""
    if stride is None:
        return not curves.thinned(*pair)
    expected = thinned_iterations(int(curves.lengths(*pair).max(initial=0)), stride)
    return curves.thinned(*pair) and np.array_equal(curves.iterations(*pair), expected)


def check_thinned(
    pair: Pair, rows: Sequence[Mapping[str, Any]], curves: CurvesReader
) -> tuple[list[str], list[str]]:
    """Compare the runs of a pair with their thinned curves.

    Args:
        pair: image and task.
        rows: of the runs table, in the order of the curves.
        curves: of the benchmark.

    Returns:
        The hash of each run, and the names of those whose summaries cannot be of these curves.
    """
    iterations, tables = curves.iterations(*pair), curves.stored(*pair)
    hashes, wrong = [], []
    for place, row in enumerate(rows):
        kept = iterations[: curves.points(*pair, place)]
        own = {name: table[place, : len(kept)] for name, table in tables.items()}
        hashes.append(thinned_sha256(row, own))
        differs = any(_differs(row, kind, own[kind], kept) for kind in own if f"best_{kind}" in row)
        if row["status"] in USABLE and (differs or censoring_differs(row)):
            wrong.append(str(RunKey.of(row)))
    return hashes, wrong


def censoring_differs(row: Mapping[str, Any]) -> bool:
    """Whether a row says otherwise than its summaries whether its peak is censored.

    >>> row = {"best_psnr_smooth_iteration": 799, "length": 800, "peak_censored": False}
    >>> censoring_differs(row)
    True
    """
    peak = row["best_psnr_smooth_iteration"]
    if row.get(CENSORED) is None or peak is None:
        return False
    return bool(row[CENSORED] != peak_censored(peak, row["length"]))


def _differs(row: Mapping[str, Any], kind: str, curve: np.ndarray, kept: np.ndarray) -> bool:
    names = f"best_{kind}", f"best_{kind}_iteration", f"final_{kind}"
    best, at, final = (row[name] for name in names)
    if best is None or at is None or final is None or not 0 <= at < row["length"]:
        return True
    if not len(curve):
        return False
    values = dict(zip(kept.tolist(), curve.tolist(), strict=True))
    stated = {at: best, row["length"] - 1: final}
    off = [abs(values[i] - value) for i, value in stated.items() if i in values]
    return not max([float(curve.max()) - best, *off]) <= TOLERANCE_DB
