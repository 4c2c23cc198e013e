"""Image-specific scores: made from the image, or the same for all."""

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from dipbench.analysis import kendall
from dipbench.analysis.specificity import (
    all_score_transfers,
    assignment_p_value,
    diagonal_advantage,
    score_transfer,
    truth_specificity,
)
from dipbench.analysis.tables import scores_over_images
from dipbench.errors import QueryError

IMAGES = ("a", "b", "c", "d")
SCORE = "psd_db_strip_mse"


@pytest.fixture
def four(make_bench):
    return make_bench(models=60, images=IMAGES)


def test_seeds_of_one_image_against_seeds_of_two(four):
    four.runs = four.runs[(four.runs["image"] != "d") | (four.runs["seed"] == 0)]
    psnr = four.runs.pivot(index="model", columns=["image", "seed"], values="best_psnr_smooth")

    def tau(one, other):
        return scipy.stats.kendalltau(psnr[one], psnr[other]).statistic

    pairs = list(combinations("abc", 2))  # not d, of which nothing says how repeatable it is
    itself = {image: tau((image, 0), (image, 1)) for image in "abc"}
    r = {image: np.sin(np.pi * of / 2) for image, of in itself.items()}
    own = np.mean([2 / np.pi * np.arcsin(np.sqrt(r[a] * r[b])) for a, b in pairs])
    other = np.mean([tau(one, two) for a, b in pairs for one, two in product(psnr[[a]], psnr[[b]])])
    [row] = truth_specificity(four, "denoising").to_dict("records")
    assert (row["own_tau"], row["other_tau"]) == pytest.approx((own, other))
    assert row["advantage"] == pytest.approx(own - other)
    assert 0 < row["low"] < row["advantage"] < row["high"]
    assert (row["images"], row["n"]) == (3, 60)


def test_a_picture_of_more_noise_has_no_order_of_its_own_for_that(four):
    rng = np.random.default_rng(0)
    ability = dict(zip(map(str, four.genotypes), rng.normal(size=60), strict=True))
    noise = four.runs["image"].map(dict(zip(IMAGES, (0.2, 0.4, 0.8, 1.2), strict=True)))
    deviations = noise * rng.normal(size=len(four.runs))
    four.runs["best_psnr_smooth"] = four.runs["model"].map(ability) + deviations
    [row] = truth_specificity(four, "denoising").to_dict("records")
    assert row["low"] < 0 < row["high"]
    assert abs(row["advantage"]) < 0.05


def test_images_that_differ_as_seeds_do_have_no_order_of_their_own(four):
    rng = np.random.default_rng(0)
    ability = dict(zip(map(str, four.genotypes), rng.normal(size=60), strict=True))
    noise = 0.5 * rng.normal(size=len(four.runs))
    four.runs["best_psnr_smooth"] = four.runs["model"].map(ability) + noise
    [row] = truth_specificity(four, "denoising").to_dict("records")
    assert row["own_tau"] > 0.5
    assert row["low"] < 0 < row["high"]


def test_images_without_a_second_seed_say_nothing_of_seeds(four):
    four.runs = four.runs[(four.runs["seed"] == 0) | (four.runs["image"] == "a")]
    with pytest.raises(QueryError, match="fewer than two images of denoising have two seeds"):
        truth_specificity(four, "denoising")


def test_a_score_that_saw_the_image_ranks_it_best(four):
    found = score_transfer(four, "denoising", SCORE, resamples=200)
    own = kendall(four, "b", "denoising", SCORE).tau_directed
    assert found.taus[1, 1] == pytest.approx(own)
    # A row is an image's score, a column an image's PSNR.
    rows = four.score_rows
    here = rows[(rows["image"] == "a") & (rows["score"] == SCORE)]
    elsewhere = rows[rows["image"] != "b"]
    moved = replace(four, score_rows=pd.concat([elsewhere, here.assign(image="b")]))
    assert found.taus[0, 1] == pytest.approx(kendall(moved, "b", "denoising", SCORE).tau_directed)
    assert found.interval.low > 0
    assert found.p_value == 1 / 24


def test_own_and_other_images_are_told_apart(four):
    found = score_transfer(four, "denoising", SCORE)
    row = scores_over_images(four, "denoising").set_index("score").loc[SCORE]
    others = found.taus[~np.eye(len(IMAGES), dtype=bool)]
    assert row["own_tau_directed"] == pytest.approx(np.trace(found.taus) / len(IMAGES))
    assert row["other_tau_directed"] == pytest.approx(others.mean())


def test_a_score_that_saw_another_image_has_no_advantage(four):
    rows = four.score_rows
    same = rows[rows["image"] == "a"]
    four.score_rows = pd.concat([same.assign(image=image) for image in IMAGES])
    found = score_transfer(four, "denoising", SCORE, resamples=200)
    assert found.advantage == pytest.approx(0, abs=1e-12)
    assert found.p_value == 1


def test_advantage_and_its_p_value_beyond_the_exact_ones():
    taus = np.random.default_rng(0).normal(0, 0.02, (9, 9)) + 0.3 * np.eye(9)
    assert diagonal_advantage(taus) == pytest.approx(0.3, abs=0.03)
    assert assignment_p_value(taus, np.random.default_rng(0)) == pytest.approx(1 / 5000, abs=1e-3)


def test_models_missing_on_one_image_are_left_out_everywhere(four):
    gone = (four.runs["image"] == "c") & (four.runs["model"] == str(four.genotypes[0]))
    four.runs = four.runs[~gone]
    found = score_transfer(four, "denoising", SCORE, resamples=50)
    assert (found.n, found.missing) == (59, 1)


def test_a_score_that_cannot_be_judged_has_a_reason(four):
    rows = four.score_rows
    rows.loc[rows["score"] == "psd_db_mse", "value"] = 1.0
    four.score_rows = rows[(rows["image"] != "c") | (rows["score"] != "psd_99_per_bw")]
    found = all_score_transfers(four, "denoising", resamples=20)
    assert found[SCORE].n == 60
    assert "equal 1" in found["psd_db_mse"]
    assert found["psd_99_per_bw"].images == ("a", "b", "d")


def test_too_few_models_with_every_seed_are_refused(four):
    models = four.runs["model"].unique()
    four.runs = four.runs[(four.runs["image"] == "a") | four.runs["model"].isin(models[:4])]
    with pytest.raises(QueryError, match="4 models have every seed on all of 4 images"):
        truth_specificity(four, "denoising")


def test_a_task_without_scores_is_told(make_bench):
    bench = make_bench(tasks=("denoising-25", "sr-4"))
    rows = bench.score_rows
    bench.score_rows = rows[rows["task"] != "sr-4"]
    with pytest.raises(QueryError, match="no score of sr-4 is there: score it first"):
        all_score_transfers(bench, "sr-4")


def test_the_baseline_of_other_images_has_no_image_of_its_own(four):
    with pytest.raises(QueryError, match="is made of other images"):
        score_transfer(four, "denoising", "mean_rank_elsewhere")
