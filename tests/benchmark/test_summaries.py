"""Further summaries of a run: of every moving average, and whether its peak came too late."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from dipbench.benchmark import Benchmark
from dipbench.benchmark.schema import RUNS_SCHEMA, Run, RunKey, runs_schema
from dipbench.benchmark.store import commit, file_of, read_manifest, write_table
from dipbench.errors import QueryError

TASK = "denoising-25"


def run_of(model: str, peak: int, length: int = 40, status: str = "finished") -> Run:
    """A run whose smoothed PSNR is highest at `peak`, and 3 iterations later with more weight."""
    steps = np.arange(length, dtype=np.float32)
    curves = {"psnr_smooth": 25 - abs(steps - peak) / 8, "psnr": 26 - abs(steps - peak) / 8}
    curves["psnr_smooth_0.99"] = 24 - peak / 4 - abs(steps - peak - 3) / 8
    curves["loss"] = 0.1 / (1 + steps)
    return Run(RunKey(model, "camera", TASK, 0), status, "", curves)


@pytest.fixture
def bench(models: list[str], make_bench: Callable[..., Benchmark]) -> Benchmark:
    failed = Run(RunKey(models[3], "camera", TASK, 0), "failed", "x")
    return make_bench([run_of(models[0], 20), run_of(models[1], 38), run_of(models[2], 5), failed])


@pytest.fixture
def older(bench: Benchmark) -> Benchmark:
    """The same as a version without these columns would have written it."""
    manifest = bench.manifest
    path = bench.folder / "runs-1.parquet"
    rows = pq.read_table(file_of(bench.folder, manifest, "runs"))
    write_table(rows.select(RUNS_SCHEMA.names), path)
    roles = {role: file_of(bench.folder, manifest, role) for role in ("curves", "images")}
    commit(bench.folder, manifest, {**roles, "runs": path})
    return Benchmark(bench.folder)


def test_a_late_peak_is_flagged(bench: Benchmark, models: list[str]) -> None:
    frame = bench.to_frame().set_index("model")
    assert frame["peak_censored"][models[:3]].tolist() == [False, True, False]
    assert frame["peak_censored"].isna()[models[3]]
    asked = {"where": "not peak_censored"}
    kept = bench.query_many(None, "camera", TASK, **asked).dropna(subset=["psnr"])
    assert set(kept["model"]) == {models[0], models[2]}


def test_every_moving_average_can_be_asked_by(bench: Benchmark, models: list[str]) -> None:
    found = bench.top("camera", TASK, by="best_psnr_smooth_0.99")
    assert [result.model for result in found] == [models[2], models[0], models[1]]
    assert [result.iteration for result in found] == [8, 23, 39]
    assert found[0].psnr == pytest.approx(24 - 5 / 4)
    last = bench.query(models[0], "camera", TASK, "final_psnr_smooth_0.99")
    assert (last.iteration, last.psnr) == (39, pytest.approx(24 - 5 - 16 / 8))
    early = bench.query(models[0], "camera", TASK, "best_psnr_smooth_0.99", budget_iterations=11)
    assert (early.iteration, early.psnr) == (10, pytest.approx(24 - 5 - 13 / 8))


def test_an_average_that_was_not_recorded_is_refused(bench: Benchmark) -> None:
    told = r"summary 'best_psnr_smooth_0\.9': did you mean 'best_psnr_smooth_0\.99'"
    for limits in ({}, {"budget_iterations": 11}):
        with pytest.raises(QueryError, match=told + ".*final_psnr_smooth_0\\.99, an iteration"):
            bench.best("camera", TASK, by="best_psnr_smooth_0.9", **limits)


def test_an_older_store_opens_and_answers_from_its_curves(
    older: Benchmark, models: list[str], add_runs: Callable[..., object]
) -> None:
    assert "peak_censored" not in older.to_frame()
    assert older.best("camera", TASK).psnr == 25
    found = older.best("camera", TASK, by="best_psnr_smooth_0.99")
    assert (found.model, found.iteration) == (models[2], 8)
    with pytest.raises(QueryError, match="unknown column 'peak_censored'"):
        older.best("camera", TASK, where="not peak_censored")
    add_runs(older.folder, [run_of(models[4], 39)])
    frame = Benchmark(older.folder).to_frame().set_index("model")
    assert frame["peak_censored"][[*models[:3], models[4]]].tolist() == [False, True, False, True]


def test_columns_of_other_kinds_are_not_taken_in() -> None:
    assert runs_schema(["best_psnr_smooth_x", "stop", "loss", "no_such"]) == RUNS_SCHEMA
    further = runs_schema(["best_psnr_smooth_0.9_iteration", "stop_last", "stop_last_iteration"])
    assert [str(field.type) for field in list(further)[-3:]] == ["int32", "float", "int32"]


def test_what_a_published_table_says_of_its_peak_goes_before_its_curve(
    tmp_path: Path, models: list[str], add_runs: Callable[..., object]
) -> None:
    run = run_of(models[0], 20)
    run.facts["best_psnr_smooth_iteration"] = 39  # type: ignore[index]
    add_runs(tmp_path / "s", [run])
    assert Benchmark(tmp_path / "s").to_frame()["peak_censored"].tolist() == [True]
    assert read_manifest(tmp_path / "s").generation == 1
