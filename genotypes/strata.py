"""A choice among the 522 that resembles all of them: for pilots and for costlier sizes."""

from collections import Counter

from ..errors import GenotypeError
from ..scalars import is_integer
from ..seeds import checked_seed, generator
from .isnas522 import ISNAS522
from .space import Genotype

DENSITIES = (12, 14)
"""Skip connections from which a matrix counts as middling, and as dense: terciles of the 522."""


def stratified(n: int, seed: int = 0) -> list[Genotype]:
    """Choose `n` of the 522 in which each kind of model has nearly its share of them.

    Kinds are by how the block resizes, its operation, its kernel, and how many skip connections
    there are (see `kinds_of`). Models are taken one by one, each time the one whose kinds fall
    shortest of their shares (Pocock and Simon's minimisation, Biometrics 1975), so that a longer
    choice of the same seed begins with the shorter one.

    Args:
        n: how many.
        seed: decides between models that fall equally short.

    Raises:
        GenotypeError: `n` is no integer, negative or more than there are, or `seed` none.

    >>> stratified(2) == stratified(3)[:2]
    True
    """
    if not is_integer(n) or not 0 <= n <= len(ISNAS522):
        raise GenotypeError(
            f"cannot choose {n!r:.60} of the {len(ISNAS522)}: give an integer 0..{len(ISNAS522)}"
        )
    rng = generator("genotypes.stratified", checked_seed(seed, GenotypeError))
    order = rng.permutation(len(ISNAS522))
    kinds = {ISNAS522[place]: kinds_of(ISNAS522[place]) for place in order.tolist()}
    shares = Counter(kind for own in kinds.values() for kind in own)
    taken: Counter[tuple[str, object]] = Counter()
    chosen: list[Genotype] = []
    while len(chosen) < n:
        # In whole numbers, so that ties are the same everywhere.
        count = len(chosen) + 1
        missing = {kind: shares[kind] * count - taken[kind] * len(ISNAS522) for kind in shares}
        shortfalls = {one: sum(missing[kind] for kind in own) for one, own in kinds.items()}
        best = max(shortfalls, key=shortfalls.__getitem__)
        chosen.append(best)
        taken.update(kinds.pop(best))
    return chosen


def kinds_of(genotype: Genotype) -> tuple[tuple[str, object], ...]:
    """The kinds that a genotype counts towards.

    >>> kinds_of(Genotype.parse("bilinear-identity-relu/" + "1" * 25))
    (('primitive', 'bilinear'), ('operation', 'identity'), ('kernel', None), ('skips', 2))
    """
    skips = genotype.skip.count("1")
    return (
        ("primitive", genotype.primitive),
        ("operation", genotype.operation),
        ("kernel", genotype.kernel),
        ("skips", sum(skips >= bound for bound in DENSITIES)),
    )
