import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from dipbench.analysis.plots_search import regret_curves
from dipbench.analysis.search import SIGNALS, Budget, Searcher, Trial, run_search
from dipbench.analysis.search.replaying import (
    default_budget,
    default_score,
    regret_by_cost,
    replay,
    replay_surrogate,
    spending,
    trace_frame,
)
from dipbench.analysis.search.signals import signal_of_curves
from dipbench.analysis.search.surrogate import SurrogateObjective
from dipbench.analysis.search.table import TableObjective, default_signal
from dipbench.benchmark import Benchmark, load
from dipbench.errors import QueryError
from dipbench.evaluate.protocol import DiscrepancyStop, PeakStop, VarianceStop
from dipbench.genotypes import ISNAS522, Genotype
from dipbench.genotypes.space import VALID_UPSAMPLE_CODES

FULL = 90


def test_truth_is_what_the_benchmark_answers(listed):
    objective = TableObjective(listed, "camera", "denoising", "truth")
    model = listed.models[7]
    outcome = objective.evaluate(Trial(model))
    assert outcome.signal == listed.query(model, "camera", "denoising").psnr
    assert outcome.cost.iterations == FULL
    assert outcome.cost.seconds == 9.0
    assert outcome.cost.macs == FULL * (1000 + Genotype.parse(model).upsample)


@pytest.mark.parametrize("by", ["best_psnr_smooth", "final_psnr", 127])
def test_the_truth_of_a_short_training_is_what_the_benchmark_answers(by):
    pilot = load("pilot")
    for signal, image in (("truth", "camera"), ("other_images", "astronaut")):
        table = TableObjective(pilot, "camera", "denoising", signal, by=by)
        for model in pilot.models[:3]:
            for iterations in (178, 534, 1600, 5000):
                asked = model, image, "denoising", by
                told = pilot.query(*asked, budget_iterations=iterations).psnr
                assert table.evaluate(Trial(model, iterations)).signal == told


@pytest.mark.parametrize("iterations", [0, -5, 2.0, True])
def test_a_trial_trains_for_a_whole_number_of_iterations(iterations):
    with pytest.raises(QueryError, match="whole number above 0"):
        Trial("dip", iterations)


def test_a_longer_training_pays_the_rest_alone(listed):
    objective = TableObjective(listed, "camera", "denoising")
    model = listed.models[0]
    costs = [objective.evaluate(Trial(model, n)).cost for n in (30, 60, 60, None)]
    assert [cost.iterations for cost in costs] == [30, 30, 0, 30]
    assert sum(cost.seconds for cost in costs) == pytest.approx(9.0)


def test_blind_signals_do_not_depend_on_the_truth(listed):
    model = listed.models[0]
    loss = listed.curve(model, "camera", "denoising", kind="loss")
    blind = TableObjective(listed, "camera", "denoising").evaluate(Trial(model, 40))
    assert blind.signal == pytest.approx(-10 * np.log10(loss[:40].min()))
    variance = listed.curve(model, "camera", "denoising", kind="variance")
    stopped = TableObjective(listed, "camera", "denoising", "variance").evaluate(Trial(model))
    assert stopped.signal == pytest.approx(-10 * np.log10(variance[50]))


def test_a_criterion_that_cannot_be_applied_gives_no_signal(listed):
    objective = TableObjective(listed, "camera", "denoising", "variance")
    outcome = objective.evaluate(Trial(listed.models[0], 20))
    assert outcome.signal is None
    assert outcome.cost.iterations == 20


def test_the_variance_is_replayed_with_the_weight_that_it_was_recorded_with(few):
    bench, trial = Benchmark(few.folder), Trial(few.models[0], 40)
    assert TableObjective(bench, "camera", "denoising", "variance").evaluate(trial).signal is None
    # Such a variance has forgotten its start after 21 iterations, not 44.
    bench.protocol = bench.protocol.replace(variance_alpha=0.2)
    signal = TableObjective(bench, "camera", "denoising", "variance").evaluate(trial).signal
    variance = bench.curve(trial.model, "camera", "denoising", kind="variance")
    assert signal == pytest.approx(-10 * np.log10(variance[39]))


