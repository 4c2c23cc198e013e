"""Analysis of a compact benchmark, whose curves hold one in four iterations: true or refused."""

from pathlib import Path

import numpy as np
import pytest

from dipbench.analysis import correlate, kendall, plots
from dipbench.analysis.report_curves import LOWEST, STEP, curve_payload
from dipbench.analysis.reporting import report
from dipbench.analysis.search import Budget, Trial
from dipbench.analysis.search.replaying import replay
from dipbench.analysis.search.table import TableObjective
from dipbench.benchmark import Benchmark
from dipbench.benchmark.building import finish
from dipbench.benchmark.compacting import compact
from dipbench.benchmark.parts import write_part
from dipbench.benchmark.pictures import read_observation
from dipbench.benchmark.plan import PLAN_PICTURES, freeze_plan, make_plan
from dipbench.benchmark.schema import Run
from dipbench.benchmark.scorefiles import SCORES_SCHEMA, commit_scores
from dipbench.benchmark.store import PARTS
from dipbench.data import load_images
from dipbench.errors import QueryError
from dipbench.evaluate.protocol import get_protocol
from dipbench.genotypes import ISNAS522

TASK = "denoising-25"
SCORE = "psd_db_strip_mse"
LENGTH = 90


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Benchmark, Benchmark]:
    """A benchmark of 30 models and two seeds, and its compact copy."""
    import pyarrow as pa

    folder = tmp_path_factory.mktemp("stores") / "full"
    folder.mkdir()
    pictures = load_images("camera", size=64)
    protocol = get_protocol("quick").replace(ema=(0.95, 0.99)).with_iterations(LENGTH)
    models = [str(genotype) for genotype in ISNAS522[:30]]
    plan = make_plan("full", models, pictures, [TASK], [0, 1], protocol)
    freeze_plan(folder, plan, pictures)
    sha256 = read_observation(folder / PLAN_PICTURES, ("camera", TASK)).sha256
    rng, steps = np.random.default_rng(0), np.arange(LENGTH)
    ability = {model: rng.normal() for model in models}
    runs, rows = [], []
    for key in plan.run_keys():
        peak = rng.uniform(30, 100)
        smooth = 26 + ability[key.model] - 9 * np.exp(-steps / 9) - 0.001 * (steps - peak) ** 2
        curves = {
            "loss": 10 ** (-(15 + steps / 9 + rng.normal(0, 0.3, LENGTH)) / 10),
            "variance": 1e-5 * ((steps - 55 - 5 * ability[key.model]) ** 2 + 1),
            "psnr": smooth + rng.normal(0, 0.2, LENGTH),
            "psnr_smooth": smooth,
            "psnr_smooth_0.99": smooth - 0.01 * peak,
        }
        facts = {"seconds": 9.0, "macs": 1000, "observation_sha256": sha256}
        floats = {kind: curve.astype(np.float32) for kind, curve in curves.items()}
        runs.append(Run(key, "finished", "", floats, facts))
    write_part(folder / PARTS, runs)
    finish(folder)
    for model in models:
        for index in range(3):
            value = -ability[model] + rng.normal()
            rows.append((model, "camera", TASK, SCORE, index, value, "table", ""))
    records = [dict(zip(SCORES_SCHEMA.names, row, strict=True)) for row in rows]
    commit_scores(folder, pa.Table.from_pylist(records, schema=SCORES_SCHEMA))
    compact(folder, folder.with_name("small"), stride=4)
    return Benchmark(folder), Benchmark(folder.with_name("small"))


@pytest.mark.parametrize(
    "by",
    ["best_psnr_smooth", "best_psnr_smooth_0.99", "final_psnr", "stop:variance_scaled", 31],
)
def test_correlations_are_those_of_the_full_benchmark(
    both: tuple[Benchmark, Benchmark], by: str | int
) -> None:
    full, small = (kendall(bench, "camera", TASK, SCORE, by) for bench in both)
    assert small.tau == pytest.approx(full.tau, abs=1e-6)
    assert small.n == full.n == 30


def test_moving_averages_differ_in_what_they_say(both: tuple[Benchmark, Benchmark]) -> None:
    weights = ("best_psnr_smooth", "best_psnr_smooth_0.99")
    taus = [kendall(both[1], "camera", TASK, SCORE, by).tau for by in weights]
    assert taus[0] != taus[1]


def test_an_iteration_that_is_not_kept_is_refused(both: tuple[Benchmark, Benchmark]) -> None:
    with pytest.raises(QueryError, match="nearest to it: 27, 31"):
        correlate(both[1], "camera", TASK, by=30, resamples=0)


