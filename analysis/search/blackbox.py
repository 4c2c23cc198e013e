"""A benchmark as a blackbox of Syne Tune, for its schedulers to be simulated on."""

from functools import cached_property
from typing import Any

import numpy as np

from ...benchmark import Benchmark
from ...errors import MissingExtraError, QueryError
from .interface import Trial
from .table import TableObjective

try:
    from syne_tune.blackbox_repository.blackbox import Blackbox
    from syne_tune.config_space import choice, randint
except ModuleNotFoundError as error:
    # An import that fails must be an ImportError, for those who probe for it.
    hint = MissingExtraError("syne-tune", "a Syne Tune blackbox")
    raise ModuleNotFoundError(str(hint), name="syne_tune") from error

OBJECTIVES = ("psnr_smooth", "loss", "elapsed_time")
FIDELITY = "iterations"


class BenchmarkBlackbox(Blackbox):
    """The runs of one (image, task), by model and iterations.

    Objectives: `psnr_smooth` (dB, maximise; the truth, so an upper bound for a scheduler that is
    given it), `loss` (mean squared error against the observation, minimise; blind) and
    `elapsed_time` (seconds, in proportion to the iterations).

    Args:
        bench: a benchmark.
        image: an image's name.
        task: a task or its text form.
        seed: of the recorded trainings; mean curves over seeds where None.
        fidelities: how many lengths of training can be asked for, equally spaced among those that
            the benchmark's curves tell of.

    Attributes:
        left_out: models whose runs ended before the longest ones, or did not succeed: a
            blackbox must have every length of every configuration, and none is made up.

    Raises:
        QueryError: no model has a complete run with recorded seconds.
    """

    def __init__(
        self,
        bench: Benchmark,
        image: str,
        task: str,
        *,
        seed: int | None = None,
        fidelities: int = 50,
    ) -> None:
        self._bench, self._seed = bench, seed
        self._objective = TableObjective(bench, image, task, "truth", seed=seed)
        longest = self._objective.iterations
        seconds = {}
        for model in self._objective.models:
            cost = self._objective.evaluate(Trial(model)).cost
            if cost.iterations == longest and cost.seconds is not None:
                seconds[model] = cost.seconds
        if not seconds:
            raise QueryError(
                f"no model on {image}, {task} was trained for {longest} iterations with its "
                "seconds recorded: there is nothing to simulate"
            )
        self._seconds = seconds
        self.left_out = tuple(model for model in bench.models if model not in seconds)
        some = next(iter(seconds)), self._objective.image, self._objective.task
        ends = bench.curve_iterations(*some, seed=seed) + 1
        wanted = np.linspace(0, longest, fidelities + 1)[1:].round()
        self._columns = np.unique(np.minimum(ends.searchsorted(wanted), len(ends) - 1))
        self._grid: np.ndarray = ends[self._columns]
        self._longest = longest
        super().__init__(
            configuration_space={"model": choice(list(seconds))},
            fidelity_space={FIDELITY: randint(lower=int(self._grid[0]), upper=int(self._grid[-1]))},
            objectives_names=list(OBJECTIVES),
        )
        self._tables: dict[str, np.ndarray] = {}

    @property
    def fidelity_values(self) -> np.ndarray:
        """(fidelities,) iterations."""
        return self._grid

    @cached_property
    def _places(self) -> dict[int, int]:
        return {iterations: place for place, iterations in enumerate(self._grid.tolist())}

    def _objective_function(
        self,
        configuration: dict[str, Any],
        fidelity: dict[str, Any] | None = None,
        seed: int | None = None,
    ) -> dict[str, float] | np.ndarray:
        table = self._table(configuration["model"])
        if fidelity is None:
            return table
        if fidelity[FIDELITY] not in self._places:
            raise QueryError(
                f"{fidelity[FIDELITY]} iterations are not among this blackbox's "
                f"{len(self._grid)} fidelities: see fidelity_values"
            )
        row = table[self._places[fidelity[FIDELITY]]].tolist()
        return dict(zip(OBJECTIVES, row, strict=True))

    def _table(self, model: str) -> np.ndarray:
        """(fidelities, objectives), read at first use."""
        if model not in self._seconds:
            raise QueryError(f"{model} is not in this blackbox: see its configuration_space")
        if model not in self._tables:
            names = self._objective.image, self._objective.task
            columns = [
                self._bench.curve(model, *names, kind=kind, seed=self._seed)[self._columns]
                for kind in OBJECTIVES[:2]
            ]
            share = self._grid / self._longest
            self._tables[model] = np.stack([*columns, self._seconds[model] * share], axis=1)
        return self._tables[model]