def test_other_images_show_the_others_and_cost_their_runs(listed):
    objective = TableObjective(listed, "camera", "denoising", "other_images")
    outcome = objective.evaluate(Trial(listed.models[3]))
    assert outcome.signal == listed.query(listed.models[3], "coins", "denoising").psnr
    assert outcome.cost.iterations == FULL


def test_one_image_has_no_others(complete):
    with pytest.raises(QueryError, match="no other image"):
        TableObjective(complete, "camera", "denoising", "other_images")


def test_nothing_is_answered_for_a_model_that_was_not_trained(listed):
    with pytest.raises(QueryError, match="no usable run"):
        TableObjective(listed, "camera", "denoising").evaluate(
            Trial("trans_conv-3x3-none/" + "1" * 25)
        )


@pytest.mark.parametrize("signal", SIGNALS)
def test_every_signal_replays_on_every_algorithm_for_the_522(listed, signal):
    algorithms = ["random", "score", "halving"]
    found = replay(
        listed, "camera", "denoising", algorithms, Budget(FULL * 12), signal=signal, seeds=(0, 1)
    )
    assert set(found["algorithm"]) == set(algorithms)
    assert (found.groupby(["algorithm", "seed"])["iterations"].diff().dropna() >= 0).all()
    assert found["regret"].dropna().ge(0).all()


def test_random_search_with_the_truth_finds_the_best_in_the_end(listed):
    found = replay(
        listed, "camera", "denoising", ["random"], Budget(FULL * 60), signal="truth", seeds=(0,)
    )
    assert found["regret"].iloc[-1] == 0
    assert (found["regret"].diff().dropna() <= 1e-12).all()


def test_a_replay_repeats_to_the_bit(listed):
    one, two = (
        replay(listed, "camera", "denoising", ["random", "halving"], Budget(900), seeds=(3,))
        for _ in range(2)
    )
    assert one.equals(two)


def test_bayesian_optimisation_replays(listed):
    pytest.importorskip("sklearn")
    found = replay(
        listed, "camera", "denoising", ["bayesian"], Budget(FULL * 20), signal="truth", seeds=(0,)
    )
    assert found["model"].is_unique
    assert len(found) == 20


def test_walkers_need_a_complete_sub_space(listed, complete):
    with pytest.raises(QueryError, match="no complete sub-space"):
        replay(listed, "camera", "denoising", ["evolution"], Budget(900))
    found = replay(
        complete,
        "camera",
        "denoising",
        ["evolution", "local", "random"],
        Budget(FULL * 60),
        signal="truth",
        seeds=range(3),
    )
    ends = found.groupby(["algorithm", "seed"])["regret"].last().groupby("algorithm").mean()
    assert ends["evolution"] < 1.0
    assert ends["local"] < 1.0


@pytest.mark.parametrize("algorithm", ["evolution", "local"])
def test_a_walk_ends_once_it_comes_by_nothing_new(complete, algorithm):
    everything = Budget(FULL * (len(complete.models) + 1))
    found = replay(complete, "camera", "denoising", [algorithm], everything, seeds=(0,))
    assert found["iterations"].max() <= FULL * len(complete.models)
    assert (found["iterations"].iloc[-1001:].diff().dropna() == 0).all()


def test_a_score_made_in_two_ways_is_asked_for_by_its_way(listed):
    rows = listed.scores()
    name = rows["score"].iloc[0]
    both = pd.concat([rows.assign(how="table"), rows.assign(how="search", value=rows["value"] + 9)])
    bench = Benchmark(listed.folder)
    bench.scores = lambda: both.copy()
    objective = TableObjective(bench, "camera", "denoising")
    with pytest.raises(QueryError, match=f"{name}:search"):
        objective.scores(name)
    first, second = (objective.scores(f"{name}:{how}") for how in ("table", "search"))
    assert {round(abs(second[model] - first[model]), 6) for model in first} == {9}


def test_the_default_score_is_that_of_the_tables_and_none_where_it_is_not_there(listed):
    bench, rows = Benchmark(listed.folder), listed.scores()
    assert default_score(bench) == "psd_db_strip_mse"
    both = pd.concat([rows.assign(how="table"), rows])
    bench.scores = lambda: both.copy()
    assert default_score(bench) == "psd_db_strip_mse:table"
    bench.scores = lambda: rows.assign(score="snip")
    assert default_score(bench) is None


