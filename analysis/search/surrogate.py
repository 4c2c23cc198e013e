"""A surrogate of a benchmark: a fitted formula that answers for every genotype, labelled as one.

It lets searchers walk where nothing was trained. What they find there is what the formula says,
not what a training would give.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...benchmark import Benchmark
from ...benchmark.question import By
from ...errors import QueryError
from ...genotypes import Genotype
from ...genotypes.space import VALID_UPSAMPLE_CODES
from ..association import Floats
from .encoding import BLOCK_FEATURES, FEATURES, features
from .interface import Cost, Objective, Outcome, Trial

RIDGE = 1.0
FOLDS = 5
MINIMUM_MODELS = 20


@dataclass(frozen=True)
class Fidelity:
    """How well the formula predicts models it was not fitted on: `FOLDS`-fold by upsample code.

    Attributes:
        correlation: Pearson's r of predicted and true PSNR; NaN where either never varies.
        error: root mean squared error, dB.
        deviation: standard deviation of the true PSNRs, dB: the error of a constant.
    """

    correlation: float
    error: float
    deviation: float


class SurrogateObjective(Objective):
    """Ridge regression of PSNR on block attributes and skip bits.

    Args:
        bench: a benchmark.
        image: an image's name.
        task: a task or its text form.
        by: what is predicted, see `Benchmark.best`.

    Attributes:
        fidelity: how far it can be trusted.
        models: the genotypes it was fitted on.

    Raises:
        QueryError: fewer than 20 genotypes have a usable run.
    """

    def __init__(
        self, bench: Benchmark, image: str, task: str, *, by: By = "best_psnr_smooth"
    ) -> None:
        everything = bench.top(image, task, k=len(bench.models), by=by)
        results = [result for result in everything if "/" in result.model]
        if len(results) < MINIMUM_MODELS:
            raise QueryError(
                f"a surrogate needs {MINIMUM_MODELS} genotypes with a usable run, there are "
                f"{len(results)}: train more"
            )
        self.models = tuple(result.model for result in results)
        genotypes = [Genotype.parse(model) for model in self.models]
        table, psnr = features(genotypes), np.array([result.psnr for result in results])
        self._weights = _fit(table, psnr)
        self.fidelity = _cross_validate(table, psnr, np.array([g.upsample for g in genotypes]))
        self.label = (
            f"SURROGATE of {bench.manifest.name}, {results[0].image}, {results[0].task}: ridge "
            f"regression, cross-validated r {self.fidelity.correlation:.2f}, error "
            f"{self.fidelity.error:.2f} dB, of a constant {self.fidelity.deviation:.2f}"
        )

    def predict(self, genotypes: list[Genotype]) -> Floats:
        """(genotypes,) dB, as the formula says."""
        return np.asarray(features(genotypes) @ self._weights[1:] + self._weights[0])

    @property
    def best(self) -> float:
        """The highest prediction over the whole space, dB; exact, since the formula is a sum."""
        blocks = [Genotype(code, "0" * 25) for code in VALID_UPSAMPLE_CODES]
        bits = self._weights[1 + BLOCK_FEATURES :]
        return float(self.predict(blocks).max() + bits[bits > 0].sum())

    def evaluate(self, trial: Trial) -> Outcome:
        """The prediction; it costs one iteration, so that a budget counts questions."""
        return Outcome(
            trial, float(self.predict([Genotype.parse(trial.model)])[0]), Cost(1, None, None)
        )


def _fit(table: Floats, psnr: Floats) -> Floats:
    """(1 + features,): the mean, which is not shrunk, and the weights of centred features."""
    centre = table.mean(axis=0)
    centred = table - centre
    gram = centred.T @ centred + RIDGE * np.eye(FEATURES)
    weights = np.linalg.solve(gram, centred.T @ (psnr - psnr.mean()))
    return np.concatenate([[psnr.mean() - centre @ weights], weights])


def _cross_validate(table: Floats, psnr: Floats, codes: NDArray[np.int64]) -> Fidelity:
    """Whole upsample codes are held out: a model with a known block is easier to predict."""
    folds = np.unique(codes, return_inverse=True)[1] % FOLDS
    predicted = np.full(len(psnr), psnr.mean())
    for fold in range(FOLDS):
        held = folds == fold
        if held.any() and not held.all():
            weights = _fit(table[~held], psnr[~held])
            predicted[held] = table[held] @ weights[1:] + weights[0]
    deviation = float(psnr.std())
    varies = deviation > 0 and float(predicted.std()) > 0
    return Fidelity(
        correlation=float(np.corrcoef(predicted, psnr)[0, 1]) if varies else np.nan,
        error=float(np.sqrt(np.mean((predicted - psnr) ** 2))),
        deviation=deviation,
    )
