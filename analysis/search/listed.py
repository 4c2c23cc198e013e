"""Searchers that need no neighbours: random order, the order of a score, successive halving."""

from collections.abc import Mapping, Sequence
from math import ceil

import numpy as np

from ...errors import QueryError
from ...scalars import is_integer
from .interface import Outcome, Searcher, Trial


class RandomSearch(Searcher):
    """Every model once, in a random order.

    Args:
        models: text forms.
        rng: source of the order.
    """

    def __init__(self, models: Sequence[str], rng: np.random.Generator) -> None:
        self._left = [models[index] for index in rng.permutation(len(models))][::-1]

    def ask(self) -> Trial | None:
        """The next model of the order, trained in full."""
        return Trial(self._left.pop()) if self._left else None

    def tell(self, outcome: Outcome) -> None:
        """Nothing is learned."""


class ScoreGuided(Searcher):
    """The models that a training-free score likes best, best first; as published, 15 of them.

    Arican et al., "ISNAS-DIP", CVPR 2022: all candidates are scored, the best few are trained.

    Args:
        scores: value by model, lower is better; ties are taken in a random order.
        rng: source of that order.
        keep: how many are trained.

    >>> searcher = ScoreGuided({"a": 2.0, "b": 1.0}, np.random.default_rng(0), keep=1)
    >>> searcher.ask(), searcher.ask()
    (Trial(model='b', iterations=None), None)
    """

    def __init__(
        self,
        scores: Mapping[str, float],
        rng: np.random.Generator,
        *,
        keep: int = 15,
    ) -> None:
        if keep < 1 or not scores:
            raise QueryError(f"{keep} of {len(scores)} scored models: there must be one at least")
        models = list(scores)
        values = np.array([scores[model] for model in models], np.float64)
        if np.isnan(values).any():
            raise QueryError("some scores are NaN: leave those models out first")
        shuffled = rng.permutation(len(models))
        order = np.argsort(values[shuffled], kind="stable")
        self._left = [models[index] for index in shuffled[order][:keep]][::-1]

    def ask(self) -> Trial | None:
        """The next of the kept models, trained in full."""
        return Trial(self._left.pop()) if self._left else None

    def tell(self, outcome: Outcome) -> None:
        """Nothing is learned."""


class SuccessiveHalving(Searcher):
    """Train many models a little, keep the better part, train it longer; again and again.

    Jamieson and Talwalkar, "Non-stochastic Best Arm Identification", AISTATS 2016. A promoted
    model goes on from where it was. When one bracket has ended, the next one starts with models
    not yet seen. Of equal signals, such as `discrepancy` gives of all trainings that are not
    stopped yet, those that were asked for first are promoted, which is in a random order.

    Args:
        models: text forms.
        rng: source of the draws.
        iterations: of a full training.
        eta: one of how many models is promoted; also the factor between the rungs' iterations.
        rungs: how many lengths of training there are, the full one with them.
    """

    def __init__(
        self,
        models: Sequence[str],
        rng: np.random.Generator,
        iterations: int,
        *,
        eta: int = 3,
        rungs: int = 4,
    ) -> None:
        whole = all(map(is_integer, (eta, rungs, iterations)))
        if not whole or eta < 2 or rungs < 1 or iterations < 1:
            raise QueryError(
                f"halving needs eta of 2 or more, 1 rung or more and 1 iteration or more, in whole "
                f"numbers, got {eta!r}, {rungs!r} and {iterations!r}"
            )
        self._unseen = [models[index] for index in rng.permutation(len(models))][::-1]
        self._eta, self._size = eta, eta ** (rungs - 1)
        lengths = [max(1, ceil(iterations / eta**level)) for level in reversed(range(rungs))]
        self._lengths: list[int | None] = [*lengths[:-1], None]
        self._rung = 0
        self._waiting: list[str] = []
        self._told: list[tuple[float, str]] = []

    def ask(self) -> Trial | None:
        """The next model of the rung, promoting and starting brackets where one has ended."""
        if not self._waiting and not self._promote():
            return None
        return Trial(self._waiting.pop(), self._lengths[self._rung])

    def tell(self, outcome: Outcome) -> None:
        """Note the signal; a model without one is not promoted."""
        if outcome.signal is not None:
            self._told.append((outcome.signal, outcome.trial.model))

    def _promote(self) -> bool:
        """Fill the next rung, or the first one of a new bracket; False where nothing is left."""
        keep = len(self._told) // self._eta or min(1, len(self._told))
        last = self._rung == len(self._lengths) - 1
        if keep and not last:
            best = sorted(self._told, key=lambda entry: entry[0], reverse=True)[:keep]
            self._waiting = [model for _, model in reversed(best)]
            self._rung += 1
        else:
            self._rung = 0
            self._waiting = self._unseen[-self._size :]
            del self._unseen[-self._size :]
        self._told = []
        return bool(self._waiting)