def test_scores_guide_a_search_on_one_seed_where_the_models_share_none(apart):
    objective = TableObjective(apart, "camera", "denoising", seed=0)
    assert set(objective.scores("psd_db_strip_mse")) == set(apart.models[1:])


def test_the_interval_holds_the_mean_and_the_curve_ends_at_the_budget(listed):
    found = replay(listed, "camera", "denoising", ["random"], Budget(900), seeds=range(10))
    table = regret_by_cost(found)
    assert (table["low"] <= table["regret"] + 1e-12).all()
    assert (table["low"] < table["high"]).any()
    assert (table["regret"] <= table["high"] + 1e-12).all()
    assert table["cost"].max() == 900
    assert (table["searches"] == 10).all()


def test_the_figure_names_algorithms_units_and_the_signal(listed):
    found = replay(listed, "camera", "denoising", ["random", "score"], Budget(900), seeds=range(3))
    axes = regret_curves(found).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["random", "score"]
    assert "dB" in axes.get_ylabel()
    assert "iterations" in axes.get_xlabel()
    assert "observed_loss" in axes.get_title(loc="left")


def test_a_surrogate_says_that_it_is_one_and_knows_its_own_best(listed):
    objective = SurrogateObjective(listed, "camera", "denoising")
    assert objective.label.startswith("SURROGATE")
    assert objective.fidelity.correlation > 0.3
    some = [Genotype(code, "1" * 25) for code in VALID_UPSAMPLE_CODES]
    assert objective.best >= objective.predict(some).max()
    found = replay_surrogate(
        listed, "camera", "denoising", ["local", "evolution", "random"], 300, seeds=(0, 1)
    )
    ends = found.groupby(["algorithm", "seed"])["regret"].last().groupby("algorithm").mean()
    assert ends["local"] < ends["random"]
    assert (found["regret"] >= -1e-9).all()
    assert "SURROGATE" in found.attrs["label"]


def test_too_few_models_make_no_surrogate(few):
    with pytest.raises(QueryError, match="20 genotypes"):
        SurrogateObjective(few, "camera", "denoising")


def test_an_unknown_signal_and_algorithm_list_what_there_is(listed):
    with pytest.raises(QueryError, match="observed_loss"):
        TableObjective(listed, "camera", "denoising", "los")
    with pytest.raises(QueryError, match="halving"):
        replay(listed, "camera", "denoising", ["halvng"], Budget(90))
    with pytest.raises(QueryError, match="replay a benchmark"):
        signal_of_curves({"loss": np.ones(3)}, "other_images")


def test_a_signal_of_whole_trainings_is_refused_where_the_truth_has_cut_them(few):
    bench = Benchmark(few.folder)
    bench.protocol = bench.protocol.replace(stop=PeakStop(10))
    model = bench.models[0]
    stopped = bench.to_frame().assign(status="stopped")
    bench.to_frame = lambda: stopped
    assert TableObjective(bench, "camera", "denoising", "truth").evaluate(Trial(model)).signal > 0
    blind = TableObjective(bench, "camera", "denoising")
    assert blind.evaluate(Trial(model, FULL)).signal > 0
    for trial in (Trial(model), Trial(model, FULL + 1)):
        with pytest.raises(
            QueryError, match=r"signal discrepancy_variance or discrepancy or truth$"
        ):
            blind.evaluate(trial)


def test_where_the_truth_has_cut_runs_searches_see_the_discrepancy(cut, few):
    assert default_signal(few, "camera", "denoising") == "observed_loss"
    assert default_signal(cut, "camera", "denoising") == "discrepancy_variance"
    found = replay(cut, "camera", "denoising", ["random", "halving"], Budget(5 * FULL))
    assert found.attrs["signal"] == "discrepancy_variance"
    assert "signal discrepancy_variance" in found.attrs["label"]


