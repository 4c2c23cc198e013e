"""Two benchmarks beside each other: their orders, what their seeds leave of that, what it costs."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import dipbench
from dipbench.analysis.agreeing import agreement
from dipbench.errors import QueryError
from dipbench.evaluate.protocol import get_protocol


@pytest.fixture
def bench(make_bench):
    return make_bench(models=60)


@pytest.fixture
def other(make_bench):
    return make_bench(models=60, seed=1)


def like(other, bench, noise):
    """Give a benchmark the models' abilities of another one, and a noise of its own."""
    rng = np.random.default_rng(7)
    means = bench.runs.groupby(["image", "model"])["best_psnr_smooth"].mean()
    known = means.loc[pd.MultiIndex.from_frame(other.runs[["image", "model"]])].to_numpy()
    other.runs["best_psnr_smooth"] = known + rng.normal(0, noise, len(known))


def table(bench, image="camera"):
    runs = bench.runs[bench.runs["image"] == image]
    return runs.pivot(index="model", columns="seed", values="best_psnr_smooth")


def test_means_and_seeds_are_compared_and_a_seed_never_with_itself(bench, other):
    like(other, bench, 0.5)
    row = agreement(bench, other, "camera", resamples=200).iloc[0]
    mine, theirs = table(bench), table(other)

    def tau(one, two):
        return scipy.stats.kendalltau(one, two).statistic

    assert row["tau"] == pytest.approx(tau(mine.mean(axis=1), theirs.mean(axis=1)))
    assert row["seed_tau"] == pytest.approx((tau(mine[0], theirs[1]) + tau(mine[1], theirs[0])) / 2)
    r = [np.sin(np.pi / 2 * tau(one[0], one[1])) for one in (mine, theirs)]
    assert row["attainable_tau"] == pytest.approx(2 / np.pi * np.arcsin(np.sqrt(r[0] * r[1])))
    assert row["shortfall"] == pytest.approx(row["attainable_tau"] - row["seed_tau"])
    assert row["shortfall_low"] < row["shortfall"] < row["shortfall_high"]
    best = theirs.mean(axis=1).idxmax()
    means = mine.mean(axis=1)
    assert row["transfer_regret"] == pytest.approx(means.max() - means[best])
    assert row["difference_db"] == pytest.approx((means - theirs.mean(axis=1)).median())
    assert (row["seeds"], row["other_seeds"], row["n"], row["missing"]) == (2, 2, 60, 0)


def test_one_order_is_not_shown_to_differ_and_two_orders_are(bench, other):
    like(other, bench, 0.3)
    same = agreement(bench, other).set_index("image")
    assert (same["shortfall_low"] < 0.05).all()
    assert (same["tau"] > 0.7).all()
    rng = np.random.default_rng(0)
    chance = dict(zip(map(str, other.genotypes), rng.normal(size=60), strict=True))
    noise = rng.normal(0, 0.1, len(other.runs))
    other.runs["best_psnr_smooth"] = other.runs["model"].map(chance) + noise
    assert (agreement(bench, other)["shortfall_low"] > 0).all()


def test_only_models_with_every_seed_in_both_are_compared(bench, other):
    short = str(other.genotypes[0])
    other.runs.loc[(other.runs["model"] == short) & (other.runs["seed"] == 1), "status"] = "failed"
    row = agreement(bench, other, "camera").iloc[0]
    assert (row["n"], row["missing"]) == (59, 1)


def test_models_that_fulfil_a_condition_in_the_first_alone_are_compared():
    mini, pilot = dipbench.load("mini"), dipbench.load("pilot")
    row = agreement(pilot, mini, "camera", where="spikes < 100").iloc[0]
    runs = pilot.to_frame().query("image == 'camera'")
    fulfils = (runs["spikes"] < 100).groupby(runs["model"]).all()
    chosen = fulfils.index[fulfils]
    assert 5 < len(chosen) < len(fulfils)
    assert (row["n"], row["missing"]) == (len(chosen), 0)
    here, there = (
        bench.query_many(list(chosen), "camera", "denoising")["psnr"] for bench in (pilot, mini)
    )
    assert row["tau"] == pytest.approx(scipy.stats.kendalltau(here, there).statistic)
    with pytest.raises(QueryError, match="no run fulfils 'length == 7'"):
        agreement(pilot, mini, where="length == 7")


def test_models_of_a_condition_are_judged_though_others_were_ended_too_early():
    mini, pilot = dipbench.load("mini"), dipbench.load("pilot")
    with pytest.raises(QueryError, match="2 of the 1044 runs were stopped"):
        agreement(mini, pilot, "camera", by="stop:discrepancy")
    where = "stop_discrepancy > 0"
    row = agreement(mini, pilot, "camera", by="stop:discrepancy", where=where).iloc[0]
    assert (row["n"], row["missing"]) == (32, 488)


def test_what_is_missing_is_told(bench, other):
    other.runs = other.runs[other.runs["seed"] == 0]
    row = agreement(bench, other, "camera").iloc[0]
    assert np.isfinite(row["tau"])
    assert np.isnan(row["attainable_tau"])
    assert row["reason"] == "what noise takes is not known: both need two seeds"
    few = set(other.runs["model"].unique()[:3])
    other.runs = other.runs[other.runs["model"].isin(few)]
    row = agreement(bench, other, "camera").iloc[0]
    assert np.isnan(row["tau"])
    assert row["reason"].startswith("3 models have every seed in both")


def test_why_one_of_them_has_no_psnr_is_told(bench, other):
    other.protocol = get_protocol("mini64")
    other.runs["status"] = "stopped"
    told = "120 of the 120 runs were stopped by the protocol's rule"
    for pair, start in (
        ((other, bench), told),
        ((bench, other), f"of the other benchmark: {told}"),
    ):
        frame = agreement(*pair, by="final_psnr")
        assert frame["n"].eq(0).all()
        assert frame["reason"].str.startswith(start).all()


def test_an_image_of_equal_psnrs_leaves_the_others(bench, other):
    other.runs.loc[other.runs["image"] == "coins", "best_psnr_smooth"] = 24.5
    found = agreement(bench, other, resamples=200).set_index("image")
    told = "of the other benchmark: all 60 models reach 24.50 dB"
    assert (np.isnan(found.loc["coins", "tau"]), found.loc["coins", "reason"]) == (True, told)
    assert np.isfinite(found.loc["camera", "tau"])


def test_benchmarks_without_a_common_image_are_refused(bench, make_bench):
    apart = make_bench(models=20, images=("page",))
    with pytest.raises(QueryError, match=r"share no image and task: .*coins.* and page denoising"):
        agreement(bench, apart)
    with pytest.raises(QueryError, match="of the other benchmark: unknown image 'coins'"):
        agreement(bench, apart, "coins")
