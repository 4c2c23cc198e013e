"""Genotypes: text forms round-trip, bad ones are named, sampling and walking stay in the space."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dipbench.errors import GenotypeError
from dipbench.genotypes import ISNAS522, Genotype, mutate, neighbours, sample, stratified
from dipbench.genotypes.space import SPACE_SIZE, VALID_UPSAMPLE_CODES

BITS = "0100111100101000001011010"
genotypes = st.builds(
    Genotype,
    upsample=st.sampled_from(VALID_UPSAMPLE_CODES),
    skip=st.text("01", min_size=25, max_size=25),
)


@given(genotypes)
def test_every_form_round_trips(genotype):
    long_name = f"0_{genotype.upsample}_iteration_4000_sigma_25_skip_{genotype.skip}"
    pair = (genotype.upsample, genotype.skip)
    shown = f"{str(genotype).split('/')[0]}/{int(genotype.skip, 2):07X}"
    forms = [str(genotype), genotype.short_name, long_name, shown, pair, list(pair), genotype]
    forms += [(np.int64(genotype.upsample), genotype.skip), f" {genotype}\n"]
    assert all(Genotype.parse(form) == genotype for form in forms)


@given(genotypes)
def test_text_holds_only_attributes_that_the_block_has(genotype):
    words = str(genotype).split("/")[0].split("-")
    kernel = genotype.kernel and f"{genotype.kernel}x{genotype.kernel}"
    order = genotype.order if genotype.order == "op_first" else None
    attributes = [genotype.primitive, genotype.operation, kernel, genotype.activation, order]
    assert words == [word for word in attributes if word is not None]


@given(genotypes)
def test_skip_matrix_is_the_bits_row_by_row(genotype):
    matrix = genotype.skip_matrix
    assert matrix.shape == (5, 5)
    assert matrix.dtype == bool
    assert "".join("01"[int(bit)] for bit in matrix.ravel()) == genotype.skip


@pytest.mark.parametrize("index", [0, 77, 521, np.int32(5)])
def test_reads_an_index_and_its_text(index):
    assert Genotype.parse(index) == Genotype.parse(str(index)) == ISNAS522[index]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("bilinaer-conv-3x3-relu/" + BITS, "nearest valid genotype is bilinear-conv-3x3-relu/"),
        ("bilinear-conv-3x3-relu/" + BITS[:-1], f"bilinear-conv-3x3-relu/{BITS[:-1]}0"),
        ((4, BITS + "1"), f"bilinear-conv-3x3-relu/{BITS}"),
        (f"240_{BITS}", "depth_wise_conv keeps the number of channels"),
        (f"pixel_shuffle-identity-relu/{BITS}", "turns 128 into 32"),
        ((300, BITS), "needs 512"),
        (f"324_{BITS}", "outside 0..323"),
        (522, "outside the 522 published models"),
        (-1, "the nearest is 0"),
        ("1" * 25, "names no genotype"),
        ("", "names no genotype"),
        ("bilinear-conv-1x1-relu", "upsample block without its skips"),
        ("½", "names no genotype"),
        (ISNAS522[9].short_name.replace("_", "-"), str(ISNAS522[9])),
        (3.5, "cannot read a genotype from float"),
        (True, "cannot read a genotype from bool"),
        (None, "cannot read a genotype from NoneType"),
        ((4, BITS, 1), "cannot read a genotype from tuple"),
        (np.array([4, 5]), "cannot read a genotype from ndarray"),
        (("4", BITS), "is no integer"),
        ((4, 11), "are no text"),
    ],
)
def test_bad_input_is_one_line_that_helps(value, said):
    with pytest.raises(GenotypeError) as error:
        Genotype.parse(value)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_very_long_text_is_answered_shortly():
    with pytest.raises(GenotypeError) as error:
        Genotype.parse("x/" * 100_000)
    assert len(str(error.value)) < 500


@given(st.text())
def test_any_text_is_read_or_refused(text):
    try:
        genotype = Genotype.parse(text)
    except GenotypeError:
        return
    assert Genotype.parse(str(genotype)) == genotype


def test_genotypes_are_frozen_ordered_and_hashable():
    a, b = Genotype(4, BITS), Genotype(5, BITS)
    assert a < b
    assert len({a, b, Genotype(4, BITS)}) == 2
    with pytest.raises(AttributeError):
        a.upsample = 3


def test_sample_is_distinct_seeded_and_extends():
    many = sample(3000, seed=1)
    assert len(set(many)) == 3000
    assert many == sample(3000, seed=1)
    assert many[:100] == sample(100, seed=1)
    assert many[:100] != sample(100, seed=2)


def test_sample_is_stable_across_releases():
    assert [g.short_name for g in sample(2, seed=7)] == [
        "261_0011010001010011011100110",
        "170_0011001110111001110110011",
    ]


def test_sample_is_uniform_over_codes_and_bits():
    many = sample(20_000, seed=0)
    counts = np.bincount([g.upsample for g in many], minlength=324)[list(VALID_UPSAMPLE_CODES)]
    chi2 = ((counts - counts.mean()) ** 2 / counts.mean()).sum()
    # Chi-squared with 296 degrees of freedom: mean 296, standard deviation 24.3.
    assert abs(chi2 - 296) < 5 * 24.3
    share = np.mean([[bit == "1" for bit in g.skip] for g in many], axis=0)
    assert np.all(np.abs(share - 0.5) < 5 * 0.5 / np.sqrt(len(many)))


@pytest.mark.parametrize("n", [-1, SPACE_SIZE + 1, 2.0, "2", None])
def test_sample_refuses_impossible_sizes(n):
    with pytest.raises(GenotypeError, match="cannot sample"):
        sample(n, seed=0)


@given(genotypes, st.data())
def test_neighbours_are_symmetric_distinct_and_never_itself(genotype, data):
    around = neighbours(genotype)
    assert len(set(around)) == len(around)
    assert genotype not in around
    assert genotype in neighbours(data.draw(st.sampled_from(around)))


@given(genotypes, st.integers(0, 2**32))
def test_mutation_changes_one_thing(genotype, seed):
    child = mutate(genotype, np.random.default_rng(seed))
    flipped = sum(a != b for a, b in zip(child.skip, genotype.skip, strict=True))
    assert (flipped == 1) != (child.upsample != genotype.upsample)
    assert child in neighbours(genotype)


def test_importing_genotypes_loads_no_torch():
    code = "import sys, dipbench.genotypes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("seed", [None, 1.0, True, "0"])
@pytest.mark.parametrize("choose", [sample, stratified])
def test_a_seed_is_a_whole_number(choose, seed):
    with pytest.raises(GenotypeError, match="is no whole number"):
        choose(2, seed)
