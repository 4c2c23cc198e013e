"""Variance components and the ceiling against tables made from known ones."""

import numpy as np
import pytest
import scipy.stats

from dipbench.analysis.reliability import (
    between_repeats,
    ceiling,
    score_reliability,
    seed_reliability,
    variance_components,
)
from dipbench.errors import QueryError


def table(rng, n=400, repeats=3, between=2.0, within=1.0):
    expected = rng.normal(0, between, (n, 1))
    return expected, expected + rng.normal(0, within, (n, repeats)) + rng.normal(0, 5, repeats)


def test_known_variances_are_recovered():
    rng = np.random.default_rng(0)
    parts = [variance_components(table(rng)[1]) for _ in range(20)]
    assert np.mean([part.between for part in parts]) == pytest.approx(4, rel=0.05)
    assert np.mean([part.within for part in parts]) == pytest.approx(1, rel=0.05)


def test_a_shift_of_a_whole_repeat_is_no_noise():
    values = np.arange(10.0)
    parts = variance_components(np.stack([values, values + 7], axis=1))
    assert parts.within == pytest.approx(0, abs=1e-12)
    assert parts.share == pytest.approx(1)


@pytest.mark.parametrize("repeats", [2, 4])
def test_the_ceiling_is_what_the_expected_values_reach(repeats):
    rng = np.random.default_rng(1)
    reached, simulated = [], []
    for _ in range(20):
        expected, values = table(rng, n=200, repeats=repeats)
        reached.append(scipy.stats.kendalltau(expected[:, 0], values.mean(axis=1)).statistic)
        simulated.append(ceiling(values, rng, draws=20).tau)
    assert np.mean(simulated) == pytest.approx(np.mean(reached), abs=0.01)


def test_the_ceiling_lies_above_the_reliability():
    values = table(np.random.default_rng(2), n=100, repeats=2)[1]
    assert ceiling(values, np.random.default_rng(0), 50).tau > between_repeats(values).mean() + 0.05


def test_models_that_differ_by_noise_alone_have_no_ceiling():
    values = np.array([[0.0, 1.0], [1.0, 0.0]] * 5)
    with pytest.raises(QueryError, match="add seeds"):
        ceiling(values, np.random.default_rng(0))


def test_reliability_of_a_benchmark(bench):
    frame = seed_reliability(bench, resamples=100)
    assert frame["image"].tolist() == ["camera", "coins"]
    assert (frame["reliability_low"] < frame["reliability"]).all()
    assert (frame["reliability"] < frame["ceiling"]).all()
    assert frame["variance_within_models"].between(0.04, 0.18).all()
    assert frame["reason"].isna().all()


def test_reliability_of_scores(bench):
    nan = bench.score_rows["model"] == str(bench.genotypes[0])
    bench.score_rows.loc[nan & (bench.score_rows["initialisation"] == 1), "value"] = np.nan
    frame = score_reliability(bench, "camera").set_index("score")
    assert (frame["missing"] == 1).all()
    assert frame.loc["psd_db_strip_mse", "reliability"] > frame.loc["psd_db_mse", "reliability"]
    values = bench.score_rows[
        (bench.score_rows["image"] == "camera") & (bench.score_rows["score"] == "psd_99_per_bw")
    ]
    table = values.pivot(index="model", columns="initialisation", values="value").dropna()
    taus = [
        scipy.stats.kendalltau(table[a], table[b]).statistic for a, b in [(0, 1), (0, 2), (1, 2)]
    ]
    assert frame.loc["psd_99_per_bw", "reliability"] == pytest.approx(np.mean(taus))


def test_one_seed_has_a_reason(bench):
    bench.runs = bench.runs[bench.runs["seed"] == 0]
    assert seed_reliability(bench)["reason"].str.contains("2 seeds: train another").all()


def test_models_that_lack_a_seed_are_counted(bench):
    lost = (bench.runs["model"] == str(bench.genotypes[0])) & (bench.runs["seed"] == 1)
    bench.runs.loc[lost, "status"] = "diverged"
    assert (seed_reliability(bench, resamples=10)["missing"] == 1).all()


def test_models_that_share_no_seed_are_told(bench):
    moved = (bench.runs["image"] == "coins") & (bench.runs["model"] == str(bench.genotypes[0]))
    bench.runs["seed"] += 7 * moved
    frame = seed_reliability(bench, resamples=0).set_index("image")
    assert frame.loc["coins", "reason"] == "the models share no seed: train the missing runs"
    assert np.isfinite(frame.loc["camera", "reliability"])


def test_models_that_lack_the_only_initialisation_are_counted(bench):
    bench.score_rows = bench.score_rows[bench.score_rows["initialisation"] == 0]
    bench.score_rows.loc[bench.score_rows["model"] == str(bench.genotypes[0]), "value"] = np.nan
    frame = score_reliability(bench)
    assert frame["missing"].eq(1).all()
    assert frame.attrs["units"]["missing"] == "models that lack one of the initialisations"
