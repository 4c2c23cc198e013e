"""The wrappers on a benchmark against scipy on its frames, and what they say of gaps."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from dipbench import load
from dipbench.analysis import KendallResult, compare_scores, correlate, kendall
from dipbench.analysis.correlation import _adjusted, kendalls
from dipbench.analysis.tables import picks
from dipbench.analysis.transfer import truth_transfer
from dipbench.errors import QueryError
from dipbench.evaluate.protocol import DiscrepancyStop, get_protocol
from dipbench.genotypes import Genotype

SCORE = "psd_db_strip_mse"


def columns(bench, image="camera", score=SCORE, by="best_psnr_smooth"):
    runs, scores = bench.runs, bench.score_rows
    psnr = runs[runs["image"] == image].groupby("model")[by].mean()
    mine = scores[(scores["image"] == image) & (scores["score"] == score)]
    return psnr, mine.groupby("model")["value"].mean().reindex(psnr.index)


@pytest.mark.parametrize("by", ["best_psnr_smooth", "best_psnr", "final_psnr_smooth", "final_psnr"])
def test_kendall_agrees_with_scipy_on_the_frames(bench, by):
    psnr, score = columns(bench, by=by)
    expected = scipy.stats.kendalltau(score, psnr)
    tau, p_value, n = kendall(bench, "camera", "denoising", "psd db strip mse", by=by)
    assert tau == pytest.approx(expected.statistic, abs=1e-12)
    assert p_value == pytest.approx(expected.pvalue)
    assert n == 40


def test_what_the_truth_has_cut_runs_before_is_no_truth_of_the_others(bench):
    bench.protocol = get_protocol("mini64")
    cut = (bench.runs["model"] == bench.runs["model"].iloc[0]) & (bench.runs["image"] == "camera")
    bench.runs.loc[cut, ["status", "length"]] = "stopped", 60
    for mine, curve in bench.curves["psnr_smooth"].items():
        if mine[:2] == (bench.runs["model"].iloc[0], "camera"):
            curve[60:] = np.nan
    assert len(correlate(bench, resamples=0)) == 8
    for by, words in (
        (60, "smoothed PSNR at iteration 60"),
        ("final_psnr", "final PSNR"),
        ("stop:last", "smoothed PSNR where last stops"),
    ):
        told = f"camera denoising-25: 2 of the 80 runs were .* before a {words} was known"
        with pytest.raises(QueryError, match=told):
            correlate(bench, "camera", by=by, resamples=0)
        assert kendall(bench, "coins", "denoising", SCORE, by=by).n == 40
    assert kendall(bench, "camera", "denoising", SCORE, by=59).n == 40


def test_tau_is_raw_and_the_directed_one_is_labelled(bench):
    found = kendall(bench, "camera", "denoising-25", SCORE)
    assert isinstance(found, KendallResult)
    assert found.tau < 0 < found.tau_directed == -found.tau
    assert "tau_directed=" in repr(found)


def test_by_an_iteration_reads_the_smoothed_curves(bench):
    psnr = [
        np.mean([bench.curve(g, "camera", "denoising-25", seed=s)[10] for s in (0, 1)])
        for g in map(str, bench.genotypes)
    ]
    score = columns(bench)[1].reindex(list(map(str, bench.genotypes)))
    expected = scipy.stats.kendalltau(score, psnr).statistic
    assert kendall(bench, "camera", "denoising", SCORE, by=10).tau == pytest.approx(expected)


def test_by_a_criterion_without_truth_replays_the_curves(bench):
    stops = {}
    for key, variance in bench.curves["variance"].items():
        if key[1] == "camera":
            # A fifth of the 100 iterations is waited for; where it never fires, the last is kept.
            lowest = int(np.argmin(variance))
            stops[key] = bench.curves["psnr_smooth"][key][lowest if lowest < 80 else -1]
    psnr = pd.Series(stops).groupby(level=0).mean()
    expected = scipy.stats.kendalltau(columns(bench)[1].reindex(psnr.index), psnr).statistic
    found = kendall(bench, "camera", "denoising", SCORE, by="stop:variance_scaled")
    assert found.tau == pytest.approx(expected)


def test_within_compares_models_of_one_primitive(bench):
    psnr, score = columns(bench)
    kinds = [Genotype.parse(model).primitive for model in psnr.index]
    agreed, pairs = 0.0, 0
    for kind in set(kinds):
        mine = [other == kind for other in kinds]
        n = sum(mine)
        if n > 1:
            tau = scipy.stats.kendalltau(score[mine], psnr[mine]).statistic
            agreed, pairs = agreed + tau * n * (n - 1) / 2, pairs + n * (n - 1) // 2
    [row] = correlate(bench, "camera", scores=[SCORE]).to_dict("records")
    assert row["tau_within"] == pytest.approx(agreed / pairs)
    assert row["tau_within_low"] < row["tau_within"] < row["tau_within_high"]


def test_a_named_score_may_be_known_on_one_image_alone(bench):
    rows = bench.score_rows
    bench.score_rows = rows[(rows["image"] != "coins") | (rows["score"] != SCORE)]
    found = correlate(bench, scores=[SCORE, "psd_db_mse"])
    assert found[found["score"] == SCORE]["image"].tolist() == ["camera"]
    assert found[found["score"] == "psd_db_mse"]["image"].tolist() == ["camera", "coins"]
    with pytest.raises(QueryError, match="unknown score of coins denoising-25 'psd_db_strip_mse'"):
        correlate(bench, "coins", scores=[SCORE])
    with pytest.raises(QueryError, match="unknown score 'psd_db_strip': did you"):
        correlate(bench, scores=["psd_db_strip"])


def test_gaps_are_left_out_and_counted(bench):
    models = list(map(str, bench.genotypes))
    runs, scores = bench.runs, bench.score_rows
    gone = (runs["image"] == "camera") & runs["model"].isin(models[:2])
    runs.loc[gone, "status"] = "failed"
    runs.loc[gone, "best_psnr_smooth"] = np.nan
    half = (runs["image"] == "camera") & (runs["model"] == models[5]) & (runs["seed"] == 1)
    runs.loc[half, "status"] = "diverged"
    nan = (scores["model"] == models[3]) & (scores["score"] == SCORE)
    scores.loc[nan, "value"] = np.nan
    one = (scores["model"] == models[4]) & (scores["score"] == SCORE)
    scores.loc[one & (scores["initialisation"] == 2), "value"] = np.inf
    [row] = correlate(bench, "camera", scores=[SCORE]).to_dict("records")
    assert (row["n"], row["missing"]) == (37, 3)
    assert (row["missing_psnr"], row["missing_runs"], row["missing_score"]) == (2, 5, 1)
    assert row["missing_initialisations"] == 4
    runs = runs[(runs["image"] == "camera") & runs["status"].eq("finished")]
    psnr = runs.groupby("model")["best_psnr_smooth"].mean()
    mine = scores[(scores["image"] == "camera") & (scores["score"] == SCORE)]
    mine = mine[np.isfinite(mine["value"])].groupby("model")["value"].mean()
    both = pd.concat([psnr, mine], axis=1, join="inner")
    expected = scipy.stats.kendalltau(both.iloc[:, 0], both.iloc[:, 1])
    assert row["tau"] == pytest.approx(expected.statistic, abs=1e-12)


def test_only_seeds_that_all_models_have_are_used(bench):
    models = list(map(str, bench.genotypes))
    late = (bench.runs["seed"] == 1) & bench.runs["model"].isin(models[:30])
    bench.runs = bench.runs[~late]
    frame = correlate(bench, "camera")
    assert (frame["seeds"] == 1).all()
    assert (frame["n"] == 40).all()
    assert frame["regret_crossfit"].isna().all()
    assert frame["reason"].eq("no cross-fitted regret: one seed").all()


def test_models_without_a_shared_seed_are_refused(bench):
    first = str(bench.genotypes[0])
    bench.runs.loc[bench.runs["model"] == first, "seed"] += 7
    with pytest.raises(QueryError, match="share no seed"):
        kendall(bench, "camera", "denoising", SCORE)


def test_an_unknown_seed_is_one_seed(bench):
    bench.runs = bench.runs[bench.runs["seed"] == 0].assign(seed=pd.NA).astype({"seed": "Int64"})
    assert kendall(bench, "camera", "denoising", SCORE).n == 40


def test_fewer_than_five_models_are_no_correlation(make_bench):
    small = make_bench(models=4)
    with pytest.raises(QueryError, match="camera denoising-25: no correlation on 4 models"):
        kendall(small, "camera", "denoising", SCORE)
    with pytest.raises(QueryError, match="4 models"):
        correlate(small)


def test_a_constant_score_has_a_reason_and_no_number(bench):
    bench.score_rows.loc[bench.score_rows["score"] == "psd_99_per_bw", "value"] = 0.5
    with pytest.raises(QueryError, match="psd_99_per_bw on camera"):
        kendall(bench, "camera", "denoising", "psd_99_per_bw")
    frame = correlate(bench, "camera").set_index("score")
    assert "equal 0.5" in frame.loc["psd_99_per_bw", "reason"]
    assert np.isnan(frame.loc["psd_99_per_bw", "tau"])
    own = picks(bench).query("image == 'camera' and k == 15").set_index("score")
    same = own.loc["psd_99_per_bw", "regret"]
    assert frame.loc["psd_99_per_bw", "regret"] == same
    assert frame.loc["psd_99_per_bw", "tied_score_pairs"] == 40 * 39 / 2
    assert frame.loc[SCORE, "p_max"] < 0.05


def test_the_frame_is_tidy_and_says_what_it_holds(bench):
    frame = correlate(bench, k=5)
    assert len(frame) == 2 * 4, "three scores and the rank on the other image"
    assert not frame.duplicated(["image", "task", "score"]).any()
    assert frame.attrs["directions"][SCORE] == "lower"
    assert frame.attrs["units"]["regret"].startswith("dB")
    assert frame.attrs["by"] == "best_psnr_smooth"
    assert (frame["tau_low"] <= frame["tau"]).all()
    assert (frame["tau"] <= frame["tau_high"]).all()
    assert (frame["p_value"] <= frame["p_holm"]).all()
    assert (frame["regret"] >= 0).all()
    assert frame["reason"].isna().all()


def test_holm_counts_every_score_once(bench):
    names = ["psd_db_mse", "psd_99_per_bw", "psd_db_strip_mse"]
    rows = correlate(bench, "camera", None, [*names, names[0]]).set_index("score")
    assert list(rows.index) == names
    ordered = rows.sort_values("p_value")
    steps = np.maximum.accumulate(ordered["p_value"] * [3, 2, 1])
    np.testing.assert_allclose(ordered["p_holm"], np.minimum(steps, 1))
    assert (rows["p_max"] > 0).all()
    alone = correlate(bench, "camera", None, names[:1])
    assert alone["p_holm"].item() == alone["p_value"].item()


def test_the_picks_are_those_of_the_declared_end_on_every_seed(bench):
    rows = correlate(bench, "camera", scores=[SCORE], k=5).set_index("score")
    runs = bench.runs[bench.runs["image"] == "camera"]
    psnr = runs.pivot(index="model", columns="seed", values="best_psnr_smooth")
    scored = bench.score_rows.query("image == 'camera' and score == @SCORE")
    picked = scored.groupby("model")["value"].mean().nsmallest(5).index
    assert rows.loc[SCORE, "best_psnr"] == pytest.approx(psnr.mean(axis=1)[picked].max())
    turns = [
        psnr[1 - seed][psnr[seed].idxmax()] - psnr[1 - seed][psnr.loc[picked, seed].idxmax()]
        for seed in (0, 1)
    ]
    assert rows.loc[SCORE, "regret_crossfit"] == pytest.approx(np.mean(turns))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"scores": "psd_db_mse"}, "give a list of scores"),
        ({"k": 0}, "give a whole number from 1"),
        ({"level": 95}, "between 0 and 1"),
        ({"resamples": -1}, "give a whole number from 0"),
        ({"by": 100}, "outside the curves' 0..99"),
    ],
)
def test_what_cannot_be_asked_is_said(bench, asked, told):
    with pytest.raises(QueryError, match=told):
        correlate(bench, "camera", **asked)


def test_resampling_repeats_and_follows_its_seed(bench):
    first, again = (correlate(bench, "camera", resamples=50) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    other = correlate(bench, "camera", resamples=50, seed=1)
    assert not first["tau_low"].equals(other["tau_low"])


def test_few_upsample_codes_have_no_interval_and_say_so(bench):
    code = bench.genotypes[0].upsample
    bench.genotypes = tuple(type(g)(code, g.skip) for g in bench.genotypes)
    names = dict(zip(sorted(bench.runs["model"].unique()), map(str, bench.genotypes), strict=True))
    bench.runs["model"] = bench.runs["model"].map(names)
    bench.score_rows["model"] = bench.score_rows["model"].map(names)
    frame = correlate(bench, "camera")
    assert frame[["tau_low", "p_max"]].isna().all(axis=None)
    assert frame["reason"].str.contains("fewer than 5 upsample blocks").all()


def test_a_score_of_few_upsample_codes_has_no_interval(bench):
    codes = Counter(genotype.upsample for genotype in bench.genotypes).most_common(4)
    few = [str(g) for g in bench.genotypes if g.upsample in dict(codes)]
    rows = bench.score_rows
    bench.score_rows = rows[(rows["score"] != SCORE) | rows["model"].isin(few)]
    table = correlate(bench, "camera").set_index("score")
    assert table.loc[SCORE, "n"] == len(few) >= 5
    assert table.loc[SCORE, ["tau_low", "tau_high", "p_max"]].isna().all()
    assert "fewer than 5 upsample blocks" in table.loc[SCORE, "reason"]
    assert table.drop(SCORE)["tau_low"].notna().all()
    paired = compare_scores(bench, SCORE, "psd_db_mse", "camera")
    assert paired[["low", "high", "p_bootstrap"]].isna().all(axis=None)


def test_a_score_nobody_registered_has_no_direction_and_no_picks(bench):
    bench.score_rows["score"] = bench.score_rows["score"].replace(SCORE, "mine")
    found = kendall(bench, "camera", "denoising", "mine")
    assert found.tau_directed is None
    row = correlate(bench, "camera", scores=["mine"]).iloc[0]
    assert "no declared direction" in row["reason"]
    assert np.isnan(row["regret"])


def test_outputs_made_in_two_ways_are_never_averaged(bench):
    table = bench.score_rows[bench.score_rows["score"] == SCORE].assign(how="table")
    bench.score_rows = pd.concat([bench.score_rows, table], ignore_index=True)
    frame = correlate(bench, "camera")
    assert {f"{SCORE}:table", f"{SCORE}:search"} <= set(frame["score"])
    assert (frame["direction"] == "lower").all()
    with pytest.raises(QueryError, match=f"{SCORE}:table"):
        kendall(bench, "camera", "denoising", SCORE)


def test_a_named_network_is_a_model_and_a_group_of_its_own(bench):
    first = str(bench.genotypes[0])
    bench.runs["model"] = bench.runs["model"].replace(first, "dip")
    bench.score_rows["model"] = bench.score_rows["model"].replace(first, "dip")
    assert kendall(bench, "camera", "denoising", SCORE).n == 40


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("camra", "denoising", SCORE), "did you mean 'camera'"),
        (("camera", "inpainting", SCORE), "unknown task"),
        (("camera", "denoising", "psd_db_strip"), "did you mean 'psd_db_strip_mse'"),
        (("camera", "denoising", SCORE, "best"), "unknown summary"),
        (("camera", "denoising", SCORE, -1), "unknown summary"),
    ],
)
def test_unknown_names_list_what_there_is(bench, arguments, told):
    with pytest.raises(QueryError, match=told):
        kendall(bench, *arguments)


def test_a_bare_task_is_ambiguous_where_there_are_two(make_bench):
    two = make_bench(tasks=("denoising-25", "denoising-50"))
    with pytest.raises(QueryError, match="denoising-25, denoising-50"):
        kendall(two, "camera", "denoising", SCORE)
    assert kendall(two, "camera", "denoising-25", SCORE).n == 40


def test_a_condition_leaves_the_models_that_fulfil_it():
    pilot, where = load("pilot"), "activation != 'none'"
    kept = [g for g in pilot.genotypes if g.activation != "none"]
    psnr = [pilot.query(g, "camera", "denoising").psnr for g in kept]
    snip = [pilot.score(g, "camera", "denoising", "snip") for g in kept]
    found = kendall(pilot, "camera", "denoising", "snip", where=where)
    assert found.n == len(kept) < len(pilot.genotypes)
    assert found.tau == pytest.approx(scipy.stats.kendalltau(snip, psnr).statistic)
    asked = {"scores": ["snip"], "resamples": 0, "k": 2}
    [row] = correlate(pilot, "camera", where=where, **asked).to_dict("records")
    assert (row["tau"], row["n"]) == (pytest.approx(found.tau), found.n)
    assert row["oracle_psnr"] == pytest.approx(max(psnr))


def test_a_condition_that_no_model_fulfils_is_refused():
    with pytest.raises(QueryError, match="no run fulfils 'kernel > 8'"):
        correlate(load("pilot"), where="kernel > 8")


@pytest.mark.parametrize("mates", [0, 1])
def test_tau_within_kinds_takes_five_models_that_share_one(bench, mates):
    kinds = {str(genotype): genotype.primitive for genotype in bench.genotypes}
    one_each = list({kind: model for model, kind in kinds.items()}.values())
    assert len(one_each) >= 5
    others = [model for model in kinds if model not in one_each]
    kept = bench.score_rows["model"].isin([*one_each, *others[:mates]])
    bench.score_rows = bench.score_rows[kept]
    frame = correlate(bench, "camera", scores=[SCORE])
    assert frame["tau_within"].isna().all()
    assert f"{2 * mates} models share their kind with another" in frame["reason"].iloc[0]


def test_no_score_asked_for_is_said(bench):
    with pytest.raises(QueryError, match="no score is asked for"):
        correlate(bench, scores=[])


def test_an_image_whose_models_share_no_seed_says_so(bench):
    moved = (bench.runs["image"] == "coins") & (bench.runs["model"] == str(bench.genotypes[0]))
    bench.runs["seed"] += 7 * moved
    frame = correlate(bench, scores=[SCORE]).set_index("image")
    assert frame.loc["coins", "reason"] == "the models share no seed: train the missing runs"
    assert np.isfinite(frame.loc["camera", "tau"])


def test_a_task_whose_models_share_no_seed_does_not_hide_the_others_of_a_named_image(make_bench):
    bench = make_bench(tasks=("denoising-25", "inpainting-50"))
    runs = bench.runs
    moved = (runs["task"] == "inpainting-50") & (runs["image"] == "camera")
    bench.runs["seed"] += 7 * (moved & (runs["model"] == str(bench.genotypes[0])))
    every, named = (correlate(bench, image, scores=[SCORE]) for image in (None, "camera"))
    of_camera = every[every["image"] == "camera"].reset_index(drop=True)
    pd.testing.assert_frame_equal(of_camera, named)
    frame = named.set_index("task")
    assert np.isfinite(frame.loc["denoising-25", "tau"])
    assert frame.loc["inpainting-50", "reason"].startswith("the models share no seed")
    with pytest.raises(QueryError, match="camera inpainting-50: the models share no seed"):
        correlate(bench, "camera", "inpainting")


def test_what_is_scored_alone_says_that_nothing_was_trained(bench):
    bench.runs = bench.runs[bench.runs["image"] != "coins"]
    with pytest.raises(QueryError, match="coins denoising-25: nothing was trained here"):
        kendall(bench, "coins", "denoising", SCORE)


def test_curves_of_an_unknown_seed_beside_a_known_one_are_not_asked_for(bench):
    bench.runs["seed"] = bench.runs["seed"].astype("Int64").replace({0: pd.NA})
    assert kendall(bench, "camera", "denoising", SCORE).n == 40
    with pytest.raises(QueryError, match="unknown seeds stand beside runs of known ones"):
        kendall(bench, "camera", "denoising", SCORE, by=50)


def test_a_condition_that_no_model_fulfils_on_one_image_leaves_the_others():
    where = "best_psnr_smooth > 25"
    frame = correlate(load("pilot"), scores=[SCORE], where=where).set_index("image")
    assert np.isfinite(frame.loc["camera", "tau"])
    assert np.isnan(frame.loc["astronaut", "tau"])
    assert "best_psnr_smooth" in frame.loc["astronaut", "reason"]


def test_an_image_with_scores_of_a_task_without_runs_says_so(make_bench):
    tasks = ("denoising-25", "inpainting-50")
    bench = make_bench(images=("camera", "coins", "page"), tasks=tasks)
    gone = (bench.runs["image"] == "coins") & (bench.runs["task"] == tasks[1])
    bench.runs = bench.runs[~gone]
    frame = correlate(bench, "coins").set_index("task")
    assert frame.loc[tasks[0], "tau"].notna().all()
    assert frame.loc[tasks[1], "tau"].isna().all()
    assert frame.loc[tasks[1], "reason"].notna().all()


def test_a_summary_that_one_image_cannot_have_leaves_the_others(bench, monkeypatch):
    query_many = bench.query_many

    def answer(models, image, task, **asked):
        if image == "coins":
            raise QueryError("no run has such a value")
        return query_many(models, image, task, **asked)

    monkeypatch.setattr(bench, "query_many", answer)
    frame = correlate(bench, scores=[SCORE], by=50).set_index("image")
    assert np.isfinite(frame.loc["camera", "tau"])
    assert frame.loc["coins", "reason"] == "no run has such a value"
    assert kendalls(bench, "camera", "denoising", by=50)[SCORE].n == 40
    with pytest.raises(QueryError, match="coins denoising-25: no run has such a value"):
        kendall(bench, "coins", "denoising", SCORE, by=50)
    with pytest.raises(QueryError, match="no run has such a value"):
        truth_transfer(bench, "denoising", by=50)


def test_a_perfect_order_of_few_models_is_as_likely_by_chance_as_it_is():
    """Every resample of it is perfect too: what it tells is no more than the exact p-value."""
    found = correlate(load("mini"), where="activation == 'none' and connections == 8", k=2)
    assert (found["p_max"] >= found["p_value"]).all()
    perfect = found[np.isclose(found["tau"].abs(), 1)]
    assert len(perfect) > 3
    assert (perfect["p_max"] == perfect["p_holm"]).all()
    assert (perfect["p_max"] > 0.05).all()


def test_of_few_models_the_better_score_is_no_less_significant():
    """Resamples in perfect order are not so far from the others that they alone decide."""
    found = correlate(load("pilot"), "camera", "denoising", where="kernel == 5", k=3)
    strong = found.set_index("score").loc["mean_rank_elsewhere"]
    assert strong["n"] == 8
    assert strong["tau_directed"] > 0.9
    assert strong["p_max"] == found["p_max"].min() < 0.05


def test_what_has_no_interval_says_so(bench):
    asked = {"where": "kernel == 3", "k": 3, "resamples": 300}
    found = correlate(load("pilot"), "camera", "denoising", [SCORE], **asked)
    [row] = found.to_dict("records")
    assert np.isfinite(row["tau_within"])
    assert np.isnan(row["tau_within_low"])
    assert "no interval of tau within kinds: it is undefined on " in row["reason"]
    [row] = correlate(bench, "camera", scores=[SCORE], k=39).to_dict("records")
    assert np.isfinite(row["precision"])
    assert np.isnan(row["precision_low"])
    assert "no interval of precision: it is undefined on " in row["reason"]


def test_the_models_that_a_cross_fitted_regret_is_of_are_told(bench):
    runs = bench.runs
    model = str(bench.genotypes[5])
    half = (runs["image"] == "camera") & (runs["model"] == model) & (runs["seed"] == 1)
    runs.loc[half, "status"] = "diverged"
    [row] = correlate(bench, "camera", scores=[SCORE]).to_dict("records")
    assert row["reason"] == "cross-fitted over the 39 of 40 models that have every seed"


def test_an_order_that_is_all_but_perfect_has_a_p_value(bench):
    """Above the tau that one pair less gives all are taken for it, the same on every resample."""
    found = correlate(bench, "camera", scores=[SCORE]).iloc[0].to_dict()
    taus = np.random.default_rng(0).uniform(0.9992, 0.9998, 500)
    [row] = _adjusted([(found | {"tau": 0.9995, "p_value": 1e-6}, taus)])
    assert row["p_max"] == row["p_holm"] == 1e-6


def test_of_few_models_no_score_is_found_by_chance(make_bench):
    bench, rng, found = make_bench(models=6), np.random.default_rng(0), 0
    for _ in range(40):
        bench.runs["best_psnr_smooth"] = rng.normal(26, 1, len(bench.runs))
        frame = correlate(bench, "camera", resamples=200)
        assert (frame["p_max"] >= frame["p_holm"] - 1e-12).all()
        found += bool(frame["p_max"].min() < 0.05)
    assert found <= 5


def test_models_that_a_blind_rule_ended_before_an_iteration_are_no_fair_sample(bench):
    bench.protocol = bench.protocol.replace(stop=DiscrepancyStop())
    bench.runs.loc[bench.runs["model"] == str(bench.genotypes[0]), "status"] = "stopped"
    for key, curve in bench.curves["psnr_smooth"].items():
        if key[0] == str(bench.genotypes[0]):
            curve[50:] = np.nan
    assert correlate(bench, "camera", by=40, resamples=0)["n"].eq(40).all()
    with pytest.raises(QueryError, match="2 of the 80 runs were stopped by the protocol's rule"):
        correlate(bench, "camera", by=60)


def test_a_best_model_without_the_score_is_told(bench):
    best = bench.runs[bench.runs["image"] == "camera"].groupby("model")["best_psnr_smooth"].mean()
    rows = bench.score_rows
    lacks = (rows["model"] == best.idxmax()) & (rows["score"] == "psd_db_mse")
    bench.score_rows = rows[~lacks]
    reasons = correlate(bench, "camera", resamples=0).set_index("score")["reason"]
    assert "the best of all, " in str(reasons["psd_db_mse"])
    assert "the best of all, " not in str(reasons["psd_99_per_bw"])


def test_a_name_in_place_of_a_benchmark_is_told():
    with pytest.raises(QueryError, match=r"mini is not open: give dipbench.load\('mini'\)"):
        correlate("mini")


@pytest.mark.parametrize(
    ("asked", "lacking"), [((None, "denoising"), "image"), (("camera", None), "task")]
)
def test_one_image_and_one_task_are_named(bench, asked, lacking):
    with pytest.raises(QueryError, match=f"no {lacking} is given: name one"):
        kendall(bench, *asked, "psd_db_mse")


@pytest.mark.parametrize("seed", [1.5, True, None, [1]])
def test_a_seed_is_a_whole_number(bench, seed):
    with pytest.raises(QueryError, match="is no whole number"):
        correlate(bench, seed=seed)


def test_runs_none_of_which_is_usable_are_told(bench):
    bench.runs["status"] = "failed"
    bench.runs["length"] = 0
    for by in ("best_psnr_smooth", 3):
        with pytest.raises(QueryError, match="no usable run"):
            kendall(bench, "camera", "denoising", "psd_db_mse", by=by)


def test_a_group_of_the_command_line_is_told_in_python(bench):
    with pytest.raises(QueryError, match=r"in Python give dipbench\.evaluate\.scores\.PUBLISHED"):
        correlate(bench, scores=["published"])
