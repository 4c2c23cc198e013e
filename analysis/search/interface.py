"""Ask and tell: a searcher proposes what to train, an objective answers with a signal and a cost.

The signal is all that a searcher sees. What a search is judged by is another matter.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, get_args

from ...errors import QueryError, unknown
from ...scalars import is_count, is_number

Unit = Literal["iterations", "macs", "seconds"]
UNITS: tuple[str, ...] = get_args(Unit)

FREE_TRIALS = 1000
"""So many in a row that cost nothing end a search: what it comes by was answered before."""


@dataclass(frozen=True)
class Trial:
    """A model to be trained.

    Attributes:
        model: its text form.
        iterations: how far, from the start; None to the protocol's end.

    Raises:
        QueryError: the iterations are no whole number above 0.

    >>> Trial("dip", 100)
    Trial(model='dip', iterations=100)
    """

    model: str
    iterations: int | None = None

    def __post_init__(self) -> None:
        trained = self.iterations is None or is_count(self.iterations)
        if not trained:
            raise QueryError(
                f"a trial of {self.iterations!r} iterations trains nothing: give a whole number "
                "above 0, or None for the whole training"
            )


@dataclass(frozen=True)
class Cost:
    """What training took.

    Attributes:
        iterations: of the optimiser.
        macs: multiply-accumulates of the forward passes; None where they are not known.
        seconds: of the recorded or real trainings; None where they are not known.

    >>> Cost(10, 2e9, 1.5) + Cost(5, None, 0.5)
    Cost(iterations=15, macs=None, seconds=2.0)
    """

    iterations: int = 0
    macs: float | None = 0.0
    seconds: float | None = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.iterations + other.iterations,
            None if self.macs is None or other.macs is None else self.macs + other.macs,
            None if self.seconds is None or other.seconds is None else self.seconds + other.seconds,
        )

    def spent(self, unit: str) -> float:
        """The cost in one unit.

        Raises:
            QueryError: the unit is unknown, or this cost is not known in it.
        """
        if unit not in UNITS:
            raise QueryError(unknown("unit of cost", unit, UNITS))
        value: float | None = getattr(self, unit)
        if value is None:
            raise QueryError(f"the runs do not record their {unit}: count another unit")
        return value


@dataclass(frozen=True)
class Outcome:
    """What an objective answers.

    Attributes:
        trial: what was asked.
        signal: higher is better; None where the training failed or the signal is not defined.
        cost: of this answer alone; a training that goes on from an earlier trial costs the rest.
    """

    trial: Trial
    signal: float | None
    cost: Cost


class Searcher(ABC):
    """An algorithm: `ask` for the next trial, `tell` what came of it."""

    @abstractmethod
    def ask(self) -> Trial | None:
        """The next trial, or None where there is nothing left to try."""

    @abstractmethod
    def tell(self, outcome: Outcome) -> None:
        """Take in the outcome of a trial that was asked for."""


class Objective(ABC):
    """What is searched: a table replayed, a training that runs, or a surrogate labelled as one.

    Attributes:
        label: what the signals come from, in a few words.
    """

    label: str

    @abstractmethod
    def evaluate(self, trial: Trial) -> Outcome:
        """Train, or look up what a training gave."""


@dataclass(frozen=True)
class Budget:
    """How much a search may spend: it ends with the trial that reaches `amount`."""

    amount: float
    unit: Unit = "iterations"

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise QueryError(unknown("unit of cost", self.unit, UNITS))
        if not is_number(self.amount) or not 0 < self.amount < math.inf:
            raise QueryError(
                f"a budget of {self.amount!r} {self.unit} cannot be spent: give a number above 0"
            )


@dataclass(frozen=True)
class Step:
    """One answered trial, and what has been spent up to and with it."""

    outcome: Outcome
    spent: Cost


@dataclass(frozen=True)
class Trace:
    """All steps of one search, in order.

    Attributes:
        steps: answered trials.
        label: of the objective.
    """

    steps: tuple[Step, ...]
    label: str

    def incumbents(self) -> list[str | None]:
        """After each step the model that the signals speak for, None while there is none.

        A signal from a longer training goes before any from a shorter one, since the two do not
        compare; of equal ones the earlier stays. A model whose longer training has no signal is
        spoken for no more.
        """
        held: dict[str, tuple[float, float]] = {}
        best: str | None = None
        found: list[str | None] = []
        for step in self.steps:
            trial, signal = step.outcome.trial, step.outcome.signal
            length = float("inf") if trial.iterations is None else trial.iterations
            before = held.get(trial.model)
            if signal is None:
                if before is not None and length > before[0]:
                    del held[trial.model]
                    if best == trial.model:
                        best = max(held, key=held.__getitem__, default=None)
            elif before is None or (length, signal) > before:
                held.pop(trial.model, None)  # so that the order is that of the signals
                held[trial.model] = length, signal
                if best is None or held[trial.model] > held[best]:
                    best = trial.model
            found.append(best)
        return found

    @property
    def chosen(self) -> str:
        """The model that the whole search speaks for.

        Raises:
            QueryError: no trial gave a signal, or longer ones of the same models took it back.
        """
        model = self.incumbents()[-1] if self.steps else None
        if model is None:
            raise QueryError("no model of this search has a signal: give a larger budget")
        return model


def run_search(searcher: Searcher, objective: Objective, budget: Budget) -> Trace:
    """Let a searcher spend a budget on an objective.

    Args:
        searcher: is asked and told, one trial at a time.
        objective: answers.
        budget: the search ends with the trial that reaches it, or when there is nothing left, or
            after `FREE_TRIALS` in a row that cost nothing.
    """
    steps: list[Step] = []
    spent = Cost()
    free = 0
    while spent.spent(budget.unit) < budget.amount and free < FREE_TRIALS:
        trial = searcher.ask()
        if trial is None:
            break
        outcome = objective.evaluate(trial)
        searcher.tell(outcome)
        free = 0 if outcome.cost.spent(budget.unit) > 0 else free + 1
        spent = spent + outcome.cost
        steps.append(Step(outcome, spent))
    return Trace(tuple(steps), objective.label)
