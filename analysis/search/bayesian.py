"""Bayesian optimisation over the models of a table, on scikit-learn's Gaussian process."""

import warnings
from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

from ...errors import MissingExtraError, QueryError
from ...genotypes import Genotype
from .encoding import features
from .interface import Outcome, Searcher, Trial


class BayesianOptimisation(Searcher):
    """Train next where a Gaussian process expects the largest improvement.

    Expected improvement of Jones, Schonlau and Welch, "Efficient Global Optimization" (1998),
    maximised exactly: every model not yet tried is looked at. Signals are noisy, so that it is the
    improvement of the process without its noise, over the highest mean at a model that was tried.

    Args:
        models: text forms of genotypes.
        rng: source of the first models and of the order among equals.
        first: models drawn at random before the process is fitted.

    Raises:
        MissingExtraError: scikit-learn is not installed.
        QueryError: there is no model, or `first` is under 2.
    """

    def __init__(self, models: Sequence[str], rng: np.random.Generator, *, first: int = 10) -> None:
        try:
            from sklearn.gaussian_process import GaussianProcessRegressor
            from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
        except ModuleNotFoundError as error:
            raise MissingExtraError("search", "Bayesian optimisation") from error
        if not models or first < 2:
            raise QueryError(
                f"{first} first of {len(models)} models: at least 2 first, and 1 model"
            )
        self._models = [models[index] for index in rng.permutation(len(models))]
        self._features = features([Genotype.parse(model) for model in self._models])
        self._place = {model: index for index, model in enumerate(self._models)}
        self._untried = np.ones(len(self._models), bool)
        self._told: dict[int, float] = {}
        self._first = first
        kernel = ConstantKernel(1.0) * Matern(length_scale=3.0, nu=2.5) + WhiteKernel(0.1)
        self._process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)

    def ask(self) -> Trial | None:
        """A random model at first, then the one of the largest expected improvement."""
        left = np.flatnonzero(self._untried)
        if not len(left):
            return None
        tried = len(self._models) - len(left)
        random = tried < self._first or len(self._told) < 2
        index = int(left[0] if random else left[self._expected_improvement(left).argmax()])
        self._untried[index] = False
        return Trial(self._models[index])

    def tell(self, outcome: Outcome) -> None:
        """Take in a signal; a model without one is left out of the process."""
        if outcome.signal is not None:
            self._told[self._place[outcome.trial.model]] = outcome.signal

    def _expected_improvement(self, left: np.ndarray) -> np.ndarray:
        values = np.array(list(self._told.values()))
        with warnings.catch_warnings():
            # A length scale at the edge of its range is no mistake of the user's.
            warnings.simplefilter("ignore")
            known = self._features[list(self._told)]
            self._process.fit(known, values)
            mean, deviation = self._process.predict(self._features[left], return_std=True)
            best = self._process.predict(known).max()
        # The process is fitted to the values in units of their deviation.
        noise = self._process.kernel_.k2.noise_level * values.var()
        above = mean - best
        deviation = np.sqrt(np.maximum(deviation**2 - noise, 1e-24))
        z = above / deviation
        return np.asarray(above * norm.cdf(z) + deviation * norm.pdf(z))
