"""The Python of the page on judging scores runs, and gives what the page says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import dipbench
from dipbench import Benchmark
from dipbench.analysis import compare_scores, correlate
from dipbench.analysis.agreeing import agreement
from dipbench.analysis.association import kendall_tau
from dipbench.analysis.early_stops import stopping_losses
from dipbench.analysis.plots import save, scatter
from dipbench.analysis.reliability import score_reliability, seed_reliability
from dipbench.analysis.specificity import all_score_transfers, truth_specificity
from dipbench.analysis.transfer import variance_over_images, variance_shares
from dipbench.evaluate import SCORES
from dipbench.evaluate.scores import PUBLISHED

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_on_scores(bench, run_page: Callable[..., dict[str, Any]]) -> None:
    baseline = bench.score_rows[bench.score_rows["score"] == "psd_db_mse"]
    baseline = baseline.assign(score="primitive_attenuation")
    bench.score_rows = pd.concat([bench.score_rows, baseline], ignore_index=True)
    before = dict(SCORES)
    try:
        scope = run_page("judging-scores.md", bench=bench)
    finally:
        SCORES.clear()
        SCORES.update(before)
    assert scope["tau"] < -0.3
    assert scope["n"] == len(bench.genotypes)
    assert scope["units"]["regret"].startswith("dB")
    assert scope["paired"]["difference"].gt(0).all()
    assert scope["truth"]["reliability"].gt(0.5).all()
    assert scope["own"]["images"].tolist() == [2]
    assert scope["same"]["tau"] == pytest.approx(1)
    assert scope["specific"].images == scope["images"] == ("camera", "coins")
    assert scope["total_variation"](np.eye(2)[None]) == 2


@pytest.fixture(scope="module")
def pilot() -> Benchmark:
    return dipbench.load("pilot")


def test_the_page_on_scores_runs_on_the_pilot(
    pilot: Benchmark, run_page: Callable[..., dict[str, Any]]
) -> None:
    before = dict(SCORES)
    try:
        scope = run_page("judging-scores.md", bench=pilot)
    finally:
        SCORES.clear()
        SCORES.update(before)
    assert scope["own"]["images"].tolist() == scope["means"]["images"].unique().tolist() == [2]


@pytest.fixture(scope="module")
def judged(pilot: Benchmark) -> pd.DataFrame:
    """Every score on both pictures, all taus and their intervals directed."""
    table = correlate(pilot, k=5).set_index(["image", "score"])
    for name in ("tau", "tau_within"):
        for end in ("", "_low", "_high"):
            table[f"{name}{end}"] = table[f"{name}_directed{end}"]
    return table


def test_what_it_says_of_the_pilots_scores(judged: pd.DataFrame) -> None:
    camera, astronaut = judged.loc["camera"], judged.loc["astronaut"]
    assert camera["tau"]["psd_db_strip_mse"].round(3) == 0.476
    assert camera["regret"]["psd_70_per_bw"].round(2) == 0.66
    assert camera["p_max"][["psd_db_strip_mse", "synflow"]].round(3).tolist() == [0.018, 0.283]
    for table, expected in ((camera, [0.08, -0.20, 0.35]), (astronaut, [0.0, -0.24, 0.26])):
        short = table.loc["loss_after_100", ["tau", "tau_low", "tau_high"]].astype(float)
        assert short.round(2).tolist() == expected
    shown = [
        set(table.index[table["tau_low"] > 0.1]) & set(PUBLISHED) for table in (camera, astronaut)
    ]
    both = sorted(shown[0] & shown[1])
    assert len(both) == 6
    taus = judged.loc[pd.IndexSlice[:, both], "tau"]
    assert [taus.min().round(2), taus.max().round(2)] == [0.41, 0.59]
    for table in (camera, astronaut):
        mine = table.loc[list(PUBLISHED)]
        assert (mine.drop(both)["p_max"] > 0.05).all()
        assert mine["tau"].max() < table["tau"]["primitive_attenuation"]
        assert ((mine["tau_within_low"] < 1e-9) & (mine["tau_within_high"] > 0)).all()
    within = judged.loc[pd.IndexSlice[:, list(PUBLISHED)], :].sort_values("tau_within").iloc[-1]
    shown = within[["tau_within", "tau_within_low", "tau_within_high"]].astype(float).round(2)
    assert shown.tolist() == [0.32, 0.0, 0.62]


@pytest.mark.parametrize(
    ("baseline", "camera", "astronaut"),
    [
        ("primitive_attenuation", (-0.07, -0.34, 0.14), (-0.14, -0.37, 0.06)),
        ("mean_rank_elsewhere", (-0.28, -0.51, -0.06), (-0.24, -0.47, -0.02)),
    ],
)
def test_what_it_says_of_the_pilots_baselines(
    pilot: Benchmark, baseline: str, camera: tuple[float, ...], astronaut: tuple[float, ...]
) -> None:
    paired = compare_scores(pilot, "psd_db_strip_mse", baseline).set_index("image")
    for image, expected in (("camera", camera), ("astronaut", astronaut)):
        row = paired.loc[image, ["difference", "low", "high"]].astype(float)
        assert row.tolist() == pytest.approx(expected, abs=0.005)


def test_what_it_says_of_the_pilots_pictures(pilot: Benchmark) -> None:
    seeds = seed_reliability(pilot).set_index("image")
    names = ["reliability", "reliability_low", "reliability_high", "ceiling"]
    told = (("camera", [0.77, 0.68, 0.86, 0.87]), ("astronaut", [0.85, 0.72, 0.93, 0.87]))
    for image, expected in told:
        assert seeds.loc[image, names].astype(float).round(2).tolist() == expected
    found = variance_over_images(pilot, "denoising")
    whose = np.array([found.model, found.model_image, found.seed])
    assert (whose / whose.sum()).round(2).tolist() == [0.87, 0.04, 0.09]
    ends = [(end.low, end.high) for end in variance_shares(pilot, "denoising")]
    assert np.round(ends, 2).tolist() == [[0.79, 0.92], [0.0, 0.1], [0.05, 0.15]]
    [row] = truth_specificity(pilot, "denoising").to_dict("records")
    names = ["own_tau", "other_tau", "advantage", "low", "high"]
    assert [round(row[name], 2) for name in names] == [0.81, 0.72, 0.09, 0.0, 0.21]
    pictures = ("camera", "astronaut")
    bests = {image: pilot.best(image, "denoising") for image in pictures}
    for image, other, lost, average in ((*pictures, 0.21, 0.97), (*pictures[::-1], 0.06, 0.75)):
        answers = pilot.query_many(None, image, "denoising")["psnr"]
        taken = pilot.query(bests[other].model, image, "denoising").psnr
        assert round(bests[image].psnr - taken, 2) == lost
        assert round(bests[image].psnr - answers.mean(), 2) == average
    by_seed = [pilot.best(image, "denoising", seed=seed) for image in pictures for seed in (0, 1)]
    paid = [
        pilot.regret(one.model, one.image, "denoising", seed=1 - one.seeds[0]) for one in by_seed
    ]
    assert round(max(paid), 2) == 0.18
    for image, expected in (("camera", [0.15, 0.24]), ("astronaut", [0.06, 0.25])):
        frames = [pilot.query_many(None, image, "denoising", seed=seed) for seed in (0, 1)]
        order = np.argsort(-(frames[0]["psnr"] + frames[1]["psnr"]).to_numpy())
        apart = (frames[0]["psnr"] - frames[1]["psnr"]).abs().to_numpy()[order]
        assert [round(half.mean(), 2) for half in np.split(apart, 2)] == expected
    found = all_score_transfers(pilot, "denoising", resamples=1000)
    assert len(found) == 27
    for one in found.values():
        assert not isinstance(one, str)
        assert -0.035 < one.advantage < 0.045
        assert one.interval.low < 1e-9
        assert one.interval.high > -1e-9


@pytest.fixture(scope="module")
def mini() -> Benchmark:
    return dipbench.load("mini")


@pytest.fixture(scope="module")
def mini_judged(mini: Benchmark) -> pd.DataFrame:
    """Every score of `mini`."""
    return correlate(mini, "camera", "denoising").set_index("score")


def test_what_it_says_of_the_scores_of_mini(mini: Benchmark, mini_judged: pd.DataFrame) -> None:
    published = mini_judged.loc[list(PUBLISHED)].sort_index()
    shown = published[published["tau_directed_low"] > 0]
    assert shown.index.tolist() == AS_CLAIMED
    assert ends(shown["tau_directed"]) == [0.44, 0.47]
    assert shown["p_max"].max().round(3) == 0.001
    others = published.drop(AS_CLAIMED)
    assert others.index[others["tau_directed_high"] < 0].tolist() == ["nodc_psd_hist_emd"]
    assert others["p_max"].min().round(2) == 0.15
    assert mini_judged.loc["primitive_attenuation", "tau_directed"].round(2) == 0.57
    within = shown[shown["tau_within_directed_low"] > 0]["tau_within_directed"]
    assert [len(within), *ends(within)] == [5, 0.08, 0.11]
    most = published.sort_values("tau_within_directed").iloc[-1]
    names = ["tau_within_directed", "tau_within_directed_low", "tau_within_directed_high"]
    assert most[names].astype(float).round(2).tolist() == [0.11, 0.04, 0.18]
    parameters = mini_judged.loc["parameters_used"]
    assert parameters[names].astype(float).round(2).tolist() == [0.19, 0.11, 0.27]
    for name in AS_CLAIMED:
        [paired] = compare_scores(mini, name, "primitive_attenuation").to_dict("records")
        assert paired["low"] <= 0, f"{name} is shown to tell more than the kind of upsampling"
    against = {"second": "primitive_attenuation", "by": "best_psnr"}
    raw = pd.concat([compare_scores(mini, name, **against) for name in AS_CLAIMED])
    assert ends(raw["difference"]) == [0.09, 0.1]
    assert raw["low"].min() > 0


def test_what_it_says_of_the_other_scores_of_mini(mini_judged: pd.DataFrame) -> None:
    tau = mini_judged["tau_directed"]
    literature = mini_judged.loc[["grad_norm", "snip", "synflow", "epsilon"]]
    assert literature["tau_directed"].round(2).tolist() == [0.23, 0.21, -0.08, -0.11]
    assert literature["tau_within_directed"].round(2).tolist() == [-0.1, -0.11, -0.18, -0.22]
    assert literature["tau_within_directed_high"].max() < 0
    assert literature.loc["epsilon", "p_max"].round(3) == 0.019
    ntk = mini_judged.loc["ntk_sure"].filter(like="tau_directed").astype(float).round(2)
    assert ntk.tolist() == [0.27, 0.2, 0.33]
    names = ["tau_within_directed_low", "tau_within_directed_high"]
    assert mini_judged.loc["ntk_sure", names].astype(float).round(2).tolist() == [-0.12, 0.03]
    trained = ["loss_after_100", "impedance_contrast_100", "band_correspondence_gap_100"]
    own = mini_judged.loc[["degrees_of_freedom", *trained]]
    ends_of = ["tau_directed", "tau_directed_low", "tau_directed_high"]
    assert own[ends_of].astype(float).round(2).to_numpy().tolist() == [
        [0.04, -0.01, 0.09],
        [-0.14, -0.23, -0.05],
        [0.01, -0.06, 0.09],
        [0.07, -0.01, 0.15],
    ]
    within = own.loc["band_correspondence_gap_100"].filter(like="tau_within_directed")
    assert within.astype(float).round(2).tolist() == [0.18, 0.11, 0.25]
    pairs = [
        ("psd_decibel_mse", "psd_db_mse"),
        ("psd_decibel_strip_mse", "psd_db_strip_mse"),
        ("psd_strip_value_emd", "psd_strip_hist_emd"),
        ("psd_decibel_strip_value_emd", "psd_strip_hist_emd"),
        ("nodc_psd_decibel_50_bw", "nodc_psd_db_50_db_bw"),
    ]
    more = [round(tau[corrected] - tau[published], 2) for corrected, published in pairs]
    assert more == [0.0, 0.0, 0.03, 0.03, 0.02]


def test_what_it_says_of_how_the_scores_of_mini_repeat(mini: Benchmark) -> None:
    repeats = score_reliability(mini).set_index("score")
    told = repeats.loc[["psd_70_per_bw", "degrees_of_freedom"]]
    assert told["reliability"].abs().max() < 0.005
    assert told["share_of_mean"].max().round(2) == 0.02
    others = repeats.loc[list(PUBLISHED)].drop("psd_70_per_bw")
    assert ends(others["reliability"]) == [0.44, 0.71]
    assert others["share_of_mean"].min() > 0.98
    values = mini.scores().query("how != 'table-512'").set_index("score")["value"]
    assert values["psd_70_per_bw"].max() < 1 / 64  # the lowest frequency of 64 pixels
    assert values["degrees_of_freedom"].lt(0).mean().round(2) == 0.5


def test_what_it_says_of_scores_at_the_published_size(
    mini: Benchmark, mini_judged: pd.DataFrame
) -> None:
    large = mini_judged.loc[[f"{name}:table-512" for name in PUBLISHED]]
    claimed = [f"{name}:table-512" for name in AS_CLAIMED]
    assert large["initialisations"].unique().tolist() == [4]
    assert ends(large.loc[claimed, "tau_directed"]) == [0.33, 0.45]
    within = large.loc[claimed].query("tau_within_directed_low > 0")
    assert [len(within), *ends(within["tau_within_directed"])] == [4, 0.09, 0.09]
    against = large[large["tau_directed_high"] < 0]
    assert [len(against), *ends(against["tau_directed"])] == [6, -0.44, -0.16]
    assert ends(against["tau_within_directed"]) == [-0.15, 0.07]
    forms = ["psd_strip_value_emd:table-512", "psd_decibel_strip_value_emd:table-512"]
    assert ends(mini_judged.loc[forms, "tau_directed"]) == [0.45, 0.45]
    repeats = score_reliability(mini).set_index("score")["reliability"]
    assert ends(repeats[claimed]) == [0.57, 0.72]
    assert ends(repeats[AS_CLAIMED]) == [0.58, 0.71]
    psnr = mini.query_many(None, "camera", "denoising").set_index("model")["psnr"]
    rows = mini.scores().query("how != 'search'")
    mean = rows.groupby(["score", "how", "model"])["value"].mean()
    own = (
        rows[rows["how"] == "table"]
        .set_index(["score", "initialisation", "model"])["value"]
        .sort_index()
    )
    fours = own.unstack("initialisation").T.groupby(lambda number: number // 4).mean().T
    four = [
        np.mean([-kendall_tau(fours.loc[name, part][psnr.index], psnr).value for part in fours])
        for name in AS_CLAIMED
    ]
    assert ends(pd.Series(four)) == [0.41, 0.44]
    alike = [
        kendall_tau(*(mean[name, how][psnr.index] for how in ("table", "table-512"))).value
        for name in AS_CLAIMED
    ]
    assert ends(pd.Series(alike)) == [0.72, 0.88]


def test_what_it_says_of_white_noise_in_mini(mini: Benchmark, mini_judged: pd.DataFrame) -> None:
    noise = "white_noise_attenuation"
    names = ["tau_directed", "tau_within_directed", "tau_within_directed_low"]
    assert mini_judged.loc[noise, names].astype(float).round(2).tolist() == [0.47, 0.02, -0.08]
    smooth = pd.concat([compare_scores(mini, name, noise) for name in AS_CLAIMED])
    assert ends(smooth["difference"]) == [-0.04, -0.0]
    assert smooth["low"].max() < 0 < smooth["high"].min()
    raw = pd.concat([compare_scores(mini, name, noise, by="best_psnr") for name in AS_CLAIMED])
    assert ends(raw["difference"]) == [0.08, 0.09]
    assert raw["low"].min() > 0


def test_what_it_says_of_the_seeds_of_mini(mini: Benchmark) -> None:
    names = ["reliability", "reliability_low", "reliability_high", "ceiling"]
    told = {
        "best_psnr_smooth": [0.70, 0.67, 0.73, 0.84],
        "best_psnr": [0.59, 0.55, 0.62, 0.78],
        "best_psnr_smooth_0.9": [0.71, 0.68, 0.73, 0.84],
        "best_psnr_smooth_0.99": [0.76, 0.73, 0.78, 0.82],
    }
    for by, expected in told.items():
        [row] = seed_reliability(mini, by=by)[names].astype(float).round(2).to_numpy().tolist()
        assert row == expected
    bests = [mini.best("camera", "denoising", seed=seed).model for seed in (0, 1)]
    lost = [mini.regret(bests[seed], "camera", "denoising", seed=1 - seed) for seed in (0, 1)]
    assert np.round(lost, 2).tolist() == [0.03, 0.27]
    by_seed = mini.to_frame().pivot(index="model", columns="seed", values="best_psnr_smooth")
    apart = (by_seed[1] - by_seed[0]).astype(float)
    assert [np.sqrt((apart**2).mean()).round(2), apart.mean().round(2)] == [0.28, 0.02]
    best_first = apart.abs()[by_seed.mean(axis=1).sort_values(ascending=False).index]
    assert [half.mean().round(2) for half in np.split(best_first.to_numpy(), 2)] == [0.18, 0.25]
    [row] = agreement(mini, dipbench.load("pilot")).to_dict("records")
    assert [round(row[name], 2) for name in ("tau", "tau_low", "tau_high")] == [0.98, 0.92, 1.0]


def test_what_the_card_says_of_the_processors_of_mini(mini: Benchmark) -> None:
    runs = mini.to_frame().set_index("model")
    first, second = (runs[runs["seed"] == seed] for seed in (0, 1))
    assert set(first["device"]) == {"AMD EPYC"}
    commits, names_units = second["commit"].str[:7], second["device"].str.endswith("AVX512_BF16")
    assert names_units.sum() == 123
    in_float32 = names_units | (commits == "2cdfc0f")
    has_amx = ~(in_float32 | (second["device"] == "AMD EPYC") | (commits == "77c7c6f"))
    hides_amx = in_float32 | (commits == "77c7c6f")
    counts = [(second["device"] == "AMD EPYC").sum(), has_amx.sum(), hides_amx.sum()]
    assert [*counts, in_float32.sum()] == [40, 286, 196, 192]
    more = second["best_psnr_smooth"].astype(float) - first["best_psnr_smooth"].astype(float)
    means = [more[has_amx].mean(), more[in_float32].mean(), more.sem()]
    assert np.round(means, 2).tolist() == [0.03, 0.01, 0.01]


def test_what_it_says_of_the_picks_and_the_kinds_of_mini(
    mini: Benchmark, mini_judged: pd.DataFrame
) -> None:
    shown = mini_judged.loc[AS_CLAIMED]
    assert shown["regret"].round(2).value_counts().to_dict() == {0.12: 4, 0.18: 2}
    assert set(mini_judged["random_regret"].round(2)) == {0.23}
    assert ends(shown["regret_crossfit"]) == [0.04, 0.14]
    assert set(mini_judged["random_regret_crossfit"].round(2)) == {0.18}
    others = mini_judged.loc[["primitive_attenuation", "grad_norm", "ntk_sure"]]
    assert others["regret"].round(2).tolist() == [0.13, 0.09, 0.04]
    assert others["regret_crossfit"].round(2).tolist() == [0.09, -0.04, 0.01]
    psnr = mini.query_many(None, "camera", "denoising")["psnr"]
    kinds = pd.Series([genotype.primitive for genotype in mini.genotypes])
    apart = kinds.isin(["pixel_shuffle", "trans_conv"]).to_numpy()
    assert [psnr[~apart].mean().round(1), psnr[apart].mean().round(1)] == [26.5, 25.6]
    assert psnr[apart].max() < 26.7
    blind = mini.best("camera", "denoising", stopping="discrepancy")
    assert [blind.iteration, round(blind.psnr, 2)] == [622, 26.98]
    [stopped] = stopping_losses(mini, criteria=["discrepancy"]).to_dict("records")
    assert [stopped["n"], round(stopped["lost"], 2)] == [522, 0.18]


def test_the_picture_of_the_readme_is_of_mini(mini: Benchmark, tmp_path: Path) -> None:
    figure = scatter(mini, "camera", "denoising", "psd_db_strip_mse")
    pictures = (DOCS / "mini-scatter.png", save(figure, tmp_path / "now.png"))
    shown, drawn = (np.asarray(Image.open(path).convert("L"), float) for path in pictures)
    assert shown.shape == drawn.shape
    assert np.abs(shown - drawn).mean() < 1


AS_CLAIMED = [
    "nodc_psd_75_per_bw",
    "nodc_psd_db_strip_mse",
    "nodc_psd_strip_mse",
    "psd_99_per_bw",
    "psd_db_strip_mse",
    "psd_strip_hist_emd",
]
"""The published scores that order the models of `mini` as claimed."""


def ends(values: pd.Series) -> list[float]:
    return [values.min().round(2), values.max().round(2)]