def test_a_plot_has_the_true_iterations(both: tuple[Benchmark, Benchmark]) -> None:
    model = both[1].models[3]
    line, dot = plots.curves(both[1], "camera", TASK, [model], seed=0).axes[0].lines
    assert np.asarray(line.get_xdata()).tolist() == list(range(3, LENGTH, 4))
    exact = both[0].curve(model, "camera", TASK, seed=0)
    np.testing.assert_allclose(line.get_ydata(), exact[3::4], atol=6e-4)
    assert abs(int(dot.get_xdata()[0]) - int(exact.argmax())) <= 4


def test_a_report_tells_the_true_iterations(
    both: tuple[Benchmark, Benchmark], tmp_path: Path
) -> None:
    import base64

    ranked = {("camera", TASK): list(both[1].models)}
    made = curve_payload(both[1], ranked)
    assert (made["first"], made["stride"], made["every"]) == (3, 4, 1)
    thin = curve_payload(both[1], ranked, budget=30 * 2 * 8 * 3)
    assert (thin["first"], thin["stride"]) == (3, 4 * thin["every"])
    for shown in (made, thin):
        _, points, text = shown["kinds"]["psnr_smooth"][0]
        steps = np.frombuffer(base64.b64decode(text), "<u2").reshape(-1, points)[0]
        at = shown["first"] + shown["stride"] * np.arange(points)
        exact = both[0].curve(both[0].models[0], "camera", TASK)[at]
        np.testing.assert_allclose(LOWEST + STEP * steps, exact, atol=STEP / 2 + 1e-3)
    full = curve_payload(both[0], {("camera", TASK): list(both[0].models)})
    assert (full["first"], full["stride"], full["every"]) == (0, 1, 1)
    assert report(both[1], tmp_path / "r.html", resamples=20).stat().st_size > 10_000


def test_a_search_sees_what_is_kept(both: tuple[Benchmark, Benchmark]) -> None:
    model = both[0].models[5]
    full, small = (TableObjective(bench, "camera", TASK, "truth") for bench in both)
    assert small.evaluate(Trial(model)).signal == full.evaluate(Trial(model)).signal
    for wanted, kept in ((40, 40), (43, 40), (44, 44)):
        found = small.evaluate(Trial(model, wanted))
        assert found.signal == pytest.approx(
            both[1].curve(model, "camera", TASK)[: kept // 4].max(), abs=1e-6
        )
    assert small.evaluate(Trial(model, 3)).signal is None
    blind = TableObjective(both[1], "camera", TASK).evaluate(Trial(model, 40))
    loss = both[0].curve(model, "camera", TASK, "loss")[3:40:4]
    assert blind.signal == pytest.approx(-10 * np.log10(loss.min()), abs=1e-3)
    assert blind.cost.iterations == 40
    at = TableObjective(both[1], "camera", TASK, "truth", by=31)
    assert at.evaluate(Trial(model, 60)).signal == pytest.approx(
        both[0].query(model, "camera", TASK, by=31).psnr, abs=1e-3
    )
    found = replay(both[1], "camera", TASK, ["halving"], Budget(900), seeds=[0])
    assert found["regret"].notna().any()


def test_a_search_by_the_variance_is_refused(both: tuple[Benchmark, Benchmark]) -> None:
    with pytest.raises(QueryError, match="choose another, or take a benchmark with full curves"):
        replay(both[1], "camera", TASK, ["random"], Budget(900), signal="variance", seeds=[0])


@pytest.mark.filterwarnings("default")
def test_a_blackbox_has_fidelities_that_are_kept(both: tuple[Benchmark, Benchmark]) -> None:
    pytest.importorskip("syne_tune.blackbox_repository")
    from dipbench.analysis.search.blackbox import BenchmarkBlackbox

    full, small = (
        BenchmarkBlackbox(bench, "camera", TASK, seed=0, fidelities=10) for bench in both
    )
    assert full.fidelity_values.tolist() == list(range(9, 91, 9))
    assert small.fidelity_values.tolist() == [12, 20, 28, 36, 44, 56, 64, 72, 80, 88]
    model = both[0].models[2]
    table = small({"model": model})
    exact = both[0].curve(model, "camera", TASK, seed=0)[small.fidelity_values - 1]
    np.testing.assert_allclose(table[:, 0], exact, atol=6e-4)
    np.testing.assert_allclose(table[:, 2], 9.0 * small.fidelity_values / LENGTH)
