from itertools import product as combinations

import numpy as np
import pytest

from dipbench.evaluate.lanczos import linearised_risk, spectral_measure


@pytest.fixture
def kernel():
    factor = np.random.default_rng(0).normal(size=(6, 4)) * [3, 1, 0.3, 0.1]
    return factor @ factor.T


def test_the_measure_integrates_functions_of_a_kernel_exactly(kernel):
    start = np.random.default_rng(1).normal(size=6)
    nodes, weights = spectral_measure(lambda x: kernel @ x, start, 6)
    values, vectors = np.linalg.eigh(kernel)
    unit = vectors.T @ start / np.linalg.norm(start)
    for function in (np.exp, np.square, np.cos):
        assert weights @ function(nodes) == pytest.approx(unit**2 @ function(values))
    assert weights.sum() == pytest.approx(1)


def test_few_steps_bound_the_spectrum_from_within():
    values = np.linspace(0, 5, 200)
    nodes, _ = spectral_measure(lambda x: values * x, np.ones(200), 8)
    assert len(nodes) == 8
    assert nodes.min() > 0
    assert 4.8 < nodes.max() < 5


def decaying_kernel():
    """Eigenvalues from 1 to 1e-5, and the product with their diagonal matrix."""
    values = 10 ** np.linspace(0, -5, 1024)
    return values, lambda x: values * x


def test_the_two_quadratures_bound_what_decays_from_below_and_above():
    values, product = decaying_kernel()
    for node_at_zero, side in ((False, -1), (True, 1)):
        nodes, weights = spectral_measure(product, np.ones(1024), 10, node_at_zero)
        assert len(nodes) == 10 + node_at_zero
        assert (abs(nodes).min() < 1e-12) == node_at_zero
        assert weights.sum() == pytest.approx(1)
        for time in (1e2, 1e3):
            apart = weights @ np.exp(-time * nodes) - np.exp(-time * values).mean()
            assert 1e-3 < side * apart < 0.25


def test_an_exhausted_space_needs_no_node_at_zero(kernel):
    plain = spectral_measure(lambda x: kernel @ x, kernel[0], 6)
    again = spectral_measure(lambda x: kernel @ x, kernel[0], 6, node_at_zero=True)
    assert np.array_equal(again, plain)


def test_few_steps_do_not_make_the_risk_too_low():
    values, product = decaying_kernel()
    rng = np.random.default_rng(0)
    sigma, signs = 0.1, np.sign(rng.normal(size=1024))
    residual = 3 * np.sqrt(values) * rng.normal(size=1024) + sigma * rng.normal(size=1024)
    found = [linearised_risk(product, residual, sigma, [signs], steps) for steps in (5, 10, 40)]
    assert found[0] > found[1] > found[2]

    def risk(time):
        misfit = np.mean((np.exp(-time * values) * residual) ** 2)
        return misfit - sigma**2 + 2 * sigma**2 * np.mean(1 - np.exp(-time * values))

    assert found[-1] == pytest.approx(min(map(risk, np.logspace(-2, 5, 2001))), abs=1e-4)


def test_risk_of_a_linear_model_in_closed_form(kernel):
    rng = np.random.default_rng(2)
    residual, sigma = rng.normal(size=6), 0.3
    values, vectors = np.linalg.eigh(kernel)
    # The mean over all vectors of signs is the trace itself.
    signs = [np.array(sign, dtype=float) for sign in combinations((-1, 1), repeat=6)]
    found = linearised_risk(lambda x: kernel @ x, residual, sigma, signs, steps=6)

    def risk(t):
        kept = vectors @ np.diag(np.exp(-t * values)) @ vectors.T
        misfit = np.sum((kept @ residual) ** 2) / 6
        return misfit - sigma**2 + 2 * sigma**2 / 6 * np.trace(np.eye(6) - kept)

    times = np.concatenate([[0], np.logspace(-2, 5, 2001) / values.max()])
    assert found == pytest.approx(min(map(risk, times)), abs=1e-4)


def test_without_noise_fitting_all_is_best(kernel):
    residual = kernel @ np.ones(6)
    found = linearised_risk(lambda x: kernel @ x, residual, 0.0, [np.ones(6)], steps=6)
    assert found == pytest.approx(0, abs=1e-6)


def test_a_kernel_that_is_zero_leaves_the_first_output():
    found = linearised_risk(lambda x: 0 * x, np.full(6, 0.5), 0.1, [np.ones(6)], steps=3)
    assert found == pytest.approx(0.25 - 0.01)
