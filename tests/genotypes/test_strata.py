"""The stratified choice: nested, repeatable, and like the 522 in every kind of model."""

from collections import Counter

import pytest

from dipbench.errors import GenotypeError
from dipbench.genotypes import ISNAS522, Genotype, stratified
from dipbench.genotypes.strata import kinds_of


def test_a_longer_choice_begins_with_the_shorter_one() -> None:
    whole = stratified(522, seed=3)
    assert set(whole) == set(ISNAS522)
    assert len(whole) == 522
    for count in (0, 1, 32, 64):
        assert stratified(count, seed=3) == whole[:count]
    assert stratified(32) != stratified(32, seed=3)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("count", [16, 32, 64, 128])
def test_every_kind_has_its_share_to_one_model(count: int, seed: int) -> None:
    population = Counter(kind for genotype in ISNAS522 for kind in kinds_of(genotype))
    chosen = Counter(kind for genotype in stratified(count, seed) for kind in kinds_of(genotype))
    assert {name for name, _ in population} == {"primitive", "operation", "kernel", "skips"}
    for kind, number in population.items():
        assert abs(chosen[kind] - number * count / 522) < 1, kind


def test_the_first_models_stay_the_same_ones() -> None:
    # Pilots and larger sizes share runs by them.
    assert [ISNAS522.index(genotype) for genotype in stratified(8)] == [
        458, 317, 89, 373, 109, 83, 357, 1
    ]  # fmt: skip


def test_skip_connections_are_counted_in_thirds() -> None:
    shares = Counter(dict(kinds_of(genotype))["skips"] for genotype in ISNAS522)
    assert all(522 / 4 < shares[third] < 522 / 2 for third in range(3))
    sparse = Genotype(4, "1" * 11 + "0" * 14)
    assert dict(kinds_of(sparse))["skips"] == 0
    assert dict(kinds_of(Genotype(4, "1" * 12 + "0" * 13)))["skips"] == 1
    assert dict(kinds_of(Genotype(4, "1" * 14 + "0" * 11)))["skips"] == 2


@pytest.mark.parametrize("count", [-1, 523, 2.5, 2.0, "2", None])
def test_more_than_there_are_is_refused(count: object) -> None:
    with pytest.raises(GenotypeError, match=f"cannot choose {count!r} of the 522"):
        stratified(count)
