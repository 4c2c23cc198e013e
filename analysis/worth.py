"""What a run is worth: a stored summary, an iteration, or where a criterion would have stopped."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..benchmark.schema import FURTHER_SUMMARY, SUMMARIES, USABLE, is_summary
from ..errors import QueryError, unknown
from ..evaluate.stopping import STOPPING
from ..scalars import is_integer
from .association import Floats

UNKNOWN_SEED = -1
STOP = "stop:"
MIXED_SEEDS = (
    "runs of unknown seeds stand beside runs of known ones, and curves cannot be asked for by an "
    "unknown seed: judge by a summary that is stored, such as best_psnr_smooth"
)
WORDS = {
    "best_psnr_smooth": "best smoothed PSNR (dB)",
    "best_psnr": "best PSNR (dB)",
    "final_psnr_smooth": "final smoothed PSNR (dB)",
    "final_psnr": "final PSNR (dB)",
}


def check_summary(by: str | int) -> None:
    """Accept a stored summary, an iteration of the smoothed curve, or a stopping criterion.

    Stored summaries are those of `Benchmark.best`, of further moving averages too.
    `stop:variance_scaled` is the smoothed PSNR of the output that this criterion of
    `dipbench.evaluate.stopping` keeps, the last one where it never fires.

    Raises:
        QueryError: `by` is none of these.

    >>> check_summary("stop:variance_scaled")
    """
    known = [*SUMMARIES, FURTHER_SUMMARY, *(STOP + name for name in STOPPING)]
    if by not in known and not is_summary(by) and (not is_integer(by) or int(by) < 0):
        raise QueryError(unknown("summary", by, [*known, "an iteration"]))


def summary_words(by: str | int) -> str:
    """A summary as the label of an axis.

    >>> summary_words("best_psnr"), summary_words(300)
    ('best PSNR (dB)', 'smoothed PSNR at iteration 300 (dB)')
    >>> summary_words("best_psnr_smooth_0.99")
    'best PSNR smoothed with 0.99 (dB)'
    """
    if not isinstance(by, str):
        return f"smoothed PSNR at iteration {by} (dB)"
    if by.startswith(STOP):
        return f"smoothed PSNR where {by.removeprefix(STOP)} stops (dB)"
    if by in WORDS:
        return WORDS[by]
    when, _, weight = by.partition("_psnr_smooth_")
    return f"{when} PSNR smoothed with {weight} (dB)"


def summary_name(by: str | int) -> str:
    """A summary within a sentence.

    >>> summary_name("best_psnr_smooth")
    'best smoothed PSNR'
    """
    return summary_words(by).removesuffix(" (dB)")


def query_arguments(by: str | int) -> dict[str, Any]:
    """A summary as an argument of the benchmark's queries.

    >>> query_arguments("best_psnr"), query_arguments("stop:variance")
    ({'by': 'best_psnr'}, {'stopping': 'variance'})
    """
    if isinstance(by, str) and by.startswith(STOP):
        return {"stopping": by.removeprefix(STOP)}
    return {"by": by}


def psnr_by_seed(
    bench: Any, image: str, task: str, by: str | int, runs: pd.DataFrame, models: list[str]
) -> tuple[tuple[int | None, ...], Floats, NDArray[np.bool_]]:
    """The shared seeds, and (models, seeds) dB: NaN where a run is missing or unusable.

    Returns:
        Both, and (models, seeds) which runs a rule has stopped before they had such a value:
        without them the others are no fair sample. A final value is one unless the rule knows the
        truth.

    Raises:
        QueryError: No run of a seed has a value, or seeds cannot be told apart.
    """
    runs = on_shared_seeds(runs)
    seeds = sorted(int(seed) for seed in runs["seed"].unique())
    runs = runs[runs["status"].isin(USABLE)]
    known = tuple(None if seed == UNKNOWN_SEED else seed for seed in seeds)
    if by in runs.columns:
        psnr = wide(runs.assign(value=runs[by]), models, "seed", "value", seeds)
    else:
        if None in known and len(known) > 1:
            raise QueryError(MIXED_SEEDS)
        psnr = np.full((len(models), len(known)), np.nan)
        for column, seed in enumerate(known):
            mine = runs[runs["seed"] == seeds[column]]
            if len(mine) and (isinstance(by, str) or by < mine["length"].max()):
                psnr[:, column] = _replayed(bench, image, task, seed, by, models)
    untold = np.zeros(psnr.shape, np.bool_)
    # Those that still ran at an iteration tell nothing of the others, whatever rule ended them.
    if (bench.protocol.stops_by_truth or is_integer(by)) and not str(by).startswith("best"):
        cut = wide(runs.assign(cut=runs["status"] == "stopped"), models, "seed", "cut", seeds) == 1
        untold = cut if str(by).startswith("final") else cut & np.isnan(psnr)
    return known, psnr, untold


def on_shared_seeds(runs: pd.DataFrame) -> pd.DataFrame:
    """Those of one image and task whose seed every model has that has any, as in `bench.best`.

    An unknown seed is one and the same seed, `UNKNOWN_SEED`: of it a model has one run.
    """
    runs = runs.assign(seed=runs["seed"].astype("Int64").fillna(UNKNOWN_SEED))
    models = runs.groupby("seed")["model"].nunique()
    return runs[runs["seed"].isin(models.index[models == runs["model"].nunique()])]


def _replayed(
    bench: Any, image: str, task: str, seed: int | None, by: str | int, models: list[str]
) -> Floats:
    """(models,) dB of the runs of one seed, from their curves; NaN where there is no value."""
    found = bench.query_many(None, image, task, seed=seed, **query_arguments(by)).set_index(
        "model"
    )["psnr"]
    return np.asarray(found.reindex(models).to_numpy(np.float64))


def wide(
    rows: pd.DataFrame, models: list[str], column: str, values: str, columns: list[int]
) -> Floats:
    """(models, columns) of finite numbers or NaN."""
    table = rows.pivot(index="model", columns=column, values=values)
    array = table.reindex(index=models, columns=columns).to_numpy(np.float64, na_value=np.nan)
    return np.where(np.isfinite(array), array, np.nan)
