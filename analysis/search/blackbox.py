"""A benchmark as a blackbox of Syne Tune, for its schedulers to be simulated on."""

import warnings
from functools import cached_property
from typing import Any

import numpy as np

from ...benchmark import Benchmark
from ...errors import MissingExtraError, QueryError
from .fidelities import common_lengths
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
            the benchmark's curves tell of, up to the longest that nine in ten models reach.

    Attributes:
        left_out: models whose runs end before that, or did not succeed: a blackbox must have
            every length of every configuration, and none is made up. A warning counts them.

    Raises:
        QueryError: no model has a run with recorded seconds, or there are under 1 `fidelities`.
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
        pair = self._objective.image, self._objective.task
        seconds, reached = {}, {}
        for model in self._objective.models:
            cost = self._objective.evaluate(Trial(model)).cost
            if cost.seconds is not None and cost.iterations:
                seconds[model] = cost.seconds / cost.iterations
                reached[model] = bench.curve_iterations(model, *pair, seed=seed) + 1
        self._columns, kept = common_lengths(reached, fidelities)
        self._grid: np.ndarray = reached[kept[0]][self._columns]
        self._seconds = {model: seconds[model] for model in kept}
        self.left_out = tuple(model for model in bench.models if model not in self._seconds)
        if self.left_out:
            warnings.warn(
                f"{len(self.left_out)} of {len(bench.models)} models are left out: they have no "
                f"run of {self._grid[-1]} iterations with its seconds recorded",
                stacklevel=2,
            )
        super().__init__(
            configuration_space={"model": choice(list(kept))},
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
            elapsed = self._seconds[model] * self._grid
            self._tables[model] = np.stack([*columns, elapsed], axis=1)
        return self._tables[model]
