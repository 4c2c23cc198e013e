"""Averages over images: of taus, never of pooled PSNRs."""

import numpy as np
import pandas as pd
import pytest

from dipbench.analysis import compare_scores, correlate_over_images, kendall
from dipbench.analysis.averaging import average_tau
from dipbench.errors import QueryError

SCORE = "psd_db_strip_mse"


def test_the_average_is_the_mean_of_the_images_taus(bench):
    frame = correlate_over_images(bench).set_index("score")
    taus = [kendall(bench, image, "denoising", SCORE).tau for image in bench.images]
    assert frame.loc[SCORE, "tau"] == pytest.approx(np.mean(taus))
    assert frame.loc[SCORE, "tau_directed"] == pytest.approx(-np.mean(taus))
    assert frame.loc[SCORE, "tau_directed_low"] == -frame.loc[SCORE, "tau_high"]
    assert frame.loc[SCORE, "images"] == 2
    assert not frame.loc[SCORE, "images_resampled"]
    assert frame["p_max"].between(1 / 1001, 1).all()
    alone = correlate_over_images(bench, scores=[SCORE]).set_index("score")
    assert alone.loc[SCORE, "p_max"] <= frame.loc[SCORE, "p_max"]
    flat = bench.score_rows["score"] == "psd_db_mse"
    draws = np.random.default_rng(0).normal(size=flat.sum())
    bench.score_rows.loc[flat, "value"] = draws
    frame = correlate_over_images(bench).set_index("score")
    assert frame.loc["psd_db_mse", "p_max"] > 0.05 > frame.loc[SCORE, "p_max"]


def test_images_are_resampled_from_six_on(make_bench):
    frame = correlate_over_images(make_bench(images=tuple("abcdef")), resamples=200)
    assert frame["images_resampled"].all()
    resampled = np.tile(np.arange(6.0), (500, 1))
    spread = [average_tau(np.zeros(n), resampled[:, :n], np.random.default_rng(0)) for n in (5, 6)]
    assert spread[0].std() == 0
    assert spread[1].std() == pytest.approx(np.arange(6).std() / np.sqrt(6), rel=0.1)


def test_an_image_without_the_score_is_counted(make_bench):
    three = make_bench(images=("a", "b", "c"))
    rows = three.score_rows
    three.score_rows = rows[(rows["image"] != "c") | (rows["score"] != SCORE)]
    frame = correlate_over_images(three).set_index("score")
    assert frame.loc[SCORE, ["images", "images_missing"]].tolist() == [2, 1]


def test_one_image_is_no_average(make_bench):
    with pytest.raises(QueryError, match="two images"):
        correlate_over_images(make_bench(images=("a",)))


def test_what_has_no_interval_says_why(bench):
    blocks = {str(genotype): genotype.upsample for genotype in bench.genotypes}
    few = bench.runs["model"].map(blocks).value_counts().index[:4]
    bench.runs = bench.runs[
        (bench.runs["image"] == "camera") | bench.runs["model"].map(blocks).isin(few)
    ]
    frame = correlate_over_images(bench)
    assert frame["tau_low"].isna().all()
    assert (
        frame["reason"].str.fullmatch(r"no interval: fewer than 5 upsample blocks on .*coins").all()
    )


def test_a_perfect_order_that_resampling_cannot_change_has_no_p_value(bench):
    """Not one of 1 / 1001, of however few models."""
    truth = bench.runs.groupby(["model", "image"])["best_psnr_smooth"].mean()
    rows = bench.score_rows
    perfect = rows["score"] == SCORE
    keys = pd.MultiIndex.from_frame(rows.loc[perfect, ["model", "image"]])
    rows.loc[perfect, "value"] = -truth.reindex(keys).to_numpy()
    row = correlate_over_images(bench).set_index("score").loc[SCORE]
    assert row["tau_directed"] == pytest.approx(1)
    assert np.isnan(row[["p_bootstrap", "p_max"]].astype(float)).all()
    assert row["reason"] == "no p-value: it is the same on every resample"
    compared = compare_scores(bench, SCORE, "psd_db_mse").set_index("image")
    assert compared["p_bootstrap"].notna().all()


def test_a_score_without_an_average_says_what_one_image_lacks(bench):
    rows = bench.score_rows
    rows.loc[(rows["score"] == SCORE) & (rows["image"] != "camera"), "value"] = np.nan
    row = correlate_over_images(bench).set_index("score").loc[SCORE]
    assert row["reason"].startswith("no average: it has a tau on 1 image; ")
    assert ": no correlation on 0 models" in row["reason"]


def test_of_few_models_no_average_has_a_p_value_among_many(make_bench):
    few = correlate_over_images(make_bench(models=7), resamples=200)
    assert few["p_max"].isna().all()
    assert few["reason"].eq("no p_max: fewer than 8 models").all()
    assert few["p_bootstrap"].notna().all()
    assert correlate_over_images(make_bench(models=8), resamples=200)["p_max"].notna().all()