def test_without_the_variance_searches_see_how_late_a_network_fits_the_noise(cut, monkeypatch):
    bench = Benchmark(cut.folder)
    curve = bench.curve

    def without(*names, kind="psnr_smooth", seed=None):
        if kind == "variance":
            raise QueryError("no variance")
        return curve(*names, kind=kind, seed=seed)

    monkeypatch.setattr(bench, "curve", without)
    assert default_signal(bench, "camera", "denoising") == "discrepancy"
    assert replay(bench, "camera", "denoising", ["random"], Budget(9)).attrs["signal_tau"]
    with pytest.raises(QueryError, match=r"no variance of .* choose the signal discrepancy$"):
        TableObjective(bench, "camera", "denoising", "discrepancy_variance")


def test_signals_that_serve_are_named_where_the_noise_is_not_known(cut, monkeypatch):
    bench = Benchmark(cut.folder)
    monkeypatch.setattr(bench, "_noise", lambda pair: None)
    with pytest.raises(QueryError, match=r"choose the signal truth$"):
        default_signal(bench, "camera", "denoising")
    with pytest.raises(QueryError, match="takes denoising-SIGMA"):
        TableObjective(bench, "camera", "denoising", "discrepancy")


def test_a_run_that_ended_before_it_reached_the_noise_has_no_discrepancy_and_is_paid(cut):
    table = TableObjective(cut, "camera", "denoising", "discrepancy")
    whole = {model: table.fresh().evaluate(Trial(model)) for model in cut.models}
    late = [model for model, outcome in whole.items() if outcome.signal is None]
    assert 0 < len(late) < len(cut.models)
    for asked, signal in ((None, None), (FULL + 1, None), (FULL, FULL), (FULL - 9, FULL - 9)):
        outcome = table.fresh().evaluate(Trial(late[0], asked))
        assert (outcome.signal, outcome.cost.iterations) == (signal, signal or FULL)
    everything = replay(cut, "camera", "denoising", ["random"], Budget(10**6), seeds=[0])
    assert set(everything["model"]) == set(cut.models)
    assert everything["chosen"].iloc[-1] not in late


def test_a_whole_run_that_never_reached_the_noise_has_no_discrepancy_either(whole):
    for signal in ("discrepancy", "discrepancy_variance"):
        table = TableObjective(whole, "camera", "denoising", signal)
        told = {model: table.fresh().evaluate(Trial(model)).signal for model in whole.models}
        never = [model for model, seen in told.items() if seen is None]
        assert 0 < len(never) < len(told)
        assert table.evaluate(Trial(never[0], FULL - 9)).signal is not None
        assert table.evaluate(Trial(never[0], FULL)).signal is None
    asked = whole, "camera", "denoising", ["random", "halving"], Budget(10**6)
    found = replay(*asked, signal="discrepancy")
    for _, search in found.groupby(["algorithm", "seed"]):
        assert search["chosen"].iloc[-1] not in set(search[search["signal"].isna()]["model"])


def test_a_run_that_a_blind_rule_ended_before_the_noise_has_no_discrepancy(whole):
    bench, frame = Benchmark(whole.folder), whole.to_frame()
    bench.protocol = bench.protocol.replace(stop=VarianceStop())
    bench.to_frame = lambda: frame.assign(status="stopped")
    assert discrepancies(bench) == discrepancies(whole)
    bench.protocol = bench.protocol.replace(stop=DiscrepancyStop())
    assert None not in discrepancies(bench)


def discrepancies(bench):
    table = TableObjective(bench, "camera", "denoising", "discrepancy")
    return [table.fresh().evaluate(Trial(model)).signal for model in bench.models]


def test_a_model_that_one_seed_of_lacks_the_discrepancy_has_none():
    mini = load("mini")
    tables = [
        TableObjective(mini, "camera", "denoising", "discrepancy", seed=seed)
        for seed in (0, 1, None)
    ]
    lacking = []
    for model in mini.models:
        signals = [table.evaluate(Trial(model)).signal for table in tables]
        assert (signals[2] is None) == (None in signals[:2])
        lacking += [model] * (signals[2] is None)
    assert len(lacking) == 2


