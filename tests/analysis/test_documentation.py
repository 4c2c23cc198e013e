"""The Python of the page on judging scores runs, and gives what the page says."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dipbench
from dipbench.analysis import compare_scores, correlate
from dipbench.analysis.reliability import seed_reliability
from dipbench.evaluate import SCORES
from dipbench.evaluate.scores import PUBLISHED


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
    assert scope["specific"].images == scope["images"] == ("camera", "coins")
    assert scope["total_variation"](np.eye(2)[None]) == 2


def test_what_it_says_of_the_pilot() -> None:
    pilot = dipbench.load("pilot")
    table = correlate(pilot, k=5).set_index("score")
    assert round(table["tau_directed"]["psd_db_strip_mse"], 3) == 0.476
    assert round(table["regret"]["psd_70_per_bw"], 2) == 0.66
    assert table["p_max"][["psd_db_strip_mse", "synflow"]].round(3).tolist() == [0.016, 0.275]
    published = table["tau_directed"][list(PUBLISHED)]
    assert (published > 0.3).sum() == 6
    assert (
        published.max() < table["tau_directed"][["primitive_attenuation", "parameters_used"]].min()
    )
    mine = table.loc[list(PUBLISHED)]
    within = mine["tau_within"] * np.where(mine["direction"] == "lower", -1, 1)
    assert (within.idxmax(), round(within.max(), 2)) == ("psd_99_per_bw", 0.18)
    assert ((mine["tau_within_low"] < 0) & (mine["tau_within_high"] > 0)).all()
    short = table.loc["loss_after_100", ["tau_directed", "tau_low", "tau_high"]].astype(float)
    assert (table["direction"]["loss_after_100"], *short.round(2)) == ("lower", 0.08, -0.35, 0.20)
    assert published.idxmax() == "psd_db_strip_mse"
    [truth] = seed_reliability(pilot).to_dict("records")
    assert [round(truth[name], 2) for name in ("reliability", "ceiling")] == [0.77, 0.87]
    assert round(truth["reliability_low"], 2) == 0.68
    assert round(truth["reliability_high"], 2) == 0.86
    [paired] = compare_scores(pilot, published.idxmax(), "primitive_attenuation").to_dict("records")
    assert [paired[name] for name in ("difference", "low", "high")] == pytest.approx(
        [-0.16, -0.43, 0.06], abs=0.005
    )
