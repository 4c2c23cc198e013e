"""The weighted bootstrap against written-out resamples, and its intervals against simulation."""

from itertools import combinations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from dipbench.analysis.resampling import (
    bootstrap_p_value,
    group_weights,
    holm,
    interval,
    max_statistic,
    max_tau,
    resampled_pearson,
    resampled_spearman,
    resampled_tau,
    why_no_p_value,
)
from dipbench.errors import QueryError

STATISTICS = {
    resampled_tau: scipy.stats.kendalltau,
    resampled_spearman: scipy.stats.spearmanr,
    resampled_pearson: scipy.stats.pearsonr,
}


@pytest.mark.parametrize("ours", STATISTICS)
@pytest.mark.parametrize("decimals", [1, 8])
def test_a_weighted_statistic_is_that_of_the_written_out_resample(ours, decimals):
    rng = np.random.default_rng(0)
    x = np.round(rng.normal(size=30), decimals)
    y = np.round(0.4 * x + rng.normal(size=30), decimals)
    weights = group_weights(np.arange(30) // 2, 25, rng)
    expected = []
    for row in weights.astype(int):
        drawn = np.repeat(np.arange(30), row)
        expected.append(STATISTICS[ours](x[drawn], y[drawn]).statistic)
    np.testing.assert_allclose(ours(x, y, weights), expected, atol=1e-12)


@pytest.mark.parametrize("decimals", [1, 8])
def test_tau_within_kinds_counts_their_pairs_alone(decimals):
    rng = np.random.default_rng(0)
    x, y = np.round(rng.normal(size=(2, 20)), decimals)
    kinds = np.array(list("aabbbbcccccccccccccd"))
    weights = group_weights(np.arange(20) // 2, 25, rng)
    expected = []
    for row in weights.astype(int):
        drawn = np.repeat(np.arange(20), row)
        pairs = [(i, j) for i, j in combinations(drawn, 2) if kinds[i] == kinds[j]]
        first, second = (np.sign([of[i] - of[j] for i, j in pairs]) for of in (x, y))
        untied = np.abs(first).sum() * np.abs(second).sum()
        expected.append((first * second).sum() / np.sqrt(untied))
    np.testing.assert_allclose(resampled_tau(x, y, weights, kinds), expected, atol=1e-12)


def test_what_kinds_alone_tell_is_nothing_within_them():
    kinds = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    weights = np.ones((1, 8))
    better = kinds + np.linspace(0, 0.5, 8)
    assert resampled_tau(kinds, better, weights)[0] > 0.8
    assert np.isnan(resampled_tau(kinds, better, weights, kinds)).all()
    assert resampled_tau(better, better, weights, kinds) == [1]


def test_large_resamples_are_counted_exactly():
    """Past 4096 models the counts no longer fit float32, and float64 takes over."""
    rng = np.random.default_rng(0)
    weights = np.ones((1, 5000))
    x, y = rng.normal(size=(2, 5000))
    expected = scipy.stats.kendalltau(x, y).statistic
    assert resampled_tau(x, y, weights)[0] == pytest.approx(expected, abs=1e-12)


def test_groups_are_drawn_whole():
    groups = np.array([3, 1, 3, 2, 1, 9, 8, 7])
    weights = group_weights(groups, 50, np.random.default_rng(0))
    for label in np.unique(groups):
        members = weights[:, groups == label]
        assert (members == members[:, :1]).all()
    assert (weights[:, [1, 0, 3, 5, 6, 7]].sum(axis=1) == 6).all()


def test_few_groups_are_refused():
    with pytest.raises(QueryError, match="at least 5"):
        group_weights([1, 1, 2, 2, 3, 3, 4], 10, np.random.default_rng(0))


def coverage(groups, trials, resamples, seed):
    """Share of 95 % intervals that hold the true tau, pairs of models sharing half of their all."""
    rng = np.random.default_rng(seed)
    correlation = 0.5
    tau = 2 / np.pi * np.arcsin(correlation)
    spread = np.linalg.cholesky([[1, correlation], [correlation, 1]])
    held = 0
    for _ in range(trials):
        shared = np.repeat(spread @ rng.normal(size=(2, groups)), 2, axis=1)
        x, y = (shared + spread @ rng.normal(size=(2, 2 * groups))) / np.sqrt(2)
        weights = group_weights(np.arange(2 * groups) // 2, resamples, rng)
        ends = interval(resampled_tau(x, y, weights))
        held += ends.low <= tau <= ends.high
    return held / trials


def test_the_interval_covers_the_truth():
    assert 0.90 <= coverage(groups=40, trials=300, resamples=300, seed=0) <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("groups", [30, 60, 253])
def test_the_interval_covers_the_truth_at_every_size(groups):
    assert 0.90 <= coverage(groups, trials=1000, resamples=500, seed=1) <= 0.98


def test_undefined_resamples_are_counted_and_void_the_interval_when_many():
    values = np.r_[np.full(4, np.nan), np.linspace(0, 1, 96)]
    assert interval(values).undefined == 4
    assert np.isfinite(interval(values).low)
    values[:6] = np.nan
    assert interval(values).undefined == 6
    assert np.isnan(interval(values).high)


def test_a_p_value_is_never_zero_and_two_sided():
    draws = np.random.default_rng(0).normal(0, 0.1, 1999)
    wanted = 2 * scipy.stats.norm.sf(2)
    for sign in (1, -1):
        assert bootstrap_p_value(sign * 0.2, draws + sign * 0.2) == pytest.approx(wanted, abs=0.01)
    assert bootstrap_p_value(0.0, np.zeros(199)) == 1
    assert bootstrap_p_value(0.0, draws) == 1
    assert np.isnan(bootstrap_p_value(0.3, np.full(10, np.nan)))
    assert np.isnan(bootstrap_p_value(0.3, []))
    # Undefined ones count against it.
    far = np.random.default_rng(0).normal(0.3, 0.01, 95)
    assert bootstrap_p_value(0.3, [*np.full(4, np.nan), *far]) == pytest.approx(0.05)


def test_what_is_the_same_on_every_resample_has_no_p_value_but_for_0():
    rounded = 0.3 + 1e-16 * np.arange(199)
    found = max_statistic([0.3, 0.3, 0.0], np.stack([np.full(199, 0.3), rounded, 0 * rounded], 1))
    assert np.isnan(found[:2]).all()
    assert found[2] == 1
    assert "the same on every resample" in why_no_p_value(np.nan, rounded)
    assert "undefined on 20 resamples" in why_no_p_value(
        np.nan, np.repeat([0.1, np.nan], [179, 20])
    )
    assert why_no_p_value(np.nan, np.empty(0)) is None
    assert why_no_p_value(0.5, rounded) is None


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_no_adjusted_p_value_is_below_the_one_alone(seed, size):
    rng = np.random.default_rng(seed)
    estimates = rng.normal(0, 0.3, size)
    resampled = estimates + rng.normal(0, 0.1, (100, size)).round(1)
    resampled[rng.random(resampled.shape) < 0.02] = np.nan
    adjusted = max_statistic(estimates, resampled)
    for column, estimate in enumerate(estimates):
        alone = bootstrap_p_value(estimate, resampled[:, column])
        assert np.isnan(alone) == np.isnan(adjusted[column])
        assert not adjusted[column] < alone


def test_holm_by_hand_and_with_a_missing_p_value():
    adjusted = holm([0.01, np.nan, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(adjusted, [0.03, np.nan, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.9]).tolist() == [1, 1]
    assert holm([]).size == 0


def test_the_max_statistic_keeps_the_familywise_error():
    """13 scores without any relation: a false discovery in about 5 % of the families."""
    rng = np.random.default_rng(3)
    rejected = 0
    for _ in range(200):
        y = rng.normal(size=32)
        scores = rng.normal(size=(13, 32))
        weights = group_weights(np.arange(32), 400, rng)
        estimates = [scipy.stats.kendalltau(x, y).statistic for x in scores]
        resampled = np.stack([resampled_tau(x, y, weights) for x in scores], axis=1)
        rejected += max_tau(estimates, resampled, 32).min() < 0.05
    assert 4 <= rejected <= 15


@pytest.mark.parametrize(("models", "least"), [(12, 36), (16, 50)])
def test_of_few_models_a_strong_score_is_found_and_no_weak_one(models, least):
    """One score of 13 orders the models almost as they are: p is small for it, and it alone."""
    rng = np.random.default_rng(7)
    found = misled = 0
    for _ in range(60):
        y = rng.normal(size=models)
        scores = rng.normal(size=(13, models))
        scores[0] = y + rng.normal(0, 0.15, models)
        weights = group_weights(np.arange(models), 400, rng)
        estimates = [scipy.stats.kendalltau(x, y).statistic for x in scores]
        resampled = np.stack([resampled_tau(x, y, weights) for x in scores], axis=1)
        strong, *weak = max_tau(estimates, resampled, models) < 0.05
        found += strong
        misled += any(weak)
    assert found >= least
    assert misled <= 6


def test_a_resample_on_which_nothing_is_defined_counts_against_every_score():
    resampled = np.random.default_rng(0).normal(0.5, 0.01, (199, 2))
    resampled[:3] = np.nan
    assert max_statistic([0.5, 0.5], resampled).tolist() == [0.02, 0.02]


def test_the_max_statistic_leaves_out_what_has_no_spread():
    resampled = np.random.default_rng(0).normal(0.5, 0.1, (200, 2))
    resampled[:, 1] = np.nan
    found = max_statistic([0.5, np.nan], resampled)
    assert found[0] < 0.05
    assert np.isnan(found[1])