def test_what_no_search_is_judged_by_is_refused(listed):
    for by, told in (("stop:variance", "not by stop:variance"), ("best", "unknown summary")):
        with pytest.raises(QueryError, match=told):
            replay(listed, "camera", "denoising", ["random"], Budget(900), by=by)
    with pytest.raises(QueryError, match=r"give a list of algorithms: \['random'\]"):
        replay(listed, "camera", "denoising", "random", Budget(900))
    with pytest.raises(QueryError, match=r"seeds as a list, such as \[5\] or range\(5\)"):
        replay(listed, "camera", "denoising", ["random"], Budget(900), seeds=5)
    with pytest.raises(QueryError, match=r"give a budget as Budget\(900\)"):
        replay(listed, "camera", "denoising", ["random"], 900)


def test_other_images_without_a_model_in_common_name_no_budget(listed):
    bench, frame = Benchmark(listed.folder), listed.to_frame()
    apart = (frame["image"] == "coins") == frame["model"].isin(bench.models[:3])
    bench.to_frame = lambda: frame[apart]
    asked = bench, "camera", "denoising", ["random"], Budget(900)
    with pytest.raises(QueryError, match=r"no model was trained on all images .*choose another$"):
        replay(*asked, signal="other_images")


def test_the_default_budget_is_of_mean_trainings(few):
    bench = Benchmark(few.folder)
    frame = bench.to_frame()
    frame.loc[frame["model"] == bench.models[0], "length"] = 9 * FULL
    bench.to_frame = lambda: frame
    # A quarter of five models is one.
    whole = default_budget(TableObjective(bench, "camera", "denoising"))
    assert whole == Budget((9 + 4) * FULL / 5)
    stopped = TableObjective(load("pilot"), "camera", "denoising", "discrepancy")
    costs = [stopped.fresh().evaluate(Trial(model)).cost.iterations for model in stopped.models]
    assert default_budget(stopped).amount == pytest.approx(8 * np.mean(costs))


def test_what_was_spent_is_told_and_that_nothing_was_left_to_try(few):
    asked = few, "camera", "denoising", ["random", "halving"]
    table = spending(replay(*asked, Budget(10**9), seeds=range(3))).set_index("algorithm")
    assert table.loc["random"].tolist() == [5 * FULL, 3, 3]
    grid = regret_by_cost(replay(*asked, Budget(10**9), seeds=range(3)))
    assert grid["cost"].max() == 5 * FULL
    over = spending(replay(*asked, Budget(FULL + 1), seeds=range(3))).set_index("algorithm")
    assert over.loc["random"].tolist() == [2 * FULL, 3, 0]


@pytest.mark.parametrize("searches", [1, 9])
def test_few_searches_have_no_interval(listed, searches):
    asked = (listed, "camera", "denoising", ["random"], Budget(900))
    found = regret_by_cost(replay(*asked, seeds=range(searches)))
    assert found["regret"].notna().all()
    assert found[["low", "high"]].isna().all(axis=None)


def test_a_search_knows_the_runs_of_shared_seeds_alone(uneven):
    table = TableObjective(uneven, "camera", "denoising", "truth")
    assert table.models == uneven.models[1:]
    assert table.iterations == FULL


def test_images_without_the_task_are_no_others(listed, monkeypatch):
    monkeypatch.setattr(Benchmark, "images", ("camera", "coins", "moon"))
    table = TableObjective(listed, "camera", "denoising", "other_images")
    assert len(table.models) == len(listed.models)


def test_other_images_say_nothing_of_a_model_that_was_not_trained_here(listed, monkeypatch):
    frame = listed.to_frame()
    lost = listed.models[0]
    fewer = frame[(frame["model"] != lost) | (frame["image"] != "camera")]
    monkeypatch.setattr(listed, "to_frame", lambda: fewer)
    objective = TableObjective(listed, "camera", "denoising", "other_images")
    assert lost not in objective.models
    assert len(objective.models) == len(listed.models) - 1


class Nothing(Searcher):
    def ask(self):
        return None

    def tell(self, outcome):
        raise AssertionError


def test_a_search_without_a_step_is_a_frame(few):
    trace = run_search(Nothing(), TableObjective(few, "camera", "denoising"), Budget(1))
    frame = trace_frame(trace)
    assert (len(frame), frame["signal"].dtype) == (0, float)
    assert "chosen" in frame


