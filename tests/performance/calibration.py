"""How often scores that tell nothing look as if they did.

    python tests/performance/calibration.py [--tables 400]

Scores and truth are drawn, independent of each other, for the real models: noise of their own, and
in half of the variance what they share, their upsample block or its primitive. Printed is, of
tables of 13 such scores, the share in which the smallest p-value is below 5 %: of the p-values that
take every model as independent (`p_value`), of those with Holm's adjustment (`p_holm`), and of the
max-statistic bootstrap by block (`p_max`). And, of the single scores, the share whose 95 % interval
holds no 0: of tau, and of tau within the primitives. All are 5 % where nothing misleads.

The models are the 32 of `pilot`, the 522, and of 5 to 20 blocks four each.
"""

import argparse
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from dipbench.analysis.resampling import (
    group_weights,
    holm,
    interval,
    max_tau,
    resampled_tau,
)
from dipbench.benchmark.choosing import parse_models
from dipbench.genotypes import Genotype, sample

MODELS = ("stratified:32", "isnas522")
BLOCKS = (5, 8, 10, 15, 20)
MODELS_A_BLOCK = 4
SHARED = ("nothing", "upsample block", "primitive")
SCORES = 13
RESAMPLES = 1000
LEVEL = 0.05


def of_blocks(count: int) -> list[Genotype]:
    """Four models of each of so many upsample blocks."""
    drawn = sample(10 * count, seed=0)
    upsamples = list(dict.fromkeys(genotype.upsample for genotype in drawn))[:count]
    skips = iter(genotype.skip for genotype in drawn)
    return [
        Genotype.parse((upsample, next(skips)))
        for upsample in upsamples
        for _ in range(MODELS_A_BLOCK)
    ]


def labels(models: list[Genotype], shared: str) -> NDArray[np.int64]:
    """(models,) which of them share something."""
    kinds = {
        "nothing": [str(model) for model in models],
        "upsample block": [str(model.upsample) for model in models],
        "primitive": [model.primitive for model in models],
    }[shared]
    return np.unique(kinds, return_inverse=True)[1]


def drawn(members: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float64]:
    """(models,) half noise, half what those of one label share."""
    return rng.normal(size=members.size) + rng.normal(size=members.max() + 1)[members]


def misled(
    blocks: NDArray[np.int64],
    primitives: NDArray[np.int64],
    members: NDArray[np.int64],
    rng: np.random.Generator,
) -> list[float]:
    """Whether the smallest `p_value`, `p_holm`, `p_max` mislead, and the share of the intervals."""
    truth = drawn(members, rng)
    scores = [drawn(members, rng) for _ in range(SCORES)]
    found = [kendalltau(score, truth) for score in scores]
    weights = group_weights(blocks, RESAMPLES, rng)
    resampled = np.stack([resampled_tau(score, truth, weights) for score in scores], axis=1)
    plain = np.array([each.pvalue for each in found])
    largest = max_tau([each.statistic for each in found], resampled, truth.size)
    within = [resampled_tau(score, truth, weights, primitives) for score in scores]
    below = [float(min(each)) < LEVEL for each in (plain, holm(plain), largest)]
    return [*below, *(excluding(taus) for taus in (resampled.T, within))]


def excluding(resampled: Iterable[NDArray[np.float64]]) -> float:
    """The share of the 95 % intervals that hold no 0."""
    ends = [interval(taus, 1 - LEVEL) for taus in resampled]
    return float(np.mean([each.low > 0 or each.high < 0 for each in ends]))


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--tables", type=int, default=400, help="drawn for each row")
    asked = parser.parse_args()
    print("| models | shared | p_value | p_holm | p_max | tau's interval | within |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    lists = [[Genotype.parse(model) for model in parse_models(name)] for name in MODELS]
    for models in [*lists, *map(of_blocks, BLOCKS)]:
        blocks, primitives = labels(models, "upsample block"), labels(models, "primitive")
        for shared in SHARED:
            rng = np.random.default_rng(0)
            members = labels(models, shared)
            found = [misled(blocks, primitives, members, rng) for _ in range(asked.tables)]
            row = " | ".join(f"{share:.1%}" for share in np.mean(found, axis=0))
            held = f"{len(models)} in {blocks.max() + 1} blocks"
            print(f"| {held} | {shared} | {row} |", flush=True)


if __name__ == "__main__":
    main()
