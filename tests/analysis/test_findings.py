"""What `mini` says: the pages that tell it, each figure and each cell of their tables."""

import re
from pathlib import Path

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
from dipbench.evaluate.scores import PUBLISHED

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "findings.md").read_text(encoding="utf-8")
AVERAGES = {
    "EMA 0.95": "best_psnr_smooth",
    "raw": "best_psnr",
    "EMA 0.9": "best_psnr_smooth_0.9",
    "EMA 0.99": "best_psnr_smooth_0.99",
}
AS_CLAIMED = [
    "nodc_psd_75_per_bw",
    "nodc_psd_db_strip_mse",
    "nodc_psd_strip_mse",
    "psd_99_per_bw",
    "psd_db_strip_mse",
    "psd_strip_hist_emd",
]
"""The published scores that order the models of `mini` as claimed."""


NUMBER = re.compile(r"[+-]?\d+\.\d+")


def rows_below(head: str) -> dict[str, list[str]]:
    """The cells behind the first of a table's rows, by the name that the first begins with."""
    table = PAGE[PAGE.index(f"| {head}") :].split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in table]
    return {re.sub(r"`(\w+)`.*", r"\1", row[0]): row[1:] for row in cells}


def check(cell: str, *expected: float) -> None:
    """See that a cell shows these numbers, each to the decimals that it is written with."""
    shown = NUMBER.findall(cell)
    assert len(shown) == len(expected)
    for text, value in zip(shown, expected, strict=True):
        decimals = len(text.split(".")[1])
        assert abs(float(text) - value) <= 0.5000001 * 10**-decimals, cell


@pytest.fixture(scope="module")
def mini() -> Benchmark:
    return dipbench.load("mini")


@pytest.fixture(scope="module")
def mini_judged(mini: Benchmark) -> pd.DataFrame:
    """Every score of `mini`, by the average that models are ranked by."""
    return correlate(mini).set_index("score")


def ends(values: pd.Series) -> list[float]:
    return [values.min().round(2), values.max().round(2)]


def interval_of(row: pd.Series, name: str) -> tuple[float, float, float]:
    return row[f"{name}"], row[f"{name}_low"], row[f"{name}_high"]


def test_the_table_of_the_scores(mini_judged: pd.DataFrame) -> None:
    rows = rows_below("score | tau | 95 %")
    several = rows.pop("six other published ones")
    assert len(rows) == 20
    for name, (tau, interval, p_max, within, regret) in rows.items():
        row = mini_judged.loc[name]
        value, low, high = interval_of(row, "tau_directed")
        check(tau, value)
        check(interval, low, high)
        check(p_max, row["p_max"])
        check(within, *(() if not within else interval_of(row, "tau_within_directed")))
        check(regret, row["regret"])
    others = mini_judged.loc[[name for name in PUBLISHED if name not in rows]]
    others = others[others["tau_directed"].abs() < 0.1]
    assert len(others) == 6
    check(several[0], others["tau_directed"].min(), others["tau_directed"].max())
    check(several[2], others["p_max"].min())
    within = others["tau_within_directed"]
    check(several[3], within.min(), within.max())
    check(several[4], others["regret"].min(), others["regret"].max())


def test_the_table_of_the_published_size(mini_judged: pd.DataFrame) -> None:
    rows = rows_below("score | 64x64, mean of 32")
    assert len(rows) == 11
    for name, (small, _, large, within, regret) in rows.items():
        check(small, mini_judged.loc[name, "tau_directed"])
        row = mini_judged.loc[f"{name}:table-512"]
        check(large, *interval_of(row, "tau_directed"))
        check(within, *interval_of(row, "tau_within_directed"))
        check(regret, row["regret"])


@pytest.mark.slow
@pytest.mark.parametrize("average", AVERAGES)
def test_the_table_of_the_averages(mini: Benchmark, average: str) -> None:
    table = correlate(mini, by=AVERAGES[average]).set_index("score")
    rows, place = rows_below("score | EMA 0.95"), list(AVERAGES).index(average)
    assert len(rows) == 24
    for name, cells in rows.items():
        check(cells[place], *interval_of(table.loc[name], "tau_directed"))


def test_the_table_of_the_seeds(mini: Benchmark) -> None:
    rows = rows_below("truth | tau of two seeds")
    assert set(rows) == set(AVERAGES)
    for name, (tau, ceiling) in rows.items():
        [row] = seed_reliability(mini, by=AVERAGES[name]).to_dict("records")
        check(tau, *(row[f"reliability{end}"] for end in ("", "_low", "_high")))
        check(ceiling, row["ceiling"])


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
