"""Genotypes as numbers, for models of the search space."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...genotypes import Genotype
from ...genotypes.upsample import ACTIVATIONS, KERNELS, OPERATIONS, ORDERS, PRIMITIVES

_WORDS: dict[str, tuple[object, ...]] = {
    "primitive": PRIMITIVES,
    "operation": (*OPERATIONS, None),
    "kernel": (*KERNELS, None),
    "activation": ACTIVATIONS,
    "order": (*ORDERS, None),
}
BLOCK_FEATURES = sum(len(words) for words in _WORDS.values())
FEATURES = BLOCK_FEATURES + 25


def features(genotypes: Sequence[Genotype]) -> NDArray[np.float64]:
    """(genotypes, 48) of 0 and 1: each attribute of the block one-hot, then the skip bits.

    >>> features([Genotype.parse(0), Genotype.parse(1)]).shape
    (2, 48)
    """
    rows = [
        [
            *(
                float(getattr(genotype, name) == word)
                for name, words in _WORDS.items()
                for word in words
            ),
            *(float(bit) for bit in genotype.skip),
        ]
        for genotype in genotypes
    ]
    return np.array(rows, np.float64).reshape(len(genotypes), FEATURES)
