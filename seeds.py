"""Stable seeds: every random draw comes from a generator seeded by what the draw is for.

A seed depends on the named parts alone, never on a worker, an order, a device or Python's own
hash, so the same run made anywhere draws the same numbers.
"""

import hashlib

import numpy as np

from .errors import DipbenchError
from .scalars import is_integer

_SEPARATOR = "\x1f"


def stable_seed(*parts: object) -> int:
    """A 63-bit seed from the text forms of `parts` (SHA-256, so stable across versions).

    >>> stable_seed("z", 0, "camera", "denoising-25")
    415226048345898286
    >>> stable_seed("a", "bc") == stable_seed("ab", "c")
    False
    """
    text = _SEPARATOR.join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(*parts: object) -> np.random.Generator:
    """A NumPy generator (Philox, the same stream on every platform) seeded by `parts`.

    >>> float(generator("mask", 0).random()) == float(generator("mask", 0).random())
    True
    """
    return np.random.Generator(np.random.Philox(stable_seed(*parts)))


def checked_seed(seed: object, refused: type[DipbenchError]) -> int:
    """A seed that a caller gave, as Python's int: by their texts 1.0 and True are not 1.

    Raises:
        DipbenchError: if it is no whole number, as `refused`.

    >>> checked_seed(7, DipbenchError)
    7
    """
    if not is_integer(seed):
        raise refused(f"seed {seed!r:.60} is no whole number: give one")
    return int(seed)
