"""From a benchmark's frames to arrays: the scores and PSNRs of the models of an image and task."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..benchmark.names import find_task, unknown_score
from ..benchmark.scorefiles import names_by_way
from ..errors import QueryError, unknown
from ..evaluate.registry import canonical
from ..genotypes import Genotype
from ..scalars import is_integer
from ..seeds import checked_seed, generator, stable_seed
from .association import Floats
from .resampling import MINIMUM_GROUPS, group_weights
from .worth import STOP, UNKNOWN_SEED, check_summary, psnr_by_seed, summary_name, wide

SCORE_COLUMNS = ("model", "image", "task", "score", "initialisation", "value", "how")


class Withheld(NamedTuple):
    """The PSNRs of a cell some of whose runs a stop rule has ended too early for them.

    Attributes:
        seeds: as a cell's.
        psnr: as a cell's.
        untold: (models, seeds) whether the run ended before it had such a PSNR.
    """

    seeds: tuple[int | None, ...]
    psnr: Floats
    untold: NDArray[np.bool_]

    def of(self, kept: NDArray[np.bool_]) -> "Withheld":
        """Those of some of the models, (models,)."""
        return Withheld(self.seeds, self.psnr[kept], self.untold[kept])

    def reason(self, by: str | int) -> str:
        """Why they are withheld; empty where all runs have one."""
        if not self.untold.any():
            return ""
        runs = (np.isfinite(self.psnr) | self.untold).sum()
        return (
            f"{self.untold.sum()} of the {runs} runs were stopped by the protocol's rule before "
            f"a {summary_name(by)} was known, and the others are no fair sample: judge by a best "
            f"PSNR, such as best_psnr_smooth{_without_them(by)}"
        )


def _without_them(by: str | int) -> str:
    """How a stopping criterion is judged on the models that it can be judged on."""
    if not str(by).startswith(STOP):
        return ""
    without = f"'stop_{str(by).removeprefix(STOP)} > 0'"
    return f", or leave those models out: --where {without}, in Python where={without}"


@dataclass(frozen=True, eq=False)
class Cell:
    """What a benchmark knows of one (image, task); NaN is missing, models in genotype order.

    Attributes:
        image: Its name.
        task: Its text form.
        by: The summary of a run that `psnr` holds.
        models: Text forms of all models that have a run or a score here.
        groups: (models,) upsample codes; a named network is a group of its own, negative.
        primitives: (models,) kinds of upsampling; a named network is of a kind of its own.
        seeds: The seeds that all models share, none while a build is under way; None is an
            unknown one.
        psnr: (models, seeds) dB, NaN where a run is missing, diverged or failed.
        scores: Score name to (models, initialisations) values; `name:table` and `name:search`
            where the benchmark holds a score of outputs made in both ways.
        reason: Why nothing is known of the PSNR; empty where something is.
        withheld: What would be known of it, where the reason is that some runs ended too early.
    """

    image: str
    task: str
    by: str | int
    models: tuple[str, ...]
    groups: NDArray[np.int64]
    primitives: NDArray[np.str_]
    seeds: tuple[int | None, ...]
    psnr: Floats
    scores: dict[str, Floats]
    reason: str = ""
    withheld: Withheld | None = None

    @property
    def truth(self) -> Floats:
        """(models,) dB: the mean over the usable runs of `seeds`, as in `bench.query`."""
        return finite_mean(self.psnr)

    def score(self, name: str) -> Floats:
        """(models,) values: the mean over the initialisations that gave a finite number.

        Raises:
            QueryError: The benchmark holds no such score here.
        """
        key = canonical(name)
        if key not in self.scores:
            raise QueryError(unknown_score(key, self.scores, f" of {self.image} {self.task}"))
        return finite_mean(self.scores[key])


def check_open(bench: object) -> None:
    """See that a benchmark is given, and not its name or folder.

    Raises:
        QueryError: if it is not.
    """
    if isinstance(bench, (str, PurePath)):
        raise QueryError(f"{bench} is not open: give dipbench.load({str(bench)!r})")


def read_cells(
    bench: Any,
    image: str | None = None,
    task: object | None = None,
    by: str | int = "best_psnr_smooth",
    *,
    scored: bool = True,
    judged: bool = True,
) -> Iterator[Cell]:
    """The cells of a benchmark in its own order of images and tasks, or the one asked for.

    Args:
        bench: A `dipbench.benchmark.query.Benchmark`.
        image: A name; all images where None.
        task: A task, its text form, or a bare kind that names one of the benchmark's tasks.
        by: A summary, an iteration or `stop:criterion`, see `worth.check_summary`.
        scored: Whether to read the scores too, which a benchmark need not have.
        judged: Whether a single cell must have a PSNR.

    Raises:
        QueryError: An image, task or summary that the benchmark does not hold, or one image and
            one task are asked for, judged, whose models share no seed or whose runs have no such
            summary; among several such a one has no PSNR and a reason.
        StoreError: Scores are asked for and the benchmark has none.
    """
    check_open(bench)
    images = [str(name) for name in bench.images]
    tasks = [str(text) for text in bench.tasks]
    if image is not None and image not in images:
        raise QueryError(unknown("image", image, images))
    check_summary(by)
    wanted = tasks if task is None else [find_task(str(task), tasks)]
    runs = bench.to_frame()
    asked = runs[runs["task"].isin(wanted)]
    if not isinstance(by, str) and asked["length"].max() > 0 and by >= asked["length"].max():
        raise QueryError(f"iteration {by} is outside the curves' 0..{asked['length'].max() - 1}")
    scores = bench.scores() if scored else pd.DataFrame(columns=list(SCORE_COLUMNS))
    scores = scores.assign(score=names_by_way(scores))
    genotypes = {str(genotype): genotype for genotype in bench.genotypes}
    for name in images if image is None else [image]:
        for text in wanted:
            mine = runs[(runs["image"] == name) & (runs["task"] == text)]
            here = scores[(scores["image"] == name) & (scores["task"] == text)]
            if not len(mine) and not len(here):
                continue
            cell = _cell(bench, name, text, by, mine, here, genotypes)
            if judged and len(mine) and cell.reason and image is not None and len(wanted) == 1:
                raise QueryError(f"{name} {text}: {cell.reason}")
            yield cell


def read_cell(
    bench: Any,
    image: str,
    task: object,
    by: str | int = "best_psnr_smooth",
    *,
    scored: bool = True,
    judged: bool = True,
) -> Cell:
    """The one cell of (image, task).

    Raises:
        QueryError: As `read_cells`, or nothing was trained or scored there.
    """
    return only(read_cells(bench, image, task, by, scored=scored, judged=judged), image, task)


def only(cells: Iterable[Cell], image: str, task: object) -> Cell:
    """The one cell that an image and a task have.

    Raises:
        QueryError: One of them is not given, or nothing was trained or scored there.
    """
    for name, given in (("image", image), ("task", task)):
        if given is None:
            raise QueryError(f"no {name} is given: name one")
    for cell in cells:
        return cell
    raise QueryError(f"nothing is known of {image} under {task}: no run, no score; train it first")


def fulfilling(bench: Any, cells: Sequence[Cell], where: Any) -> list[Cell]:
    """Of each cell the models all of whose runs fulfil a condition, as in `bench.best(where=…)`.

    A cell without such models is left without models, and says why.

    Raises:
        QueryError: The condition cannot be read, or no model of any cell fulfils it.
    """
    if where is None:
        return list(cells)
    found: list[Cell] = []
    refused: list[QueryError] = []
    for cell in cells:
        kept = np.zeros(len(cell.models), np.bool_)
        try:
            answers = bench.query_many(list(cell.models), cell.image, cell.task, where=where)
        except QueryError as error:
            refused.append(error)
            found.append(replace(narrowed(cell, kept), reason=str(error)))
        else:
            found.append(narrowed(cell, answers["n"].to_numpy() > 0))
    if refused and len(refused) == len(cells):
        raise refused[0]
    return found


def narrowed(cell: Cell, kept: NDArray[np.bool_]) -> Cell:
    """A cell of some of its models alone, (models,); more may be known of them than of all."""
    part = replace(
        cell,
        models=tuple(compress(cell.models, kept)),
        groups=cell.groups[kept],
        primitives=cell.primitives[kept],
        psnr=cell.psnr[kept],
        scores={name: values[kept] for name, values in cell.scores.items()},
    )
    if cell.withheld is None:
        return part
    own = cell.withheld.of(kept)
    reason = own.reason(cell.by)
    if reason:
        return replace(part, withheld=own, reason=reason)
    return replace(part, withheld=None, reason="", seeds=own.seeds, psnr=own.psnr)


def check_resamples(resamples: object) -> None:
    """See that so many resamples can be drawn.

    Raises:
        QueryError: if it is no whole number from 0.
    """
    if not is_integer(resamples) or resamples < 0:
        raise QueryError(f"{resamples!r} resamples cannot be drawn: give a whole number from 0")


def shared_weights(cells: Sequence[Cell], resamples: int, seed: int) -> list[Floats]:
    """The same resamples of the upsample codes for all `cells`.

    Returns:
        Per cell the multiplicities (resamples, models); no resample at all where there are too few
        codes for a bootstrap.

    Raises:
        QueryError: A negative number of resamples, or a seed that is no whole number.
    """
    check_resamples(resamples)
    seed = checked_seed(seed, QueryError)
    codes = {
        model: int(code)
        for cell in cells
        for model, code in zip(cell.models, cell.groups, strict=True)
    }
    groups = np.array(list(codes.values()))
    if np.unique(groups).size < MINIMUM_GROUPS:
        return [np.zeros((0, len(cell.models))) for cell in cells]
    weights = group_weights(groups, resamples, generator("bootstrap", seed))
    place = {model: position for position, model in enumerate(codes)}
    return [weights[:, [place[model] for model in cell.models]] for cell in cells]


def weights_of(cell: Cell, weights: Floats, known: NDArray[np.bool_]) -> Floats:
    """The multiplicities of the known models: all 0 where they have too few codes for a bootstrap.

    Args:
        cell: whose models they are.
        weights: (resamples, models) of `shared_weights`.
        known: (models,) which of them count.
    """
    own = weights[:, known]
    return own if has_enough_codes(cell, known) else np.zeros_like(own)


def has_enough_codes(cell: Cell, known: NDArray[np.bool_]) -> bool:
    """Whether the known models have as many upsample codes as a bootstrap needs."""
    return np.unique(cell.groups[known]).size >= MINIMUM_GROUPS


NO_SHARED_SEED = "the models share no seed: train the missing runs"
"""Why a cell without seeds has no PSNR."""

NO_USABLE_RUN = "no usable run: all diverged or failed, or have no such PSNR"
"""Why a cell all of whose runs are without a value has no PSNR."""

NO_RUN = "nothing was trained here: train it first"
"""Why a cell that is scored alone has no PSNR."""

FEW_CODES = f"no interval: fewer than {MINIMUM_GROUPS} upsample blocks"


def weights_over(
    cells: Sequence[Cell], models: list[str], known: NDArray[np.bool_], resamples: int, seed: int
) -> tuple[Floats, str | None]:
    """(resamples, known models) multiplicities, one set for all images.

    All 0, and the reason, where the known models have too few codes for a bootstrap.
    """
    whole = np.zeros((0, len(models)))
    for cell, weights in zip(cells, shared_weights(cells, resamples, seed), strict=True):
        if whole.shape[0] != weights.shape[0]:
            whole = np.zeros((weights.shape[0], len(models)))
        whole[:, [models.index(model) for model in cell.models]] = weights
    codes = {
        code
        for cell in cells
        for model, code in zip(cell.models, cell.groups.tolist(), strict=True)
        if known[models.index(model)]
    }
    few = len(codes) < MINIMUM_GROUPS
    return whole[:, known] * (not few), FEW_CODES if few else None


def score_names(cells: Sequence[Cell], names: Sequence[str] | None) -> list[str]:
    """The names of the scores asked for, each once, all where None, spelled as stored.

    Raises:
        QueryError: A score that no cell has.
    """
    known = list(dict.fromkeys(name for cell in cells for name in cell.scores))
    if names is None:
        return known
    for name in names:
        if canonical(name) not in known:
            here = f" of {cells[0].image} {cells[0].task}" if len(cells) == 1 else ""
            raise QueryError(unknown_score(canonical(name), known, here))
    return list(dict.fromkeys(canonical(name) for name in names))


def _cell(
    bench: Any,
    image: str,
    task: str,
    by: str | int,
    runs: pd.DataFrame,
    scores: pd.DataFrame,
    genotypes: dict[str, Genotype],
) -> Cell:
    present = {*runs["model"].unique(), *scores["model"].unique()}
    models = [model for model in genotypes if model in present]
    named = sorted(present - genotypes.keys())
    known = [genotypes[model] for model in models]
    models += named
    nothing, withheld = np.full((len(models), 0), np.nan), None
    try:
        seeds, psnr, untold = psnr_by_seed(bench, image, task, by, runs, models)
        reason = "" if seeds else NO_SHARED_SEED if len(runs) else NO_RUN
        if untold.any():
            withheld = Withheld(seeds, psnr, untold)
            seeds, psnr, reason = (), nothing, withheld.reason(by)
        elif seeds and not np.isfinite(psnr).any():
            reason = NO_USABLE_RUN
    except QueryError as error:
        seeds, psnr, reason = (), nothing, str(error)
    return Cell(
        image=image,
        task=task,
        by=by,
        models=tuple(models),
        groups=np.array([g.upsample for g in known] + [_own_group(name) for name in named]),
        primitives=np.array([g.primitive for g in known] + named),
        seeds=seeds,
        psnr=psnr,
        scores={
            str(name): wide(
                rows, models, "initialisation", "value", sorted(rows["initialisation"].unique())
            )
            for name, rows in scores.groupby("score", sort=False)
        },
        reason=reason,
        withheld=withheld,
    )


def _own_group(name: str) -> int:
    """A negative number for a named network, the same in every cell."""
    return -1 - stable_seed("group", name) // 2


def runs_of(runs: pd.DataFrame, cell: Cell) -> pd.DataFrame:
    """Those of a cell's image and task, and of the seeds that all models share."""
    here = (runs["image"] == cell.image) & (runs["task"] == cell.task)
    seeds = [UNKNOWN_SEED if seed is None else seed for seed in cell.seeds]
    return runs[here & runs["seed"].astype("Int64").fillna(UNKNOWN_SEED).isin(seeds)]


def finite_mean(table: Floats) -> Floats:
    """(rows,) means of the finite values of a (rows, columns) table, NaN where a row has none."""
    known = np.isfinite(table)
    count = known.sum(axis=1)
    total = np.where(known, table, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
