"""The search space: genotypes of an upsample code and a 5x5 skip matrix; sample and walk them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import GenotypeError
from ..scalars import is_integer
from ..seeds import checked_seed, generator
from .parsing import SKIP_BITS, check, read_text
from .upsample import VALID_UPSAMPLE_CODES, Block, code_neighbours, decode

__all__ = ["VALID_UPSAMPLE_CODES", "Genotype", "mutate", "neighbours", "sample"]

LEVELS = 5
SPACE_SIZE = len(VALID_UPSAMPLE_CODES) * 2**SKIP_BITS


@dataclass(frozen=True, order=True)
class Genotype:
    """A model of the search space: its upsample block and its skip connections.

    Args:
        upsample: code of the upsample block, one of `VALID_UPSAMPLE_CODES` (297 of 0..323).
        skip: 25 characters 0 or 1, the 5x5 skip matrix row by row: bit 5 (i - 1) + (j - 1) is 1
            where decoder level i receives encoder level j.

    Raises:
        GenotypeError: the code cannot be built, or `skip` is not 25 bits.

    >>> g = Genotype.parse("bilinear-conv-3x3-relu/1111001011111100010001110")
    >>> g.upsample, g.primitive, g.operation, g.kernel, g.activation, g.order
    (4, 'bilinear', 'conv', 3, 'relu', 'resize_first')
    >>> g == Genotype.parse(g.short_name) == Genotype.parse(str(g))
    True
    """

    upsample: int
    skip: str

    def __post_init__(self) -> None:
        if not is_integer(self.upsample):
            raise GenotypeError(
                f"upsample code {self.upsample!r} is no integer: give one of 0..323"
            )
        if not _is_text(self.skip):
            raise GenotypeError(
                f"skip bits {self.skip!r} are no text: give {SKIP_BITS} characters 0 or 1"
            )
        # NumPy integers would show up in the text forms and in JSON.
        object.__setattr__(self, "upsample", int(self.upsample))
        check(self.upsample, self.skip)

    @classmethod
    def parse(cls, value: Any) -> "Genotype":
        """Read a genotype from any of its forms.

        Args:
            value: a Genotype; its text form, `172_<bits>` or the published long name; a pair
                (upsample, bits); or an index 0..521 of the 522 published models (or its text).

        Raises:
            GenotypeError: `value` names no valid genotype; the message names the nearest one.

        >>> Genotype.parse(0).short_name == Genotype.parse("0").short_name
        True
        >>> Genotype.parse((4, "1" * 25)).primitive
        'bilinear'
        """
        if isinstance(value, Genotype):
            return value
        if isinstance(value, str):
            value = read_text(value)
        if isinstance(value, (tuple, list)) and len(value) == 2:
            return cls(*value)
        if is_integer(value):
            return _of_the_522(int(value))
        raise GenotypeError(
            f"cannot read a genotype from {type(value).__name__} {value!r:.60}: give a text form, "
            "a pair (upsample, bits) or an index 0..521"
        )

    @property
    def block(self) -> Block:
        """The attributes of the upsample block as one tuple."""
        return decode(self.upsample)

    @property
    def primitive(self) -> str:
        """How the block resizes: bilinear, bicubic, nearest, pixel_shuffle or trans_conv."""
        return self.block.primitive

    @property
    def operation(self) -> str | None:
        """The block's operation; None for the trans_conv primitive."""
        return self.block.operation

    @property
    def kernel(self) -> int | None:
        """Side of the block's kernel in pixels: 1, 3, 5 or 7; None for an identity."""
        return self.block.kernel

    @property
    def activation(self) -> str:
        """The block's activation: none, relu or leaky_relu."""
        return self.block.activation

    @property
    def order(self) -> str | None:
        """`resize_first` or `op_first`; None where there is no operation."""
        return self.block.order

    @property
    def skip_matrix(self) -> np.ndarray:
        """The skip bits as a (5, 5) bool array, axes (decoder level, encoder level)."""
        return np.array([bit == "1" for bit in self.skip]).reshape(LEVELS, LEVELS)

    @property
    def short_name(self) -> str:
        """The published short name, `<upsample>_<bits>`."""
        return f"{self.upsample}_{self.skip}"

    def __str__(self) -> str:
        return f"{self.block}/{self.skip}"


def sample(n: int, seed: int) -> list[Genotype]:
    """Draw `n` different genotypes, uniformly over the whole space of valid ones.

    A longer sample of the same seed begins with the shorter one.

    Raises:
        GenotypeError: `n` is no integer, negative or larger than the space, or `seed` none.

    >>> sample(2, seed=7) == sample(3, seed=7)[:2]
    True
    """
    if not is_integer(n) or not 0 <= n <= SPACE_SIZE:
        raise GenotypeError(f"cannot sample {n!r:.60} genotypes: give an integer 0..{SPACE_SIZE}")
    rng = generator("genotypes.sample", checked_seed(seed, GenotypeError))
    drawn: dict[Genotype, None] = {}
    while len(drawn) < n:
        for number in rng.integers(SPACE_SIZE, size=n - len(drawn)).tolist():
            position, bits = divmod(number, 2**SKIP_BITS)
            drawn[Genotype(VALID_UPSAMPLE_CODES[position], f"{bits:0{SKIP_BITS}b}")] = None
    return list(drawn)


def mutate(genotype: Genotype, rng: np.random.Generator) -> Genotype:
    """Change one attribute of the upsample block or flip one skip bit: a uniform neighbour.

    >>> parent = sample(1, seed=0)[0]
    >>> mutate(parent, np.random.default_rng(0)) in neighbours(parent)
    True
    """
    around = neighbours(genotype)
    return around[int(rng.integers(len(around)))]


def neighbours(genotype: Genotype) -> list[Genotype]:
    """All genotypes that differ in one attribute of the upsample block or in one skip bit.

    Attributes that only one of two blocks has do not count (see `upsample.code_neighbours`), so
    the relation is symmetric. Upsample changes first, by code; then the skip bits, in order.

    >>> around = neighbours(Genotype.parse("trans_conv-3x3-none/" + "0" * 25))
    >>> len(around), around[-1].skip
    (56, '0000000000000000000000001')
    """
    skip = genotype.skip
    codes = [Genotype(code, skip) for code in code_neighbours(genotype.upsample)]
    flipped = [
        Genotype(genotype.upsample, f"{skip[:k]}{'10'[int(skip[k])]}{skip[k + 1 :]}")
        for k in range(SKIP_BITS)
    ]
    return codes + flipped


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _of_the_522(number: int) -> Genotype:
    # Imported here because the 522 are genotypes themselves.
    from .isnas522 import ISNAS522

    if 0 <= number < len(ISNAS522):
        return ISNAS522[number]
    nearest = 0 if number < 0 else len(ISNAS522) - 1
    raise GenotypeError(
        f"index {number} is outside the {len(ISNAS522)} published models, "
        f"0..{len(ISNAS522) - 1}; the nearest is {nearest}, {ISNAS522[nearest]}"
    )
