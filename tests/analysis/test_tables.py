"""Every table by name, and the figures in it against the functions they come from."""

import numpy as np
import pytest

from dipbench.analysis import kendall
from dipbench.analysis.specificity import score_transfer
from dipbench.analysis.tables import (
    TABLES,
    best_iterations,
    picks,
    score_correlations,
    score_over_images,
    tau_per_image,
    variance,
)
from dipbench.errors import QueryError

SCORE = "psd_db_strip_mse"


@pytest.mark.parametrize("name", TABLES)
def test_every_table_of_a_benchmark(bench, name):
    frame = TABLES[name](bench, task="denoising", by="best_psnr")
    assert len(frame) > 0
    assert frame.attrs["by"] == "best_psnr"
    assert not frame.isna().all(axis=1).any()


def test_tau_per_image_is_raw_and_has_a_mean(bench):
    frame = tau_per_image(bench).set_index("score")
    taus = [kendall(bench, image, "denoising", SCORE).tau for image in ("camera", "coins")]
    assert frame.loc[SCORE, ["camera", "coins"]].tolist() == pytest.approx(taus)
    assert frame.loc[SCORE, "mean"] == pytest.approx(np.mean(taus))


def test_picks_are_judged_at_five_and_fifteen(bench):
    frame = picks(bench)
    assert sorted(frame["k"].unique()) == [5, 15]
    assert (frame["random_regret"] > 0).all()
    few, many = (frame[frame["k"] == k]["regret"].to_numpy() for k in (5, 15))
    assert (few >= many).all()


def test_one_score_over_images_is_its_transfer(bench):
    found = score_transfer(bench, "denoising", SCORE, resamples=0)
    frame = score_over_images(bench, "denoising", SCORE)
    np.testing.assert_array_equal(frame, found.taus)
    assert list(frame.index) == list(frame.columns) == ["camera", "coins"]


def test_scores_against_each_other(bench):
    frame = score_correlations(bench, "camera", "denoising")
    np.testing.assert_array_equal(frame, frame.T)
    assert np.diag(frame) == pytest.approx(1)
    assert frame.attrs["n"][0][1] == 40


def test_best_iterations_are_quantiles_over_runs(bench):
    row = best_iterations(bench).iloc[0]
    at = bench.runs[bench.runs["image"] == "camera"]["best_psnr_smooth_iteration"]
    assert row["median"] == at.median()
    assert (row["earliest"], row["latest"]) == (at.min(), at.max())
    assert row["share_at_end"] == (at >= 95).mean()
    with pytest.raises(QueryError, match="no best iteration"):
        best_iterations(bench, by="final_psnr")


def test_shares_of_the_variance_sum_to_one(bench):
    assert variance(bench, "denoising")["share"].sum() == pytest.approx(1)
