"""Effects of attributes on a table where one attribute is known to matter."""

import numpy as np
import pytest

from dipbench.analysis.attributes import attribute_effects, level_effect
from dipbench.errors import QueryError


def test_a_weighted_effect_is_that_of_the_written_out_resample():
    rng = np.random.default_rng(0)
    psnr, has = rng.normal(size=12), rng.random(12) < 0.5
    weights = rng.integers(0, 3, (20, 12)).astype(float)
    for row, found in zip(weights.astype(int), level_effect(has, psnr, weights), strict=True):
        drawn = np.repeat(np.arange(12), row)
        expected = psnr[drawn][has[drawn]].mean() - psnr[drawn][~has[drawn]].mean()
        assert found == pytest.approx(expected)


def test_the_attribute_that_matters_is_found(make_bench):
    frame = attribute_effects(make_bench(models=150), "camera", "denoising")
    effects = frame.set_index(["attribute", "level"])
    worst = effects.loc[("primitive", "nearest")]
    assert worst["high"] < 0
    assert worst["p_max"] < 0.05
    assert (frame["n_with"] + frame["n_without"] == 150).all()
    assert {"primitive", "operation", "kernel", "activation", "skip"} <= set(frame["attribute"])
    assert frame["level"].str.fullmatch(r"\d<-\d").sum() == 25


def test_a_skip_is_named_by_the_level_that_receives_it(make_bench):
    bench = make_bench(models=150)
    place = 1 * 5 + 3  # decoder level 2 receives encoder level 4
    assert str(bench.genotypes[0].skip_matrix[1, 3]) == str(bench.genotypes[0].skip[place] == "1")
    has = {str(genotype): genotype.skip[place] == "1" for genotype in bench.genotypes}
    bench.runs["best_psnr_smooth"] = 20.0 + bench.runs["model"].map(has)
    effects = attribute_effects(bench, "camera", "denoising").set_index(["attribute", "level"])
    assert effects.loc[("skip", "2<-4"), "effect"] == pytest.approx(1)
    assert effects["effect"].drop(("skip", "2<-4")).abs().max() < 0.9


def test_levels_of_too_few_models_are_named(bench):
    frame = attribute_effects(bench, "camera", "denoising", resamples=10)
    assert frame[["n_with", "n_without"]].min(axis=None) >= 5
    assert "primitive trans_conv" in frame.attrs["left_out"]


def test_too_few_genotypes_are_refused(make_bench):
    with pytest.raises(QueryError, match="on 4 genotypes"):
        attribute_effects(make_bench(models=4), "camera", "denoising")


def test_a_level_of_few_codes_has_no_interval(make_bench):
    bench = make_bench(models=150)
    frame = attribute_effects(bench, "camera", "denoising").set_index(["attribute", "level"])
    assert frame.loc[("primitive", "nearest"), "reason"] is None
    few = attribute_effects(make_bench(models=12), "camera", "denoising")
    few = few[few["reason"].eq("no interval: fewer than 5 upsample blocks")]
    assert few[["low", "high", "p_bootstrap", "p_max"]].isna().all(axis=None)


def test_chance_is_taken_for_an_effect_no_more_often_than_is_said(make_bench):
    rng, found = np.random.default_rng(1), 0
    bench = make_bench(models=30)
    for _ in range(60):
        bench.runs["best_psnr_smooth"] = rng.normal(26, 1, len(bench.runs))
        effects = attribute_effects(bench, "camera", "denoising", resamples=100)
        found += bool(effects["p_max"].min() < 0.05)
    assert found <= 7  # of 60 at 5 %: more have a chance of 1 %


def test_a_small_side_has_no_smaller_p_value_than_by_welch(make_bench):
    bench, rng, found, of = make_bench(models=30), np.random.default_rng(2), 0, 0
    for _ in range(40):
        bench.runs["best_psnr_smooth"] = rng.normal(26, 1, len(bench.runs))
        effects = attribute_effects(bench, "camera", "denoising", resamples=100)
        small = effects[effects[["n_with", "n_without"]].min(axis=1) <= 8]
        found, of = found + (small["p_bootstrap"] < 0.05).sum(), of + len(small)
    assert of > 100
    assert found / of < 0.06
