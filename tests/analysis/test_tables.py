"""Every table by name, and the figures in it against the functions they come from."""

import numpy as np
import pytest

import dipbench
from dipbench.analysis import kendall
from dipbench.analysis.early_stops import stopping_losses
from dipbench.analysis.reporting import report
from dipbench.analysis.search.interface import Budget
from dipbench.analysis.search.replaying import replay
from dipbench.analysis.specificity import score_transfer
from dipbench.analysis.tables import (
    TABLES,
    attributes_per_image,
    best_iterations,
    best_models,
    picks,
    score_correlations,
    score_over_images,
    tau_per_image,
    truth_over_images,
    variance,
)
from dipbench.errors import QueryError
from dipbench.evaluate.protocol import get_protocol

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


def test_picks_without_a_psnr_say_why(bench):
    bench.protocol = get_protocol("mini64")
    bench.runs["status"] = "stopped"
    frame = picks(bench, by="final_psnr")
    assert sorted(frame["k"].unique()) == [5, 15]
    assert frame["regret"].isna().all()
    assert frame["reason"].str.startswith("80 of the 80 runs were stopped by the").all()


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


def test_scores_are_compared_where_the_models_share_no_seed(uneven):
    assert score_correlations(uneven, "page", "denoising").attrs["n"][0][1] == 40
    with pytest.raises(QueryError, match="unknown image 'pge': did you mean 'page'"):
        score_correlations(uneven, "pge", "denoising")


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


@pytest.fixture
def uneven(make_bench):
    """Of coins four models are trained, of page none has a seed in common."""
    bench = make_bench(images=("camera", "coins", "page"))
    few = bench.runs["model"].isin(bench.runs["model"].unique()[:4])
    bench.runs = bench.runs[(bench.runs["image"] != "coins") | few]
    late = (bench.runs["image"] == "page") & bench.runs["model"].isin(models_of(bench)[::2])
    bench.runs["seed"] += 7 * late
    return bench


def models_of(bench):
    return list(bench.runs["model"].unique())


def test_an_image_that_is_not_ready_leaves_the_others_theirs(uneven):
    effects = attributes_per_image(uneven)
    assert set(effects["image"]) == {"camera", "coins", "page"}
    assert effects[effects["image"] == "camera"]["effect"].notna().all()
    reasons = effects.dropna(subset=["reason"]).set_index("image")["reason"]
    assert reasons["coins"].startswith("no effects on 4 genotypes")
    iterations = best_iterations(uneven).set_index("image")
    assert iterations.loc["camera", "runs"] == 80
    assert iterations.loc["page", "runs"] == 0
    assert iterations.loc["page", "reason"] == "the models share no seed: train the missing runs"


def test_two_images_that_share_too_few_models_have_no_tau(make_bench):
    bench = make_bench(images=("camera", "coins", "page"))
    few = bench.runs["model"].isin(models_of(bench)[:4])
    bench.runs = bench.runs[(bench.runs["image"] != "coins") | few]
    frame = truth_over_images(bench, "denoising")
    assert np.isfinite(frame.loc["camera", "page"])
    assert np.isnan(frame.loc["camera", "coins"])
    assert frame.attrs["n"] == [[40, 4, 40], [4, 4, 4], [40, 4, 40]]
    bench.runs = bench.runs[bench.runs["image"] != "page"]
    with pytest.raises(QueryError, match="no correlation on 4 models"):
        truth_over_images(bench, "denoising")


def test_best_iterations_of_any_moving_average(bench):
    bench.runs["best_psnr_smooth_0.5_iteration"] = 7
    bench.runs["best_psnr_smooth_0.5"] = 20.0
    assert best_iterations(bench, by="best_psnr_smooth_0.5")["median"].tolist() == [7, 7]


def test_the_best_models_are_those_of_the_queries():
    pilot = dipbench.load("pilot")
    for by, asked in ((303, {"by": 303}), ("stop:discrepancy", {"stopping": "discrepancy"})):
        frame = best_models(pilot, by)
        best = [pilot.best(image, task, **asked) for image, task in pilot.pairs]
        assert frame["model"].tolist() == [one.model for one in best]
        assert frame["psnr"].tolist() == [one.psnr for one in best]


def test_a_pair_without_a_best_model_says_why():
    pilot = dipbench.load("pilot")
    with pytest.raises(QueryError, match="unknown summary 'stop:nothing'"):
        best_models(pilot, "stop:nothing")
    frame = best_models(pilot, 3)
    assert frame["model"].isna().all()
    assert frame["reason"].str.contains("not recorded here").all()


def test_attributes_of_too_few_models_on_both_sides_say_so(make_bench):
    bench = make_bench()
    kept = {str(genotype) for genotype in bench.genotypes[:6]}
    runs = bench.runs
    bench.runs = runs[(runs["image"] != "coins") | runs["model"].isin(kept)]
    frame = TABLES["attributes"](bench).set_index("image")
    assert frame.loc["camera", "effect"].notna().all()
    assert "train more models" in frame.loc["coins", "reason"]
    with pytest.raises(QueryError, match="train more models"):
        TABLES["attributes"](make_bench(models=6))


@pytest.mark.parametrize("name", ["task", "score", "direction", "mean"])
def test_an_image_called_as_a_column_is_refused(bench, name):
    bench.images = (name, "coins")
    with pytest.raises(QueryError, match=f"an image is called {name}"):
        tau_per_image(bench)


def test_psnrs_that_do_not_vary_have_no_shares(bench):
    bench.runs[["best_psnr", "best_psnr_smooth"]] = 25.0
    with pytest.raises(QueryError, match="do not vary"):
        variance(bench, "denoising")


def test_a_name_in_place_of_a_benchmark_is_told_everywhere():
    asked = (
        lambda bench: best_models(bench),
        lambda bench: best_iterations(bench),
        lambda bench: stopping_losses(bench),
        lambda bench: report(bench, "report.html"),
        lambda bench: replay(bench, "camera", "denoising", ["random"], Budget(1)),
    )
    for ask in asked:
        with pytest.raises(QueryError, match="pilot is not open"):
            ask("pilot")
