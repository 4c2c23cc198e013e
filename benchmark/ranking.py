"""Ranking the models of one (image, task): by which summary, over which seeds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import TYPE_CHECKING

import numpy as np

from ..errors import QueryError, listed
from ..evaluate.protocol import Protocol
from .curves import CurvesReader
from .question import Question
from .runs import PairRuns, Runs
from .schema import Pair
from .values import run_values

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Result:
    """How good a model is on one (image, task).

    Attributes:
        model: its text form.
        image: the image's name.
        task: the task's text form.
        psnr: dB, mean over the seeds of what was asked for.
        psnr_std: dB, its sample standard deviation over the seeds; None for a single one.
        n: number of seeds.
        seeds: the seeds; None stands for a published run, whose seed is not known.
        iteration: the median (the lower of two) of the iterations where that PSNR was reached.
    """

    model: str
    image: str
    task: str
    psnr: float
    psnr_std: float | None
    n: int
    seeds: tuple[int | None, ...]
    iteration: int


@dataclass(frozen=True)
class Ranking:
    """The models of a pair under one question; axes are (models, seeds).

    Attributes:
        pair: image and task.
        order: indices of the models with a usable run, best first; ties in the models' order.
        place: (models,) position in `order`, -1 for models without a usable run.
        means: (models,) dB, mean over seeds, NaN without a usable run.
        values: (models, seeds) dB, NaN where a run is missing or unusable.
        iterations: (models, seeds) where the values were reached.
        seeds: of the second axis.
        left_out: how many usable runs of these seeds have no value, by reason.
    """

    pair: Pair
    order: np.ndarray
    place: np.ndarray
    means: np.ndarray
    values: np.ndarray
    iterations: np.ndarray
    seeds: tuple[int | None, ...]
    left_out: dict[str, int]

    def frame(self, names: Sequence[str], indices: np.ndarray) -> "pd.DataFrame":
        """A row for each of the models at `indices`, -1 for none; missing without a usable run."""
        import pandas as pd

        values = np.where(indices[:, None] < 0, np.nan, self.values[indices])
        used = ~np.isnan(values)
        counts = used.sum(axis=1)
        held = counts > 0
        means = np.where(held, self.means[indices], np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            squares = np.where(used, (values - means[:, None]) ** 2, 0).sum(axis=1)
            spread = np.where(counts > 1, np.sqrt(squares / (counts - 1)), np.nan)
        # The lower median of the used ones: unused iterations are sorted behind them.
        late = np.iinfo(np.int64).max
        iterations = np.sort(np.where(used, self.iterations[indices], late), axis=1)
        middle = iterations[np.arange(len(indices)), np.maximum(counts - 1, 0) // 2]
        return pd.DataFrame(
            {
                "model": list(names),
                "psnr": means,
                "psnr_std": spread,
                "n": counts,
                "iteration": pd.arrays.IntegerArray(np.where(held, middle, 0), ~held),
                "rank": pd.arrays.IntegerArray(self.place[indices] + 1, ~held),
                "regret": self.means[self.order[0]] - means,
            }
        )

    def result(self, model: str, index: int) -> Result:
        """The result of the model at `index`, which must have a usable run."""
        values = self.values[index].tolist()
        used = [column for column, value in enumerate(values) if value == value]
        mean = float(self.means[index])
        squares = sum((values[column] - mean) ** 2 for column in used)
        iterations = self.iterations[index].tolist()
        return Result(
            model=model,
            image=self.pair[0],
            task=self.pair[1],
            psnr=mean,
            psnr_std=(squares / (len(used) - 1)) ** 0.5 if len(used) > 1 else None,
            n=len(used),
            seeds=tuple(self.seeds[column] for column in used),
            iteration=median_low([iterations[column] for column in used]),
        )


def rank(
    runs: Runs,
    curves: CurvesReader,
    pair: Pair,
    question: Question,
    noise: Callable[[Pair], float | None],
    protocol: Protocol,
) -> Ranking:
    """Rank the models of a pair.

    Args:
        runs: of the benchmark.
        curves: read only where the runs' summaries do not answer.
        pair: image and task.
        question: checked; of its `seed`, None takes the mean over the seeds that all models share.
        noise: see `run_values`.
        protocol: of the benchmark.

    Raises:
        QueryError: if no run answers the question.
    """
    found = runs.pair(*pair)
    columns = shared_seeds(found) if question.seed is None else [found.seed_index(question.seed)]
    rows = found.rows[:, columns]
    asked = rows[rows >= 0]
    concerned = np.zeros(found.span.stop - found.span.start, bool)
    concerned[asked] = True
    if not runs.usable[found.span][asked].any():
        raise QueryError(f"no usable run on {pair[0]}, {pair[1]}: all diverged or failed")
    answers = run_values(runs, curves, pair, question, concerned, noise, protocol)
    values = np.where(rows >= 0, answers.psnr[rows], np.nan)
    counts = (~np.isnan(values)).sum(axis=1)
    held = np.flatnonzero(counts)
    left_out = {reason: int(which[asked].sum()) for reason, which in answers.left_out.items()}
    if not len(held):
        reasons = ", ".join(f"{reason}: {n}" for reason, n in left_out.items() if n)
        where = (
            "; a model counts if all its runs fulfil `where` (of one seed: --seed, in Python seed=)"
            if left_out.get("where")
            else ""
        )
        raise QueryError(
            f"no usable run on {pair[0]}, {pair[1]} answers that (left out: {reasons}): choose "
            f"another limit, iteration or criterion{where}"
        )
    means = np.full(len(values), np.nan)
    means[held] = np.nansum(values[held], axis=1) / counts[held]
    order = held[np.argsort(-means[held], kind="stable")]
    place = np.full(len(values), -1)
    place[order] = np.arange(len(order))
    seeds = tuple(found.seeds[column] for column in columns)
    iterations = answers.iterations[rows]
    return Ranking(pair, order, place, means, values, iterations, seeds, left_out)


def shared_seeds(pair: PairRuns) -> list[int]:
    """Columns of the seeds that every model with any record has a record of."""
    recorded = pair.rows >= 0
    shared = recorded[recorded.any(axis=1)].all(axis=0)
    if not shared.any():
        known = [str(seed) for seed in pair.seeds if seed is not None]
        remedy = f", or ask for one seed: {listed(known)}" if known else ""
        raise QueryError(f"the models share no seed: train the missing runs{remedy}")
    return np.flatnonzero(shared).tolist()
