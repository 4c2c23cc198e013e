"""Transfer between images on tables of known structure."""

import numpy as np
import pytest

from dipbench.analysis.transfer import (
    image_variance,
    truth_transfer,
    variance_over_images,
    variance_shares,
)
from dipbench.errors import QueryError

IMAGES = ("a", "b", "c", "d")


@pytest.fixture
def four(make_bench):
    return make_bench(models=60, images=IMAGES)


def test_the_truth_of_two_images_agrees_in_both_orders(four):
    images, taus, counts = truth_transfer(four, "denoising")
    assert images == IMAGES
    np.testing.assert_array_equal(taus, taus.T)
    assert (np.diag(taus) == 1).all()
    assert (counts == 60).all()


def test_known_variances_are_recovered():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(20):
        table = rng.normal(0, 2, (150, 1, 1)) + rng.normal(0, 1, (150, 4, 1))
        table = table + rng.normal(0, 0.5, (150, 4, 2)) + rng.normal(0, 9, (4, 2))
        parts = image_variance(table)
        found.append((parts.model, parts.model_image, parts.seed))
    np.testing.assert_allclose(np.mean(found, axis=0), [4, 1, 0.25], rtol=0.06)


def test_variance_of_a_benchmark(four):
    parts = variance_over_images(four, "denoising")
    assert (parts.n, parts.images, parts.seeds, parts.missing) == (60, 4, 2, 0)
    assert parts.seed == pytest.approx(0.09, rel=0.3)
    assert parts.model_image == pytest.approx(0.25, rel=0.4)


def test_models_missing_on_one_image_are_counted(four):
    gone = (four.runs["image"] == "c") & (four.runs["model"] == str(four.genotypes[0]))
    four.runs = four.runs[~gone]
    assert truth_transfer(four, "denoising")[2][2, 0] == 59
    assert variance_over_images(four, "denoising").missing == 1


def test_an_image_that_has_one_seed_so_far_does_not_take_the_others_with_it(four):
    begun = (four.runs["image"] == "d") & (four.runs["seed"] == 1)
    four.runs = four.runs[~begun]
    assert variance_over_images(four, "denoising").images == 3
    assert len(variance_shares(four, "denoising")) == 3
    second = (four.runs["image"] != "a") & (four.runs["seed"] == 1)
    four.runs = four.runs[~second]
    with pytest.raises(QueryError, match="fewer than two images of denoising have two seeds"):
        variance_over_images(four, "denoising")


def test_one_image_has_no_transfer(make_bench):
    with pytest.raises(QueryError, match="at least 2 images"):
        truth_transfer(make_bench(images=("a",)), "denoising")


def test_images_of_several_tasks_are_no_images_of_one(make_bench):
    bench = make_bench(images=("a", "b"), tasks=("denoising-25", "sr-4"))
    with pytest.raises(QueryError, match="one task: name one of denoising-25, sr-4"):
        truth_transfer(bench, None)


def test_shares_of_the_variance_have_intervals_where_few_models_are_complete(bench):
    few = {str(genotype) for genotype in bench.genotypes[::5]}
    runs = bench.runs
    bench.runs = runs[(runs["image"] != "coins") | runs["model"].isin(few)]
    assert variance_over_images(bench, "denoising").n == len(few) == 8
    for ends in variance_shares(bench, "denoising"):
        assert 0 <= ends.low <= ends.high <= 1
