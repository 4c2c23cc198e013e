"""The Python of the page on judging scores runs, and gives what the page says."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dipbench
from dipbench import Benchmark
from dipbench.analysis import compare_scores, correlate
from dipbench.analysis.reliability import seed_reliability
from dipbench.analysis.specificity import all_score_transfers, truth_specificity
from dipbench.analysis.transfer import variance_over_images, variance_shares
from dipbench.evaluate import SCORES
from dipbench.evaluate.scores import PUBLISHED
from dipbench.evaluate.scoring import score_models


def test_the_page_on_scores(bench, run_page: Callable[..., dict[str, Any]]) -> None:
    baseline = bench.score_rows[bench.score_rows["score"] == "psd_db_mse"]
    baseline = baseline.assign(score="primitive_attenuation")
    bench.score_rows = pd.concat([bench.score_rows, baseline], ignore_index=True)
    before = dict(SCORES)
    try:
        scope = run_page("judging-scores.md", bench=bench)
        norms = score_models([0], "camera", "denoising-25", ["weight_norm"], size=64)
        assert len({row["value"] for row in norms if row["value"] > 0}) == 32
    finally:
        SCORES.clear()
        SCORES.update(before)
    assert scope["tau"] < -0.3
    assert scope["n"] == len(bench.genotypes)
    assert scope["units"]["regret"].startswith("dB")
    assert scope["paired"]["difference"].gt(0).all()
    assert set(scope["every"]["first"]) > {"psd_db_strip_mse"}
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
