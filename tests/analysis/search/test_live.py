from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from dipbench.analysis.search import Budget, Trial, run_search
from dipbench.analysis.search.listed import RandomSearch
from dipbench.analysis.search.live import LiveObjective
from dipbench.data import load_image
from dipbench.errors import QueryError
from dipbench.evaluate.fitting import fit
from dipbench.evaluate.memory import TooLittleMemoryError
from dipbench.evaluate.protocol import get_protocol
from dipbench.genotypes import ISNAS522

CHEAP = [str(ISNAS522[index]) for index in (49, 273)]


def test_a_live_trial_is_a_training_seen_through_its_signal():
    image = load_image("camera", size=64)
    objective = LiveObjective(image, "denoising-25", protocol="quick", device="cpu")
    few = get_protocol("quick").with_iterations(2)
    quick = LiveObjective(image, "denoising-25", protocol=few, device="cpu")
    trace = run_search(RandomSearch(CHEAP, np.random.default_rng(0)), quick, Budget(10**9))
    assert sorted(step.outcome.trial.model for step in trace.steps) == sorted(CHEAP)
    short = objective.evaluate(Trial(CHEAP[0], 3))
    plain = fit(CHEAP[0], image, "denoising-25", 3, protocol="quick", device="cpu")
    assert short.signal == pytest.approx(-10 * np.log10(plain.curves["loss"].min()))
    assert short.cost.iterations == 3
    assert short.cost.macs == 3 * plain.macs


def test_the_variance_is_replayed_with_the_weight_of_the_protocol():
    quick, trial = get_protocol("quick").with_iterations(10), Trial(CHEAP[0])
    for alpha, is_known in ((0.1, False), (0.5, True)):
        weighted = quick.replace(variance_alpha=alpha)
        image = load_image("camera", size=64)
        live = LiveObjective(image, "denoising-25", "variance", protocol=weighted, device="cpu")
        assert (live.evaluate(trial).signal is not None) == is_known


def test_a_model_that_memory_is_too_little_for_has_no_signal_and_a_mistake_is_told(monkeypatch):
    objective = LiveObjective(load_image("camera", size=64), "denoising-25", device="cpu")

    def fails(*given, **more):
        raise error

    monkeypatch.setattr("dipbench.evaluate.fitting.fit", fails)
    error: Exception = TooLittleMemoryError("too little memory")
    assert objective.evaluate(Trial(CHEAP[0], 3)).signal is None
    error = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    with pytest.raises(RuntimeError, match="mat1"):
        objective.evaluate(Trial(CHEAP[0], 3))


def test_without_the_truth_only_blind_signals_are_offered():
    with pytest.raises(QueryError, match="true image"):
        LiveObjective(None, "denoising-25", "truth")


@pytest.mark.parametrize("signal", ["los", "discrepancy", "other_images"])
def test_a_signal_that_no_training_shows_is_refused_before_any(signal):
    with pytest.raises(QueryError, match="observed_loss"):
        LiveObjective(load_image("camera", size=64), "denoising-25", signal)


def test_an_interrupted_training_ends_the_search(monkeypatch):
    def interrupted(*arguments, **options):
        return replace(fit(*arguments, **options), status="interrupted")

    monkeypatch.setattr("dipbench.evaluate.fitting.fit", interrupted)
    few = get_protocol("quick").with_iterations(2)
    objective = LiveObjective(
        load_image("camera", size=64), "denoising-25", protocol=few, device="cpu"
    )
    with pytest.raises(KeyboardInterrupt):
        objective.evaluate(Trial(CHEAP[0]))
