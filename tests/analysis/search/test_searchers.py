import numpy as np
import pytest

from dipbench.analysis.search import Budget, Cost, Objective, Outcome, Trial, run_search
from dipbench.analysis.search.bayesian import BayesianOptimisation
from dipbench.analysis.search.listed import RandomSearch, ScoreGuided, SuccessiveHalving
from dipbench.analysis.search.spaces import AllGenotypes, CompleteSpace
from dipbench.analysis.search.walking import LocalSearch, RandomDraws, RegularisedEvolution
from dipbench.errors import QueryError
from dipbench.genotypes import ISNAS522, Genotype, neighbours
from dipbench.genotypes.space import VALID_UPSAMPLE_CODES

MODELS = [str(genotype) for genotype in ISNAS522[:40]]
SUBSPACE = [str(Genotype(code, "1" * 25)) for code in VALID_UPSAMPLE_CODES]


class Ones(Objective):
    """As many set skip bits and relus as possible; longer trainings say more, and cost so."""

    label = "ones"

    def evaluate(self, trial):
        genotype = Genotype.parse(trial.model)
        signal = genotype.skip.count("1") + 5.0 * (genotype.activation == "relu")
        iterations = trial.iterations or 27
        return Outcome(trial, signal + iterations / 100, Cost(iterations))


def rng(seed=0):
    return np.random.default_rng(seed)


def trials_of(searcher, questions=10_000):
    trace = run_search(searcher, Ones(), Budget(questions * 27))
    return [step.outcome.trial for step in trace.steps]


def test_random_search_tries_every_model_once():
    tried = [trial.model for trial in trials_of(RandomSearch(MODELS, rng()))]
    assert sorted(tried) == sorted(MODELS)
    assert tried != MODELS
    assert tried == [trial.model for trial in trials_of(RandomSearch(MODELS, rng()))]


def test_score_guided_trains_the_published_15_lowest():
    scores = {model: float(place % 20) for place, model in enumerate(MODELS)}
    tried = [trial.model for trial in trials_of(ScoreGuided(scores, rng()))]
    assert len(tried) == 15
    assert [scores[model] for model in tried] == sorted(scores.values())[:15]


def test_ties_in_the_score_fall_to_the_seed():
    tied = dict.fromkeys(MODELS, 1.0)
    first, second = (ScoreGuided(tied, rng(seed)).ask() for seed in (0, 1))
    assert first != second


@pytest.mark.parametrize("scores", [{}, {"a": float("nan")}])
def test_score_guided_refuses_scores_it_cannot_order(scores):
    with pytest.raises(QueryError):
        ScoreGuided(scores, rng())


def test_halving_promotes_the_best_third_to_a_length_three_times_as_long():
    searcher = SuccessiveHalving(MODELS[:27], rng(), 27, eta=3, rungs=4)
    trials = trials_of(searcher)
    lengths = [trial.iterations for trial in trials]
    assert lengths == [1] * 27 + [3] * 9 + [9] * 3 + [None]
    signal = {m: Ones().evaluate(Trial(m)).signal for m in MODELS[:27]}
    promoted = [trial.model for trial in trials[27:36]]
    assert min(signal[m] for m in promoted) >= sorted(signal.values())[-9]
    assert signal[trials[-1].model] == max(signal.values())


def test_halving_goes_on_with_unseen_models_in_a_second_bracket():
    trials = trials_of(SuccessiveHalving(MODELS, rng(), 27, eta=3, rungs=3))
    first_rung = [trial.model for trial in trials if trial.iterations == 3]
    assert sorted(first_rung) == sorted(MODELS)


def test_bayesian_optimisation_beats_random_search_on_a_smooth_function():
    pytest.importorskip("sklearn")
    models = [str(genotype) for genotype in ISNAS522]
    found = {"bayesian": [], "random": []}
    for seed in range(3):
        searchers = {
            "bayesian": BayesianOptimisation(models, rng(seed)),
            "random": RandomSearch(models, rng(seed)),
        }
        for name, searcher in searchers.items():
            trace = run_search(searcher, Ones(), Budget(25 * 27))
            assert len({step.outcome.trial.model for step in trace.steps}) == 25
            found[name].append(max(step.outcome.signal for step in trace.steps))
    assert np.mean(found["bayesian"]) > np.mean(found["random"])


@pytest.mark.parametrize("maker", [RegularisedEvolution, LocalSearch])
def test_walkers_stay_in_a_complete_sub_space_and_beat_random_draws(maker):
    space = CompleteSpace(SUBSPACE)
    trials = trials_of(maker(space, rng()), 100)
    assert {trial.model for trial in trials} <= set(SUBSPACE)
    whole = AllGenotypes()
    best = [
        np.mean([Genotype.parse(t.model).skip.count("1") for t in trials_of(make, 200)[-50:]])
        for make in (maker(whole, rng()), RandomDraws(whole, rng()))
    ]
    assert best[0] > best[1] + 2


def test_local_search_moves_only_to_neighbours_and_never_asks_twice():
    searcher = LocalSearch(AllGenotypes(), rng())
    trace = run_search(searcher, Ones(), Budget(60 * 27))
    models = [step.outcome.trial.model for step in trace.steps]
    assert len(set(models)) == len(models)
    assert models[1] in map(str, neighbours(Genotype.parse(models[0])))


def test_the_522_are_no_complete_sub_space():
    with pytest.raises(QueryError, match="no complete sub-space"):
        CompleteSpace(MODELS)


def test_a_failed_model_is_never_chosen():
    class Failing(Ones):
        def evaluate(self, trial):
            return Outcome(trial, None, Cost(1))

    trace = run_search(RandomSearch(MODELS, rng()), Failing(), Budget(10))
    with pytest.raises(QueryError, match="no model of this search has a signal"):
        trace.chosen  # noqa: B018


def test_an_incumbent_from_a_longer_training_goes_first():
    class Shrinking(Ones):
        def evaluate(self, trial):
            length = trial.iterations or 100
            return Outcome(trial, 1.0 / length, Cost(length))

    trace = run_search(SuccessiveHalving(MODELS[:3], rng(), 9, rungs=2), Shrinking(), Budget(900))
    assert trace.incumbents()[-1] == trace.steps[-1].outcome.trial.model
    assert trace.steps[-1].outcome.trial.iterations is None


@pytest.mark.parametrize(("amount", "unit"), [(0, "iterations"), (-1, "seconds"), (1, "hours")])
def test_a_budget_is_positive_and_in_a_known_unit(amount, unit):
    with pytest.raises(QueryError):
        Budget(amount, unit)


def test_a_budget_in_macs_needs_recorded_macs():
    with pytest.raises(QueryError, match="macs"):
        Cost(1, None, 1.0).spent("macs")
