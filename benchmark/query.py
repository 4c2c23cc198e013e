"""Asking a benchmark: which model is best, how good is this one, what was its curve."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pyarrow as pa

from ..data import Task
from ..errors import ProtocolError, QueryError, StoreError, unknown
from ..evaluate.protocol import Protocol
from ..evaluate.registry import canonical
from ..genotypes import Genotype
from ..scalars import is_count
from .curves import CurvesReader
from .names import find_model, find_task, text_of, unknown_score
from .pictures import stored_noise
from .plan import PLAN, read_plan
from .question import DEFAULT_BY, By, Limits, Question, asked
from .ranking import Ranking, Result, rank, shared_seeds
from .runs import Runs
from .schema import RUNS_SCHEMA, STATUSES, Pair
from .scorefiles import names_by_way
from .store import file_of, read_manifest, read_table

if TYPE_CHECKING:
    import pandas as pd

KEPT_RANKINGS = 256
TEXTS = [field.name for field in RUNS_SCHEMA if pa.types.is_string(field.type)]


class Benchmark:
    """A finished benchmark, opened for queries.

    Opening reads `benchmark.json` and the runs; curves and scores stay on disk until asked for.

    Args:
        folder: the benchmark's folder.

    Raises:
        StoreError: if there is no readable benchmark.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        try:
            self.protocol = Protocol.from_record(self.manifest.protocol)
        except ProtocolError as error:
            raise StoreError(f"{self.folder}: {error}; restore it from a copy") from error
        self._runs = Runs(read_table(self.folder, self.manifest, "runs", TEXTS))
        self._curves = CurvesReader(file_of(self.folder, self.manifest, "curves"))
        self._rankings: dict[tuple[str, str, Question], Ranking] = {}

    def __repr__(self) -> str:
        return (
            f"Benchmark({self.manifest.name!r}, {len(self.models)} models, images "
            f"{', '.join(self.images)}, tasks {', '.join(self.tasks)}, "
            f"{self._runs.table.num_rows} runs)"
        )

    @property
    def models(self) -> tuple[str, ...]:
        """Text forms of the models, genotypes in their own order first."""
        return self._runs.models

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The (image, task) pairs that runs are of."""
        return tuple(self._runs.spans)

    @cached_property
    def images(self) -> tuple[str, ...]:
        """Names of the images that runs are of."""
        return tuple(sorted({image for image, _ in self._runs.spans}))

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """Text forms of the tasks that runs are of."""
        return tuple(sorted({task for _, task in self._runs.spans}))

    @cached_property
    def genotypes(self) -> tuple[Genotype, ...]:
        """The genotypes among the models, in order."""
        return tuple(Genotype.parse(model) for model in self.models if "/" in model)

    def best(
        self,
        image: str,
        task: str | Task,
        by: By = DEFAULT_BY,
        seed: int | None = None,
        **limits: Unpack[Limits],
    ) -> Result:
        """The best model of an image and task.

        Args:
            image: an image's name.
            task: a task, its text form, or a bare `denoising` where the benchmark holds one such.
            by: `best_psnr_smooth` (an oracle's stop: the published ground truth), `best_psnr`,
                `final_psnr_smooth`, `final_psnr`, one of a further moving average where such are
                recorded (`best_psnr_smooth_0.99`), or an iteration.
            seed: one seed; None takes the mean over the seeds that all models share.
            limits: where, budget_iterations, budget_seconds, stopping: see `Limits`.

        Raises:
            QueryError: if image, task, `by` or seed are not in the benchmark, or no run answers.

        >>> import dipbench
        >>> dipbench.load("pilot").best("camera", "denoising").image
        'camera'
        """
        return self.top(image, task, 1, by, seed, **limits)[0]

    def top(
        self,
        image: str,
        task: str | Task,
        k: int = 10,
        by: By = DEFAULT_BY,
        seed: int | None = None,
        **limits: Unpack[Limits],
    ) -> list[Result]:
        """The `k` best models, best first; ties go to genotype order (see `best`).

        Raises:
            QueryError: as `best`, or `k` is less than 1.
        """
        if not is_count(k):
            raise QueryError(
                f"k is how many of the best models are wanted: give 1 or more, not {k!r}"
            )
        ranking = self._ranking(image, task, asked(by, seed, limits))
        return [ranking.result(self.models[i], i) for i in ranking.order[:k].tolist()]

    def query(
        self,
        model: Any,
        image: str,
        task: str | Task,
        by: By = DEFAULT_BY,
        seed: int | None = None,
        **limits: Unpack[Limits],
    ) -> Result:
        """How good one model is (see `best`).

        Raises:
            QueryError: if the model has no usable run there.
        """
        ranking = self._ranking(image, task, asked(by, seed, limits))
        index = self._ranked(ranking, model)
        return ranking.result(self.models[index], index)

    def rank(
        self,
        model: Any,
        image: str,
        task: str | Task,
        by: By = DEFAULT_BY,
        seed: int | None = None,
        **limits: Unpack[Limits],
    ) -> int:
        """The model's place among all, 1 for the best; ties go to genotype order."""
        ranking = self._ranking(image, task, asked(by, seed, limits))
        return int(ranking.place[self._ranked(ranking, model)]) + 1

    def regret(
        self,
        model: Any,
        image: str,
        task: str | Task,
        by: By = DEFAULT_BY,
        seed: int | None = None,
        **limits: Unpack[Limits],
    ) -> float:
        """How many dB the model lies below the best one."""
        ranking = self._ranking(image, task, asked(by, seed, limits))
        index = self._ranked(ranking, model)
        return float(ranking.means[ranking.order[0]] - ranking.means[index])

    def query_many(
        self,
        models: Iterable[Any] | None,
        image: str,
        task: str | Task,
        by: By = DEFAULT_BY,
        seed: int | None = None,
        **limits: Unpack[Limits],
    ) -> "pd.DataFrame":
        """How good many models are, at once (see `best`).

        Args:
            models: in any of their forms; None takes all, in order.
            image: an image's name.
            task: a task or its text form.
            by: as in `best`.
            seed: as in `best`.
            limits: as in `best`.

        Returns:
            A row a model, in the order given: model, psnr, psnr_std (dB), n, iteration, rank,
            regret (dB); missing where a genotype has no usable run here, with n = 0.

        Raises:
            QueryError: if something is unknown, or one of `models` is no model.
        """
        if isinstance(models, str) or not isinstance(models, Iterable | None):
            raise QueryError(f"give a list of models, [{models!r}], or ask `query` for one")
        ranking = self._ranking(image, task, asked(by, seed, limits))
        places = self._runs.model_index
        names = self.models if models is None else [text_of(model, places) for model in models]
        return ranking.frame(names, np.array([places.get(name, -1) for name in names], np.int64))

    def left_out(
        self,
        image: str,
        task: str | Task,
        by: By = DEFAULT_BY,
        seed: int | None = None,
        **limits: Unpack[Limits],
    ) -> dict[str, int]:
        """How many usable runs do not count in the answers to a question, by reason.

        Those of other seeds than the question's are not counted; those that diverged or failed are
        never usable: `coverage` counts them.
        """
        return dict(self._ranking(image, task, asked(by, seed, limits)).left_out)

    def curve(
        self,
        model: Any,
        image: str,
        task: str | Task,
        kind: str = "psnr_smooth",
        seed: int | None = None,
    ) -> np.ndarray:
        """A model's curve, float32 (iterations,); of several seeds the mean, cut to the shortest.

        In a compact benchmark, such as a shipped one, it holds some iterations only:
        `curve_iterations` says which.

        Args:
            model: any form of a model.
            image: an image's name.
            task: a task or its text form.
            kind: `psnr`, `psnr_smooth` (dB), `loss`, `psnr_observed` (dB), `variance`, …
            seed: one seed; None takes those that all models share, as in `best`.

        Raises:
            QueryError: if there is no such run or kind.
        """
        pair, rows = self._curve_rows(model, image, task, seed)
        curves = [self._curves.curve(*pair, kind, row) for row in rows]
        length = min(map(len, curves))
        table = np.stack([curve[:length] for curve in curves])
        mean: np.ndarray = table.mean(axis=0, dtype=np.float32)
        return mean

    def curve_iterations(
        self, model: Any, image: str, task: str | Task, seed: int | None = None
    ) -> np.ndarray:
        """Which iteration each value of `curve` is of, from 0: int32 of the same length.

        Raises:
            QueryError: if there is no such run.
        """
        pair, rows = self._curve_rows(model, image, task, seed)
        length = min(self._curves.points(*pair, row) for row in rows)
        return self._curves.iterations(*pair)[:length]

    def score(self, model: Any, image: str, task: str | Task, name: str) -> float:
        """A training-free score of a model: the mean over its initialisations.

        Raises:
            QueryError: if the benchmark does not hold it.
        """
        key = self.models[find_model(model, self._runs.model_index)], *self._names(image, task)
        held = self._mean_scores
        if (*key, canonical(name)) not in held:
            names = sorted({score for *pair, score in held if tuple(pair) == key})
            raise QueryError(unknown_score(canonical(name), names, " of that model"))
        return held[(*key, canonical(name))]

    def scores(self) -> "pd.DataFrame":
        """All scores: a row a model, image, task, score, initialisation and way of making them.

        Raises:
            StoreError: if the benchmark holds none.
        """
        frame: pd.DataFrame = read_table(self.folder, self.manifest, "scores").to_pandas()
        return frame

    def coverage(self) -> "pd.DataFrame":
        """What was trained: a row an image and task, counting runs by status, and those missing.

        `missing` counts the combinations of a model and a seed without a record: of the models and
        seeds that the benchmark holds, and of those of its plan while it is being built.

        Raises:
            StoreError: if the plan is damaged.
        """
        import pandas as pd

        plan = read_plan(self.folder) if (self.folder / PLAN).is_file() else None
        planned = {pair: set(plan.seeds) for pair in plan.pairs} if plan else {}
        held = {pair: set(self._runs.pair(*pair).seeds) for pair in self.pairs}
        seeds = {
            pair: len(held.get(pair, set()) | planned.get(pair, set()))
            for pair in sorted(held | planned)
        }
        pairs = pd.MultiIndex.from_tuples(seeds, names=["image", "task"])
        runs = self.to_frame().groupby([*pairs.names, "status"]).size().unstack("status")
        counts = runs.reindex(index=pairs, columns=list(STATUSES)).fillna(0).astype(int)
        counts.insert(0, "models", len({*self.models, *(plan.models if plan else ())}))
        counts.insert(1, "seeds", list(seeds.values()))
        counts["missing"] = counts["models"] * counts["seeds"] - counts[list(STATUSES)].sum(axis=1)
        return counts.rename_axis(columns=None).reset_index()

    def to_frame(self) -> "pd.DataFrame":
        """One row a run: keys, status, summaries (dB), seconds, device, parameters and so on."""
        frame: pd.DataFrame = self._runs.plain().to_pandas()
        frame["seed"] = frame["seed"].astype("Int64")
        return frame

    def _curve_rows(
        self, model: Any, image: str, task: str | Task, seed: int | None
    ) -> tuple[Pair, list[int]]:
        """The pair, and where the curves of the model's usable runs stand in its group."""
        pair = self._names(image, task)
        Question(seed=seed).check()
        runs = self._runs.pair(*pair)
        index = find_model(model, self._runs.model_index)
        columns = shared_seeds(runs) if seed is None else [runs.seed_index(seed)]
        usable = self._runs.usable[runs.span]
        rows = [int(row) for row in runs.rows[index, list(columns)] if row >= 0 and usable[row]]
        if not rows:
            raise QueryError(f"{model} has no usable run on {pair[0]}, {pair[1]}")
        places = self._runs.column("row", runs.span)
        return pair, [int(places[row]) for row in rows]

    def _names(self, image: str, task: str | Task) -> Pair:
        if not isinstance(image, str) or image not in self.images:
            kinds = [*self.tasks, *(known.split("-")[0] for known in self.tasks)]
            swapped = isinstance(image, str) and image in kinds
            hint = f"; {image!r} is a task, and the image comes before it" if swapped else ""
            raise QueryError(unknown("image", image, self.images) + hint)
        text = task if isinstance(task, str) else str(task)
        return image, text if text in self.tasks else find_task(text, self.tasks)

    def _ranked(self, ranking: Ranking, model: Any) -> int:
        index = find_model(model, self._runs.model_index)
        if ranking.place[index] < 0:
            reasons = ", ".join(reason for reason, count in ranking.left_out.items() if count)
            raise QueryError(
                f"{model} has no usable run on {' '.join(ranking.pair)} that answers this"
                + (f"; runs were left out: {reasons}" if reasons else "")
            )
        return index

    def _ranking(self, image: str, task: str | Task, question: Question) -> Ranking:
        pair = self._names(image, task)
        question.check()  # before the look-up, to which 7.0 and False are 7 and 0
        if callable(question.where):  # which may answer otherwise next time
            return self._ranked_anew(pair, question)
        found = self._rankings.get((*pair, question))
        if found is None:
            found = self._ranked_anew(pair, question)
            if len(self._rankings) >= KEPT_RANKINGS:
                del self._rankings[next(iter(self._rankings))]
            self._rankings[*pair, question] = found
        return found

    def _ranked_anew(self, pair: Pair, question: Question) -> Ranking:
        return rank(self._runs, self._curves, pair, question, self._noise, self.protocol)

    def _noise(self, pair: Pair) -> float | None:
        return stored_noise(file_of(self.folder, self.manifest, "images"), pair)

    @cached_property
    def _mean_scores(self) -> dict[tuple[str, ...], float]:
        frame = self.scores()
        frame["score"] = names_by_way(frame)
        means = frame.groupby(["model", "image", "task", "score"])["value"].mean().dropna()
        keys = means.index.to_flat_index()
        return dict(zip(keys, means.tolist(), strict=True))
