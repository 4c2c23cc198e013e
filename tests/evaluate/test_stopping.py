"""Stopping criteria on curves whose right answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dipbench.errors import ProtocolError
from dipbench.evaluate.stopping import (
    STOPPING,
    FirstLastingMinimum,
    discrepancy_stop,
    fixed_stop,
    get_criterion,
    oracle_stop,
    patience_stop,
    scaled_variance_stop,
    variance_stop,
    variance_warmup,
)

ITERATIONS = np.arange(5000)


def valley(at: int, length: int = 5000) -> np.ndarray:
    return np.abs(np.arange(length) - float(at))


def test_the_first_minimum_that_lasts_is_kept_not_the_lowest() -> None:
    curve = valley(1500)
    curve[4000:] = -1
    assert variance_stop(curve) == 1500


def test_a_minimum_that_does_not_last_is_passed_by() -> None:
    curve = valley(1500)
    curve[2400] = -1
    assert variance_stop(curve) == 2400


def test_the_start_of_the_moving_variance_does_not_count() -> None:
    curve = valley(1500)
    curve[: variance_warmup(0.1)] = -1
    assert variance_stop(curve) == 1500
    assert (1 - 0.1) ** variance_warmup(0.1) <= 0.01 < (1 - 0.1) ** (variance_warmup(0.1) - 1)


def test_published_patience_is_refused_on_short_curves_and_scaled_by_another_name() -> None:
    curve = valley(150, length=300)
    with pytest.raises(ProtocolError, match="300 iterations is too short for a patience of 1000"):
        variance_stop(curve)
    assert scaled_variance_stop(curve) == 150
    assert STOPPING["variance_scaled"]({"variance": curve}) == 150
    assert scaled_variance_stop(valley(1500)) == variance_stop(valley(1500))


def test_criteria_of_the_variance_wait_as_long_as_its_weight_asks():
    early = np.arange(2000.0)  # at its lowest where the moving variance still holds its start
    for name in ("variance", "variance_scaled"):
        stops = [STOPPING[name]({"variance": early}, alpha=alpha) for alpha in (0.1, 0.01)]
        assert stops == [variance_warmup(0.1), variance_warmup(0.01)]


def test_a_falling_curve_never_fires() -> None:
    assert variance_stop(-ITERATIONS.astype(float)) is None
    assert patience_stop(-ITERATIONS.astype(float), 10) is None


def test_patience_is_the_number_of_values_that_are_no_lower() -> None:
    curve = np.array([2.0, 1.0, 1.0, 1.0])
    assert patience_stop(curve, 2) == 1
    assert patience_stop(curve, 3) is None
    with pytest.raises(ProtocolError, match="too short"):
        patience_stop(curve, 4)


@given(
    st.lists(st.floats(allow_nan=False, width=32), min_size=2, max_size=60),
    st.integers(1, 30),
)
def test_replay_agrees_with_a_direct_search(values: list[float], patience: int) -> None:
    if len(values) <= patience:
        return
    curve = np.array(values)
    wanted = next(
        (
            int(np.argmin(curve[: t + 1]))
            for t in range(len(curve))
            if t - np.argmin(curve[: t + 1]) >= patience
        ),
        None,
    )
    assert patience_stop(curve, patience) == wanted


def test_the_discrepancy_is_a_moving_mean_that_comes_down_to_the_noise() -> None:
    errors = 0.1 * np.exp(-np.arange(500) / 100) * np.random.default_rng(0).uniform(0.5, 1.5, 500)
    means = [errors[0]]
    for error in errors[1:]:
        means.append(0.9 * means[-1] + 0.1 * error)
    for noise in (0.05, 0.01, 0.002):
        wanted = int(np.argmax(np.array(means) <= noise))
        assert discrepancy_stop(-10 * np.log10(errors), noise) == wanted > 0
        assert discrepancy_stop(-10 * np.log10(errors), noise, alpha=1) == np.argmax(
            errors <= noise
        )
    assert discrepancy_stop(-10 * np.log10(errors), 1e-6) is None
    assert discrepancy_stop(-10 * np.log10(errors), 0.2) == 0


def test_fixed_and_oracle() -> None:
    assert fixed_stop(300, 299) == 299
    assert fixed_stop(300, 300) is None
    assert oracle_stop(-valley(321)) == 321
    for empty in (np.array([]), np.array([1.0, np.nan])):
        with pytest.raises(ProtocolError):
            oracle_stop(empty)


def test_every_named_criterion_answers_on_a_full_set_of_curves() -> None:
    curves = {"loss": valley(4000), "variance": valley(1500), "psnr_smooth": -valley(1700)}
    curves["psnr_observed"] = np.where(ITERATIONS < 900, 10.0, 30.0)
    answers = {name: criterion(curves, noise=0.05) for name, criterion in STOPPING.items()}
    assert answers == {
        "oracle": 1700,
        "variance": 1500,
        "variance_scaled": 1500,
        "discrepancy": 906,
        "loss_scaled": None,
        "fixed_1200": 1200,
        "last": 4999,
    }


def test_what_is_refused() -> None:
    with pytest.raises(ProtocolError, match="did you mean 'variance'"):
        get_criterion("varianc")
    with pytest.raises(ProtocolError, match="reads the curve 'psnr_smooth'; recorded are loss"):
        get_criterion("oracle")({"loss": valley(3)})
    with pytest.raises(ProtocolError, match="noise of this observation is not known"):
        get_criterion("discrepancy")({"psnr_observed": valley(3)})
    with pytest.raises(ProtocolError, match="against the observation holds NaN"):
        discrepancy_stop(np.array([1.0, np.nan, 2.0]), 0.01)
    with pytest.raises(ProtocolError, match="0 < alpha <= 1"):
        discrepancy_stop(np.array([1.0]), 0.01, alpha=0)
    with pytest.raises(ProtocolError, match="iteration 1 is NaN"):
        patience_stop(np.array([1.0, np.nan, 2.0]), 1)
    with pytest.raises(ProtocolError, match="patience of 1 or more"):
        FirstLastingMinimum(0)
    with pytest.raises(ProtocolError, match="0 < alpha < 1"):
        variance_warmup(1.0)
    with pytest.raises(ProtocolError, match="count from 0"):
        fixed_stop(3, -1)


def test_the_replayed_discrepancy_takes_the_weight_that_a_restoration_takes():
    observed = np.linspace(5, 25, 300)
    known = STOPPING["discrepancy"]({"psnr_observed": observed}, noise=0.01, alpha=0.5)
    assert known == discrepancy_stop(observed, 0.01, 0.5)
    assert known != discrepancy_stop(observed, 0.01, 0.1)