def test_an_iteration_of_numpy_is_one(listed):
    table = TableObjective(listed, "camera", "denoising", "truth", by=np.int64(3))
    curve = listed.curve(listed.models[0], "camera", "denoising")
    signal = table.evaluate(Trial(listed.models[0], 2)).signal
    assert signal == pytest.approx(float(curve[1]))


def test_a_replay_says_how_well_its_signal_orders_the_models(listed):
    asked = {"signal": "observed_loss", "seeds": [0]}
    replayed = replay(listed, "camera", "denoising", ["random"], Budget(FULL), **asked)
    table = TableObjective(listed, "camera", "denoising")
    signals = [table.evaluate(Trial(model)).signal for model in listed.models]
    psnr = [listed.query(model, "camera", "denoising").psnr for model in listed.models]
    assert replayed.attrs["signal_tau"] == pytest.approx(kendalltau(signals, psnr).statistic)


def test_the_discrepancy_ends_trainings_and_costs_what_they_took():
    pilot = load("pilot")
    tables = [
        TableObjective(pilot, "camera", "denoising", signal)
        for signal in ("discrepancy", "discrepancy_variance")
    ]
    model = pilot.models[0]
    stopped = pilot.query(model, "camera", "denoising", stopping="discrepancy").iteration + 1
    kept = pilot.curve_iterations(model, "camera", "denoising")
    variance = pilot.curve(model, "camera", "denoising", kind="variance")
    for asked, spent in ((None, stopped), (stopped - 5, stopped - 5), (9, 9)):
        late, varying = (table.fresh().evaluate(Trial(model, asked)) for table in tables)
        assert late.cost.iterations == varying.cost.iterations == late.signal == spent
        [seen] = variance[kept == kept[kept < spent].max()]
        assert varying.signal == pytest.approx(10 * np.log10(seen))
    early = tables[1].fresh().evaluate(Trial(model, int(kept[0])))
    assert (early.signal, early.cost.iterations) == (None, kept[0])


@pytest.mark.parametrize(
    ("signal", "camera", "astronaut"),
    [
        ("observed_loss", -0.51, -0.48),
        ("discrepancy", 0.34, 0.43),
        ("discrepancy_variance", 0.47, 0.27),
        ("other_images", 0.75, 0.75),
    ],
)
def test_what_the_page_says_of_the_signals(signal, camera, astronaut):
    for image, told in (("camera", camera), ("astronaut", astronaut)):
        asked = {"signal": signal, "seeds": [0]}
        replayed = replay(load("pilot"), image, "denoising", ["random"], Budget(1), **asked)
        assert round(replayed.attrs["signal_tau"], 2) == told


@pytest.mark.parametrize(("image", "tau"), [("camera", -0.14), ("astronaut", -0.29)])
def test_what_the_page_says_of_raw_outputs(image, tau):
    asked = load("pilot"), image, "denoising", ["random"], Budget(1)
    replayed = replay(*asked, signal="discrepancy_variance", by="best_psnr", seeds=[0])
    assert round(replayed.attrs["signal_tau"], 2) == tau


@pytest.mark.parametrize(
    ("signal", "camera", "astronaut"),
    [
        ("observed_loss", 1.28, 0.94),
        ("discrepancy", 0.70, 0.43),
        ("discrepancy_variance", 0.25, 0.15),
    ],
)
def test_what_the_page_says_of_random_search(signal, camera, astronaut):
    for image, told in (("camera", camera), ("astronaut", astronaut)):
        asked = load("pilot"), image, "denoising", ["random"], Budget(4000)
        ends = regret_by_cost(replay(*asked, signal=signal)).iloc[-1]
        assert ends["regret"] == pytest.approx(told, abs=0.005)


def test_what_the_page_says_of_the_search_that_goes_by_a_score():
    mini = load("mini")
    table = TableObjective(mini, "camera", "denoising", "discrepancy_variance")
    asked = {"signal": "discrepancy_variance", "seeds": [0]}
    replayed = replay(mini, "camera", "denoising", ["score"], default_budget(table), **asked)
    assert round(replayed.attrs["signal_tau"], 2) == 0.42
    assert round(regret_by_cost(replayed).iloc[-1]["regret"], 3) == 0.117
    psnr = mini.query_many(None, "camera", "denoising")["psnr"]
    assert round(psnr.max() - psnr.mean(), 2) == 1.01


