"""Scoring a benchmark: resumed after an interruption, missing values kept and counted."""

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dipbench.benchmark import load, scoring
from dipbench.benchmark.scoring import score_store
from dipbench.errors import QueryError
from dipbench.evaluate import SCORES, register_score

FIXTURES = Path(__file__).parents[1] / "analysis/reporting/conftest.py"
PLACE = ["model", "image", "task", "score", "initialisation"]


@pytest.fixture
def make_store(tmp_path):
    made = runpy.run_path(str(FIXTURES))

    def make(name):
        models = made["MODELS"][:10]
        options = {"images": "camera", "models": models, "tasks": ("denoising-25",), "seeds": (0,)}
        return made["make_store"](tmp_path / name, scores=(), **options).folder

    return make


def values(folder):
    return load(folder).scores().sort_values(PLACE).reset_index(drop=True)


@pytest.mark.parametrize(("seconds", "remaining"), [(np.inf, 2), (0, 7)])
def test_an_interrupted_scoring_goes_on_to_the_same_values(
    make_store, monkeypatch, seconds, remaining
):
    monkeypatch.setattr(scoring, "SECONDS_PER_PART", seconds)
    whole, broken = make_store("whole"), make_store("broken")
    score_store(whole, ["psd_99_per_bw"], initialisations=2)
    seen = []

    def stop_early():
        seen.append(1)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_store(broken, ["psd_99_per_bw"], initialisations=2, on_model=stop_early)
    left = []
    done = score_store(broken, ["psd_99_per_bw"], initialisations=2, on_start=left.append)
    assert left == [remaining], "a part of eight models was written, or three parts of one"
    assert (done.values, done.missing) == (20, 0)
    pd.testing.assert_frame_equal(values(whole), values(broken))


def test_scores_are_added_beside_those_that_are_there(make_store):
    folder = make_store("store")
    score_store(folder, ["psd_99_per_bw"], initialisations=1)
    before = values(folder)
    again = []
    score_store(folder, ["psd_99_per_bw"], initialisations=1, on_start=again.append)
    assert again == [0]
    score_store(folder, ["psd_db_mse"], initialisations=1)
    after = values(folder)
    pd.testing.assert_frame_equal(
        after[after["score"] == "psd_99_per_bw"].reset_index(drop=True), before
    )
    assert set(after["score"]) == {"psd_99_per_bw", "psd_db_mse"}


def test_a_score_that_fails_is_missing_and_counted(make_store):
    folder = make_store("store")
    register_score("always_nan", inputs="output")(lambda output: float("nan"))
    try:
        done = score_store(folder, ["always_nan", "psd_99_per_bw"], initialisations=2)
    finally:
        SCORES.pop("always_nan")
    assert (done.values, done.missing) == (40, 20)
    rows = values(folder)
    missing = rows[rows["score"] == "always_nan"]
    assert len(missing) == 20
    assert np.isnan(missing["value"].to_numpy(np.float64, na_value=np.nan)).all()


def test_two_ways_of_making_outputs_are_kept_apart(make_store):
    folder = make_store("store")
    score_store(folder, ["psd_99_per_bw"], "table", initialisations=1)
    score_store(folder, ["psd_99_per_bw"], "search", initialisations=2)
    frame = values(folder)
    assert frame["how"].value_counts().to_dict() == {"search": 20, "table": 10}
    bench = load(folder)
    asked = bench.models[0], "camera", "denoising-25"
    own = frame[(frame["model"] == asked[0]) & (frame["how"] == "search")]["value"]
    assert bench.score(*asked, "psd_99_per_bw:search") == pytest.approx(own.mean())
    with pytest.raises(QueryError, match="psd_99_per_bw:search, psd_99_per_bw:table"):
        bench.score(*asked, "psd_99_per_bw")


def test_a_sample_of_the_models_can_be_scored(make_store):
    folder = make_store("store")
    score_store(folder, ["psd_99_per_bw"], initialisations=1, sample=4)
    chosen = set(values(folder)["model"])
    assert len(chosen) == 4
    score_store(folder, ["psd_db_mse"], initialisations=1, sample=4)
    assert set(values(folder)["model"]) == chosen
