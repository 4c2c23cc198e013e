"""The mean rank on other images against brute force, and wherever scores are judged."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from dipbench.analysis import compare_scores, correlate, correlate_over_images, kendall
from dipbench.analysis.baselines import ELSEWHERE, mean_rank_elsewhere, ranks_elsewhere
from dipbench.analysis.correlation import kendalls
from dipbench.errors import QueryError

IMAGES = ("camera", "coins", "retina")
SCORE = "psd_db_strip_mse"


def brute_force(psnr, model, image):
    """Written out: the mean over the other images of (models better, ties half) / models.

    Of the models that all images have.
    """
    psnr = np.where(np.isnan(psnr).any(axis=1, keepdims=True), np.nan, psnr)
    shares = []
    for other in range(psnr.shape[1]):
        mine = psnr[model, other]
        if other == image or np.isnan(mine):
            continue
        column = [value for value in psnr[:, other] if not np.isnan(value)]
        better = sum(value > mine for value in column)
        tied = sum(value == mine for value in column)
        shares.append((better + (tied + 1) / 2) / len(column))
    return np.mean(shares) if shares else np.nan


@pytest.fixture
def three(make_bench):
    return make_bench(images=IMAGES)


def test_ranks_agree_with_brute_force_on_ties_and_gaps():
    rng = np.random.default_rng(0)
    psnr = rng.integers(20, 26, (15, 4)).astype(float)
    psnr[rng.random(psnr.shape) < 0.2] = np.nan
    expected = [[brute_force(psnr, model, image) for image in range(4)] for model in range(15)]
    np.testing.assert_allclose(ranks_elsewhere(psnr), expected)


def test_an_image_on_which_the_best_alone_were_trained_turns_no_rank_round():
    order = np.arange(12, 0, -1.0)
    psnr = np.stack([order, order, order, np.full(12, np.nan)], axis=1)
    psnr[6:, 1] = np.nan
    ranks = ranks_elsewhere(psnr)
    np.testing.assert_allclose(ranks[:6], np.arange(1, 7)[:, None] / np.full(4, 6))
    assert np.isnan(ranks[6:]).all()


def test_kendall_and_correlate_judge_it_as_a_score(three):
    psnr = three.runs.groupby(["model", "image"])["best_psnr_smooth"].mean().unstack()[[*IMAGES]]
    mine = [brute_force(psnr.to_numpy(), model, 1) for model in range(len(psnr))]
    expected = scipy.stats.kendalltau(mine, psnr["coins"])
    found = kendall(three, "coins", "denoising", ELSEWHERE)
    assert found.tau == pytest.approx(expected.statistic)
    assert found.tau_directed == -found.tau > 0
    row = correlate(three, "coins").set_index("score").loc[ELSEWHERE]
    assert (row["tau"], row["direction"]) == (found.tau, "lower")
    assert row["tau_low"] < row["tau"] < row["tau_high"]
    assert row["regret"] < row["random_regret"]


def test_one_image_asked_for_is_one_of_all(three):
    every = correlate(three, resamples=0)
    for image in IMAGES:
        rows = every[every["image"] == image].reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, correlate(three, image, resamples=0))


def test_it_follows_the_summary_that_is_asked_for(three):
    by_ten = mean_rank_elsewhere(three, "denoising", by=10)
    assert not by_ten.equals(mean_rank_elsewhere(three, "denoising"))
    truth = three.runs.groupby("model")["final_psnr"].mean()
    assert set(by_ten.index) == set(truth.index)


def test_averages_and_comparisons_have_it(three):
    averages = correlate_over_images(three).set_index("score")
    assert averages.loc[ELSEWHERE, "images"] == 3
    paired = compare_scores(three, SCORE, ELSEWHERE, "camera").iloc[0]
    assert paired["second_tau_directed"] == pytest.approx(
        kendall(three, "camera", "denoising", ELSEWHERE).tau_directed, rel=0.01
    )  # apart from ties, which count otherwise


def test_a_benchmark_without_scores_has_it_still(three, monkeypatch):
    monkeypatch.setattr(three, "scores", lambda: pytest.fail("no scores are needed"))
    assert kendall(three, "camera", "denoising", ELSEWHERE).n == 40


def test_with_one_image_there_is_none(make_bench):
    one = make_bench(images=("camera",))
    assert ELSEWHERE not in set(correlate(one)["score"])
    with pytest.raises(QueryError, match="only one"):
        kendall(one, "camera", "denoising", ELSEWHERE)
    row = correlate(one, scores=[SCORE, ELSEWHERE]).set_index("score").loc[ELSEWHERE]
    assert np.isnan(row["tau"])
    assert row["missing_score"] == row["missing"] == 40
    told = kendalls(one, "camera", "denoising", [ELSEWHERE, SCORE])
    assert told[SCORE].n == 40
    assert told[ELSEWHERE].endswith(row["reason"])
    assert row["reason"] == "no model has a PSNR on another image of the task"
    with pytest.raises(QueryError, match="at least 2 images"):
        mean_rank_elsewhere(one, "denoising")


def test_it_is_never_stored(three):
    correlate(three)
    assert ELSEWHERE not in set(three.scores()["score"])
