"""The paired comparison of two scores."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from dipbench.analysis import compare_scores, correlate, kendall
from dipbench.analysis.baselines import ELSEWHERE
from dipbench.benchmark import load
from dipbench.errors import QueryError
from dipbench.evaluate.protocol import get_protocol


def test_without_ties_the_difference_is_that_of_the_directed_taus(bench):
    frame = compare_scores(bench, "psd_db_strip_mse", "psd_db_mse", "camera")
    row = frame.iloc[0]
    taus = [
        kendall(bench, "camera", "denoising", row[name]).tau_directed
        for name in ("first", "second")
    ]
    assert row["difference"] == pytest.approx(taus[0] - taus[1])
    assert row["low"] < row["difference"] < row["high"]
    assert row["p_bootstrap"] < 0.05


def test_a_score_against_itself_differs_by_nothing(bench):
    row = compare_scores(bench, "psd_db_mse", "psd_db_mse", "camera").iloc[0]
    assert (row["low"], row["high"], row["p_bootstrap"]) == (0, 0, 1)


def test_both_scores_are_judged_on_the_same_models(bench):
    rows = bench.score_rows
    gone = (rows["model"] == str(bench.genotypes[0])) & (rows["score"] == "psd_db_mse")
    rows.loc[gone, "value"] = np.nan
    row = compare_scores(bench, "psd_db_strip_mse", "psd_db_mse", "camera").iloc[0]
    assert (row["n"], row["missing"]) == (39, 1)


def test_the_refusal_tells_what_is_stored(bench):
    rows = bench.score_rows
    named = rows["score"] == "psd_db_mse"
    kept = rows["model"].isin([str(genotype) for genotype in bench.genotypes[:3]])
    bench.score_rows = rows[~named | kept]
    asked = (bench, "psd_db_strip_mse", "psd_db_mse", "camera")
    told = "no correlation on 3 models: at least 5 need both values, and 37 of 40 lack one"
    assert compare_scores(*asked)["reason"].tolist() == [told]
    bench.score_rows = rows.assign(value=rows["value"].where(~named, 0.5))
    assert "all 40 values of a column equal 0.5" in compare_scores(*asked)["reason"].iloc[0]


def test_a_score_without_direction_cannot_be_compared(bench):
    bench.score_rows["score"] = bench.score_rows["score"].replace("psd_db_mse", "mine")
    with pytest.raises(QueryError, match="no declared direction"):
        compare_scores(bench, "psd_db_strip_mse", "mine")


def test_ties_are_worth_what_breaking_them_by_chance_is(bench):
    rows = bench.score_rows
    tied = rows[rows["score"] == "psd_db_mse"].assign(score="psd_db_strip_mse")
    tied["value"] = tied["value"].rank().floordiv(27)
    bench.score_rows = pd.concat([rows[rows["score"] == "psd_db_mse"], tied])
    row = compare_scores(bench, "psd_db_strip_mse", "psd_db_mse", "camera").iloc[0]
    mine = tied[tied["image"] == "camera"].groupby("model")["value"].mean()
    psnr = bench.runs[bench.runs["image"] == "camera"].groupby("model")["best_psnr_smooth"].mean()
    rng = np.random.default_rng(0)
    broken = [
        kendalltau(mine + rng.uniform(0, 1e-6, len(mine)), psnr.reindex(mine.index)).statistic
        for _ in range(400)
    ]
    assert len(mine.unique()) < len(mine) / 2
    assert row["first_tau_directed"] == pytest.approx(-np.mean(broken), abs=0.01)


def test_an_image_that_lacks_a_score_is_told(bench):
    rows = bench.score_rows
    bench.score_rows = rows[(rows["image"] != "coins") | (rows["score"] != "psd_db_mse")]
    frame = compare_scores(bench, "psd_db_strip_mse", "psd_db_mse").set_index("image")
    assert frame.loc["coins", "reason"] == "no score psd_db_mse here: score it first"
    assert np.isfinite(frame.loc["camera", "difference"])
    with pytest.raises(QueryError, match="unknown score"):
        compare_scores(bench, "psd_db_strip_mse", "macs")


def test_why_there_is_no_psnr_is_told(bench):
    bench.protocol = get_protocol("mini64")
    bench.runs["status"] = "stopped"
    frame = compare_scores(bench, "psd_db_strip_mse", "psd_db_mse", by="final_psnr")
    assert frame["n"].eq(0).all()
    assert frame["reason"].str.startswith("80 of the 80 runs were stopped by the").all()


def test_a_baseline_that_takes_another_image_says_so(make_bench):
    [row] = compare_scores(make_bench(images=("camera",)), "psd_db_mse", ELSEWHERE)["reason"]
    assert row == "no model has a PSNR on another image of the task"


def test_every_score_is_compared_where_none_is_named(bench):
    frame = compare_scores(bench, None, "psd_db_mse")
    assert set(frame["first"]) == {"psd_db_strip_mse", "psd_99_per_bw", ELSEWHERE}
    alone = compare_scores(bench, "psd_99_per_bw", "psd_db_mse")
    same = frame[frame["first"] == "psd_99_per_bw"].reset_index(drop=True)
    pd.testing.assert_frame_equal(same, alone)


def test_scores_are_compared_on_some_of_the_models():
    mini = load("mini")
    asked = {"by": "stop:discrepancy", "where": "kernel == 3 and primitive in ('nearest',)"}
    row = compare_scores(mini, "psd_99_per_bw", "macs", **asked).iloc[0]
    kinds = [(genotype.kernel, genotype.primitive) for genotype in mini.genotypes]
    assert row["n"] == kinds.count((3, "nearest"))
    with pytest.raises(QueryError, match="no run fulfils"):
        compare_scores(mini, "psd_99_per_bw", "macs", where="kernel == 4")


def test_runs_that_a_rule_ended_too_early_are_in_the_way_of_their_own_kind_alone():
    mini, asked = load("mini"), {"scores": ["macs"], "by": "stop:discrepancy", "resamples": 0}
    assert correlate(mini, where="primitive != 'bilinear'", **asked)["n"].tolist() == [408]
    with pytest.raises(QueryError, match="2 of the 228 runs were stopped by the protocol's rule"):
        correlate(mini, where="primitive == 'bilinear'", **asked)
    told = "2 of the 1044 runs were stopped .*in Python where='stop_discrepancy > 0'$"
    with pytest.raises(QueryError, match=told):
        correlate(mini, **asked)
    kinds = [genotype.primitive for genotype in mini.genotypes]
    few, count = (
        "primitive in ('nearest', 'bicubic')",
        kinds.count("nearest") + kinds.count("bicubic"),
    )
    assert kendall(mini, "camera", "denoising", "macs", "stop:discrepancy", few).n == count


def test_no_first_score_is_refused(bench):
    with pytest.raises(QueryError, match="no first score"):
        compare_scores(bench, [], "psd_db_mse")


def test_the_baseline_of_other_images_is_none_where_there_is_one(make_bench):
    bench = make_bench(tasks=("denoising-25", "sr-4"))
    for frame in ("runs", "score_rows"):
        rows = getattr(bench, frame)
        setattr(bench, frame, rows[(rows["task"] != "sr-4") | (rows["image"] == "camera")])
    found = compare_scores(bench, None, ELSEWHERE, resamples=10)
    of_one = found[found["task"] == "sr-4"]
    assert of_one["reason"].str.contains("there is only one").all()
    assert found[found["task"] != "sr-4"]["difference"].notna().all()