@pytest.mark.parametrize("by", ["final_psnr", 1503])
def test_what_the_truth_has_cut_runs_before_judges_no_search(by):
    with pytest.raises(QueryError, match="judge by a best PSNR"):
        replay(load("mini"), "camera", "denoising", ["random"], Budget(100), by=by, seeds=[0])


def test_the_command_prints_a_table_and_draws(listed, tmp_path, capsys):
    from typer.testing import CliRunner

    from dipbench.cli import app

    shared = ["search-replay", "camera", "denoising", "--store", str(listed.folder)]
    out = tmp_path / "regret.png"
    done = CliRunner().invoke(app, [*shared, "--seeds", "3", "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    rows = printed["rows"]
    assert -1 <= printed["signal_tau"] <= 1
    assert {row["algorithm"] for row in rows} == {"random", "score", "halving"}
    assert printed["signal"] == "observed_loss"
    assert {row["spent"] for row in rows if row["algorithm"] == "random"} == {15 * FULL}
    assert out.stat().st_size > 5000


def test_the_command_replays_runs_that_the_truth_has_cut(cut):
    from typer.testing import CliRunner

    from dipbench.cli import app

    shared = ["search-replay", "camera", "denoising", "--store", str(cut.folder), "--seeds", "1"]
    done = CliRunner().invoke(app, [*shared, "--algorithms", "random", "--budget", "1e9"])
    assert done.exit_code == 0, done.output
    assert "signal discrepancy" in done.stdout
    assert "…" not in done.stdout
    assert "random: 1 of 1 searches had nothing left to try" in done.output
    assert "1,000,000,000" not in done.stdout


def test_few_searches_show_no_interval_in_the_table_and_the_figure(listed, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from dipbench.analysis import plots
    from dipbench.cli import app

    titles = []
    monkeypatch.setattr(
        plots, "save", lambda figure, _: titles.append(figure.axes[0].get_title(loc="left"))
    )
    shared = ["search-replay", "camera", "denoising", "--store", str(listed.folder)]
    shared += ["--algorithms", "random,random", "--budget", "900"]
    for searches, shown in ((3, False), (10, True)):
        figure = str(tmp_path / "f.png")
        done = CliRunner().invoke(app, [*shared, "--seeds", str(searches), "--out", figure])
        assert done.exit_code == 0, done.output
        assert ("…" in done.stdout, "nan" in done.stdout) == (shown, False)
        assert ("interval" in titles[-1]) == shown
    found = replay(listed, "camera", "denoising", ["random", "random"], Budget(900), seeds=[0, 0])
    assert not found.duplicated(["algorithm", "seed", "step"]).any()


def test_models_that_ended_before_the_iteration_are_not_searched(ended):
    for signal in ("truth", "other_images"):
        asked = {"signal": signal, "by": 50, "seeds": [0]}
        found = replay(ended, "camera", "denoising", ["random"], Budget(5000), **asked)
        assert set(found["model"]) == set(ended.models) - set(map(str, ISNAS522[:3]))
    assert len(TableObjective(ended, "camera", "denoising", "truth").models) == 12


def test_a_search_that_withdrew_its_choice_has_none(listed):
    asked = (listed, "camera", "denoising", ["random"], Budget(900))
    found = replay(*asked, seeds=range(2))
    attrs = found.attrs
    last = found.groupby("seed")["step"].transform("max") == found["step"]
    found.loc[last & (found["seed"] == 1), ["chosen", "regret"]] = None
    found.attrs = attrs
    with pytest.raises(QueryError, match="not every search chose a model"):
        regret_by_cost(found)


@pytest.mark.parametrize("seeds", ["12", [1.5], [True]])
def test_seeds_of_searches_are_whole_numbers(listed, seeds):
    with pytest.raises(QueryError, match="is no whole number"):
        replay(listed, "camera", "denoising", ["random"], Budget(900), seeds=seeds)
