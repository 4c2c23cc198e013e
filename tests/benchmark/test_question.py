"""Constraints, budgets and stopping criteria, against a slow and plain computation."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dipbench.benchmark import Benchmark, load
from dipbench.benchmark.conditions import matching
from dipbench.benchmark.cutting import cut
from dipbench.benchmark.schema import Run, RunKey
from dipbench.benchmark.values import stop_of
from dipbench.errors import ProtocolError, QueryError
from dipbench.evaluate.protocol import PeakStop, get_protocol
from dipbench.evaluate.stopping import STOPPING, scaled_patience
from dipbench.genotypes import ISNAS522, Genotype

Make = Callable[..., Benchmark]
ASKED = ("camera", "denoising-25")
LENGTH = 60


@pytest.fixture
def runs(models: list[str]) -> list[Run]:
    """Two seeds a model; some short, one diverged, one without seconds."""
    rng = np.random.default_rng(0)
    made = []
    for number, model in enumerate(models):
        for seed in (0, 1):
            length = LENGTH - 7 * (number % 3)
            steps = np.arange(length)
            peak = rng.integers(20, 50)
            psnr = (25 + rng.normal() - 0.01 * (steps - peak) ** 2).astype(np.float32)
            curves = {
                "psnr": psnr + rng.normal(0, 0.2, length).astype(np.float32),
                "psnr_smooth": psnr,
                "loss": (0.1 / (steps + 1) + 0.001 * rng.random(length)).astype(np.float32),
                "psnr_observed": (15 + 0.2 * steps).astype(np.float32),
                "variance": ((steps - peak + 3.0) ** 2 + 1).astype(np.float32),
            }
            facts: dict[str, Any] = {"seconds": float(length * (1 + number % 2)), "device": "cpu"}
            facts["parameters"] = 10**6 * (number + 1)
            if number == 5:
                facts.pop("seconds")
            key = RunKey(model, *ASKED, seed)
            status = "diverged" if (number, seed) == (7, 1) else "finished"
            made.append(Run(key, status, "", curves, facts))
    return made


def expected(runs: list[Run], value: Callable[[Run], float | None]) -> dict[str, float]:
    """Mean over the usable runs with a value, by model."""
    found: dict[str, list[float]] = {}
    for run in runs:
        if run.status == "finished" and (got := value(run)) is not None:
            found.setdefault(run.key.model, []).append(float(got))
    return {model: float(np.mean(values)) for model, values in found.items()}


def check(bench: Benchmark, wanted: dict[str, float], **asked: Any) -> None:
    results = bench.top(*ASKED, k=100, **asked)
    assert {result.model: result.psnr for result in results} == pytest.approx(wanted)
    best = max(wanted.values())
    assert bench.best(*ASKED, **asked).psnr == pytest.approx(best)
    for place, result in enumerate(results, 1):
        assert bench.rank(result.model, *ASKED, **asked) == place
        assert bench.regret(result.model, *ASKED, **asked) == pytest.approx(best - result.psnr)
        assert bench.query(result.model, *ASKED, **asked) == result


@pytest.mark.parametrize("budget", [1, 10, 49, 200])
def test_a_budget_of_iterations_is_a_training_that_ended_there(
    runs: list[Run], make_bench: Make, budget: int
) -> None:
    bench = make_bench(runs)
    for by, kind in (("best_psnr", "psnr"), ("best_psnr_smooth", "psnr_smooth")):
        wanted = expected(runs, lambda run: run.curves[kind][:budget].max())  # noqa: B023
        check(bench, wanted, by=by, budget_iterations=budget)
    wanted = expected(runs, lambda run: run.curves["psnr_smooth"][:budget][-1])
    check(bench, wanted, by="final_psnr_smooth", budget_iterations=budget)


def test_a_budget_beyond_all_trainings_changes_nothing(runs: list[Run], make_bench: Make) -> None:
    bench = make_bench(runs)
    for by in ("best_psnr", "best_psnr_smooth", "final_psnr", "final_psnr_smooth"):
        unlimited = bench.top(*ASKED, k=100, by=by)
        assert bench.top(*ASKED, k=100, by=by, budget_iterations=10**6) == unlimited


def test_a_budget_of_seconds_counts_what_it_cannot_judge(runs: list[Run], make_bench: Make) -> None:
    bench = make_bench(runs)

    def value(run: Run) -> float | None:
        seconds = run.facts.get("seconds")
        if seconds is None:
            return None
        afforded = int(len(run.curves["psnr"]) * 21.0 / seconds)
        return float(run.curves["psnr_smooth"][:afforded].max())

    check(bench, expected(runs, value), budget_seconds=21.0)
    left_out = bench.left_out(*ASKED, budget_seconds=21.0)
    assert left_out["seconds not recorded"] == 2
    assert bench.left_out(*ASKED, budget_seconds=1.5)["no iteration within the seconds"] > 0


def test_the_seconds_of_a_run_afford_all_of_it() -> None:
    mini = load("mini")
    runs = mini.to_frame()
    runs = runs[runs["seed"] == 0]
    lost = runs[np.floor(runs["length"] * runs["seconds"] / runs["seconds"]) < runs["length"]]
    assert len(lost) > 5
    asked = {"seed": 0, "by": "final_psnr"}
    for model, seconds in zip(lost["model"][:5], lost["seconds"], strict=False):
        whole = mini.query(model, *ASKED, **asked)
        assert mini.query(model, *ASKED, **asked, budget_seconds=seconds) == whole


@pytest.mark.parametrize("name", STOPPING)
@pytest.mark.parametrize("budget", [None, 55])
def test_stopping_is_the_criterion_replayed_on_each_run(
    runs: list[Run], make_bench: Make, name: str, budget: int | None
) -> None:
    bench = make_bench(runs)
    refused = 0

    def value(run: Run) -> float | None:
        nonlocal refused
        curves = {kind: curve[:budget] for kind, curve in run.curves.items()}
        try:
            stop = STOPPING[name](curves)
        except ProtocolError:
            refused += 1
            return None
        return float(curves["psnr_smooth"][-1 if stop is None else stop])

    wanted = expected(runs, value)
    asked = {"stopping": name, "budget_iterations": budget}
    if wanted:
        check(bench, wanted, **asked)
        assert bench.left_out(*ASKED, **asked)[f"{name} is not applicable"] == refused
    else:
        with pytest.raises(QueryError, match=f"{name} is not applicable: {refused}"):
            bench.best(*ASKED, **asked)


@pytest.mark.parametrize("name", STOPPING)
def test_of_a_run_that_the_truth_has_cut_a_criterion_knows_what_came_before(
    models: list[str], make_bench: Make, name: str
) -> None:
    rule, whole = PeakStop(30), {}
    steps = np.arange(200)
    for number, model in enumerate(models):
        peak = 80 + 6 * number
        early = 5 + 20 * (number % 2)  # half of them are lowest long enough before the peak
        curves = {
            "psnr_smooth": 25 - 0.01 * abs(steps - peak),
            "loss": (steps - peak + early) ** 2 + 1.0,
            "psnr_observed": 15 + 0.2 * steps,
            "variance": (steps - peak + early) ** 2 + 1.0,
        }
        curves = {kind: curve.astype(np.float32) for kind, curve in curves.items()}
        whole[model] = Run(RunKey(model, *ASKED, 0), "finished", "", curves)
    runs = [cut(run, rule) for run in whole.values()]
    bench = make_bench(runs)
    bench.protocol = get_protocol("quick").with_iterations(200).replace(stop=rule)
    wanted = {}
    for run in runs:
        stop = stop_of(whole[run.key.model].curves, name)
        waits = scaled_patience(200) if name.endswith("scaled") else 0
        if stop is not None and stop[1] + waits < len(run.curves["loss"]):
            wanted[run.key.model] = stop[0]
    if name in ("oracle", "variance_scaled", "loss_scaled"):
        assert wanted
        check(bench, wanted, stopping=name)
    left_out = len(models) - len(wanted)
    why = f"{name} is not applicable, or would stop later than the protocol's rule"
    if wanted:
        [reason] = [one for one in bench.left_out(*ASKED, stopping=name) if one.startswith(why)]
        assert bench.left_out(*ASKED, stopping=name)[reason] == left_out
    else:
        with pytest.raises(QueryError, match=f"{why}, which knows the truth, .*: {left_out}"):
            bench.best(*ASKED, stopping=name)


def test_the_oracle_is_the_published_ground_truth(runs: list[Run], make_bench: Make) -> None:
    bench = make_bench(runs)
    assert bench.top(*ASKED, k=100, stopping="oracle") == bench.top(*ASKED, k=100)


def test_a_condition_takes_numbers_of_any_size_as_they_are() -> None:
    # The 522 hold models of 32 million parameters: more than 24 bits count.
    table = pa.table({"parameters": [3, 32_309_761, 32_309_762, None], "text": list("abcd")})
    for condition, wanted in {
        "parameters < 4e6": [True, False, False, False],
        "parameters == 32309761": [False, True, False, False],
        "parameters > 32309761.5": [False, False, True, False],
        "parameters / 2 > 1.4 and text != 'c'": [True, True, False, False],
    }.items():
        assert matching(table, condition).to_pylist() == wanted


def test_a_condition_may_name_what_a_genotype_is_made_of(runs: list[Run], make_bench: Make) -> None:
    bench = make_bench(runs)

    def kept(where: str) -> set[str]:
        return {result.model for result in bench.top(*ASKED, k=100, where=where)}

    genotypes = {model: Genotype.parse(model) for model in bench.models}
    assert kept("kernel >= 3 and operation != 'conv'") == {
        model
        for model, genotype in genotypes.items()
        if (genotype.kernel or 0) >= 3 and genotype.operation != "conv"
    }
    for name in ("primitive", "activation", "order"):
        value = getattr(next(iter(genotypes.values())), name)
        assert kept(f"{name} == '{value}'") == {
            model for model, genotype in genotypes.items() if getattr(genotype, name) == value
        }
    counts = {model: genotype.skip.count("1") for model, genotype in genotypes.items()}
    middle = sorted(counts.values())[len(counts) // 2]
    assert kept(f"connections >= {middle}") == {m for m, n in counts.items() if n >= middle}
    with pytest.raises(QueryError, match="unknown limit 'budget': did you mean"):
        bench.best(*ASKED, budget=40)  # type: ignore[call-arg]


def test_a_condition_takes_models_all_of_whose_runs_fulfil_it(
    runs: list[Run], make_bench: Make, models: list[str]
) -> None:
    bench = make_bench(runs)
    wanted = expected(runs, lambda run: run.curves["psnr_smooth"].max())
    small = {model: psnr for model, psnr in wanted.items() if model in models[:4]}
    check(bench, small, where="parameters <= 4e6")
    by_function = bench.top(*ASKED, k=9, where=lambda frame: frame["parameters"] <= 4e6)
    assert by_function == bench.top(*ASKED, k=9, where="parameters <= 4e6")
    turned = bench.top(
        *ASKED, k=9, where=lambda frame: frame.sort_values("macs")["parameters"] <= 4e6
    )
    assert turned == by_function
    wide = [bench.top(*ASKED, k=9, where=one) for one in ("kernel > 1", lambda f: f["kernel"] > 1)]
    assert wide[0] == wide[1]
    with pytest.raises(QueryError, match="unknown column in where= 'kernels'"):
        bench.best(*ASKED, where=lambda frame: frame["kernels"] > 1)
    with pytest.raises(QueryError, match=r"no run fulfils .*; order is one of "):
        bench.best(*ASKED, where="order == 'first'")
    assert bench.left_out(*ASKED, where="parameters <= 4e6")["where"] == 2 * len(models) - 8 - 1
    without = bench.top(*ASKED, k=100, where="seconds > 0")
    assert models[5] not in [result.model for result in without]


def test_a_condition_is_not_about_failed_runs_nor_other_seeds(
    runs: list[Run], make_bench: Make, models: list[str]
) -> None:
    failed = Run(runs[0].key, "failed", "no reason")
    bench = make_bench([failed, *runs[1:]])
    assert bench.query(models[0], *ASKED, where="parameters < 4e6").n == 1
    slow = replace(runs[1], facts=runs[1].facts | {"seconds": 1e6})
    bench = make_bench([runs[0], slow, *runs[2:]])
    assert bench.query(models[0], *ASKED, seed=0, where="seconds < 1e5").n == 1
    with pytest.raises(QueryError, match="left out: where"):
        bench.query(models[0], *ASKED, where="seconds < 1e5")


def test_runs_that_the_truth_has_stopped_before_are_counted_as_such(
    runs: list[Run], make_bench: Make
) -> None:
    stopped = [
        replace(run, status="stopped") if len(run.curves["loss"]) < LENGTH else run for run in runs
    ]
    bench = make_bench(stopped)
    bench.protocol = bench.protocol.replace(stop=PeakStop(30))
    cut_short = sum(run.status == "stopped" for run in stopped)
    left_out = bench.left_out(*ASKED, by=LENGTH - 1)
    assert left_out["stopped before, by a rule that knows the truth"] == cut_short > 0
    assert left_out["no value"] == 0


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"where": "parametres < 4"}, "did you mean 'parameters'"),
        ({"where": "__import__('os').system('true')"}, "cannot hold"),
        ({"where": "parameters"}, "no condition"),
        ({"where": "parameters < 0"}, "no run fulfils 'parameters < 0'"),
        ({"where": 3}, "takes a condition"),
        ({"where": lambda frame: frame["parameters"]}, "boolean"),
        ({"budget_iterations": 0}, "a budget of 0 iterations is none"),
        ({"budget_iterations": 1.5}, "give a whole number"),
        ({"budget_iterations": [1]}, "give a whole number"),
        ({"budget_seconds": -1.0}, "a budget of -1.0 seconds is none"),
        ({"budget_seconds": "5"}, "give a number above 0"),
        ({"stopping": ["last"]}, "unknown stopping criterion"),
        ({"stopping": "wang"}, "unknown stopping criterion"),
        ({"stopping": "last", "by": "best_psnr"}, "leave out --by, in Python by="),
        ({"by": 40, "budget_iterations": 10}, "no value"),
        ({"by": True}, "unknown summary"),
        ({"by": ["best_psnr"]}, "unknown summary"),
        ({"by": "stop:last"}, "ask with --stopping last, in Python stopping="),
        ({"seed": "0"}, "a seed is a whole number"),
        ({"where": ["a"]}, "takes a condition"),
        ({"where": "model == 3"}, "does not fit the types of the columns"),
    ],
)
def test_what_cannot_be_answered_is_one_line(
    runs: list[Run], make_bench: Make, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(QueryError, match=message) as caught:
        make_bench(runs).best(*ASKED, **asked)
    assert "\n" not in str(caught.value)


def test_a_run_is_left_out_once_and_only_where_it_is_asked_for(
    runs: list[Run], make_bench: Make
) -> None:
    bench = make_bench(runs)
    usable = {
        seed: sum(r.key.seed == seed and r.status == "finished" for r in runs) for seed in (0, 1)
    }
    asked = {"where": "parameters < 4e6", "budget_seconds": 1.5}
    for seed in (0, 1, None):
        held = int(bench.query_many(None, *ASKED, seed=seed, **asked)["n"].sum())
        left_out = bench.left_out(*ASKED, seed=seed, **asked)
        assert left_out["where"] > 0
        assert left_out["no iteration within the seconds"] > 0
        assert held + sum(left_out.values()) == (
            usable[seed] if seed in usable else sum(usable.values())
        )


def test_a_model_that_a_condition_excludes_has_a_run_all_the_same(
    runs: list[Run], make_bench: Make, models: list[str]
) -> None:
    with pytest.raises(QueryError, match="that answers this; runs were left out: where"):
        make_bench(runs).query(models[-1], *ASKED, where="parameters < 4e6")


@pytest.mark.parametrize("k", [0, -1, 2.5])
def test_no_models_are_not_the_best(runs: list[Run], make_bench: Make, k: Any) -> None:
    with pytest.raises(QueryError, match="give 1 or more"):
        make_bench(runs).top(*ASKED, k=k)


def test_many_models_at_once_are_as_one_by_one(
    runs: list[Run], make_bench: Make, models: list[str]
) -> None:
    bench = make_bench(runs)
    for asked in ({}, {"seed": 1}, {"stopping": "loss_scaled"}, {"where": "parameters < 4e6"}):
        table = bench.query_many(None, *ASKED, **asked).set_index("model")
        assert list(table.index) == list(bench.models)
        held = {result.model: result for result in bench.top(*ASKED, k=100, **asked)}
        for model, row in table.iterrows():
            if model not in held:
                assert row["n"] == 0
                assert pd.isna(row["psnr"])
                assert pd.isna(row["rank"])
                assert pd.isna(row["iteration"])
                continue
            one = held[str(model)]
            assert (row["psnr"], row["n"], row["iteration"]) == (one.psnr, one.n, one.iteration)
            assert (row["psnr_std"] if one.n > 1 else None) == (
                pytest.approx(one.psnr_std) if one.n > 1 else None
            )
            assert row["rank"] == bench.rank(model, *ASKED, **asked)
            assert row["regret"] == bench.regret(model, *ASKED, **asked)
    some = bench.query_many([models[3], models[1]], *ASKED)
    assert some["model"].tolist() == [models[3], models[1]]
    elsewhere = next(str(one) for one in ISNAS522 if str(one) not in bench.models)
    row = bench.query_many([elsewhere, ISNAS522.index(Genotype.parse(elsewhere))], *ASKED).iloc[1]
    assert (row["model"], row["n"]) == (elsewhere, 0)
    assert row[["psnr", "psnr_std", "iteration", "rank", "regret"]].isna().all()
    with pytest.raises(QueryError, match="no such"):
        bench.query_many(["no such"], *ASKED)
    with pytest.raises(QueryError, match="give a list"):
        bench.query_many(3, *ASKED)
    with pytest.raises(QueryError, match="give a list"):
        bench.query_many(models[0], *ASKED)


def test_a_condition_names_columns_with_a_dot() -> None:
    mini = load("mini")
    runs = mini.to_frame().groupby("model")
    lowest = runs["best_psnr_smooth_0.99"].min()
    expected = set(lowest.index[lowest > 27])
    found = mini.top("camera", "denoising", 522, where="best_psnr_smooth_0.99 > 27.")
    assert {result.model for result in found} == expected
    early = mini.top("camera", "denoising", 522, where="best_psnr_smooth_0.9_iteration < 2e2")
    assert len(early) == (runs["best_psnr_smooth_0.9_iteration"].max() < 200).sum() > 0


def test_what_a_genotype_is_without_can_be_asked_for() -> None:
    mini = load("mini")

    def models(where: Any) -> set[str]:
        found = mini.query_many(None, "camera", "denoising", where=where)
        return set(found["model"][found["n"] > 0])

    made = {str(genotype) for genotype in mini.genotypes if genotype.operation is None}
    assert models("operation == 'none'") == models("order == 'none'") == made
    assert models(lambda frame: frame["operation"] == "none") == made
    assert models("primitive in ('trans_conv',)") == made
    resized = {str(genotype) for genotype in mini.genotypes if genotype.kernel in (1, 7)}
    assert models("kernel in (1, 7)") == models("kernel not in [3, 5]") == resized
    with pytest.raises(QueryError, match="cannot hold"):
        models("kernel in ()")


def test_a_condition_on_the_seed_is_told_that_all_runs_have_to_fulfil_it() -> None:
    with pytest.raises(QueryError, match=r"where: 1044\).*a model counts if all its runs fulfil"):
        load("mini").best("camera", "denoising", where="seed == 0")


def test_an_iteration_in_quotes_is_told_without() -> None:
    with pytest.raises(QueryError, match="an iteration is a whole number: 303"):
        load("mini").best("camera", "denoising", by="303")


def test_a_long_list_is_read_and_a_long_condition_refused() -> None:
    table = pa.table({"a": [1, 2, None], "b": ["x", "y", None]})
    assert matching(table, f"a in {tuple(range(2, 20_000))}").to_pylist() == [False, True, False]
    assert matching(table, "a not in (2, 3)").to_pylist() == [True, False, False]
    assert matching(table, "b not in ('x', 'z')").to_pylist() == [False, True, False]
    with pytest.raises(QueryError, match=r"joins 1,001 parts: give 1,000 at most"):
        matching(table, " or ".join(["a == 1"] * 1001))
