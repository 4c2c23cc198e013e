"""Questions to a benchmark, against pandas on random tables."""

import json
import pickle
import shutil
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dipbench
from dipbench.benchmark import Benchmark, load
from dipbench.benchmark.loading import known_names
from dipbench.benchmark.plan import PLAN, Plan
from dipbench.benchmark.schema import SUMMARIES, USABLE, Run
from dipbench.data import Denoising
from dipbench.errors import QueryError, StoreError
from dipbench.genotypes import Genotype

Make = Callable[..., Benchmark]
MakeRun = Callable[..., Run]


def random_runs(seed: int, models: Sequence[str], make_run: MakeRun) -> list[Run]:
    """Runs with ties, several seeds, all statuses, curves of unequal length, and gaps."""
    rng = np.random.default_rng(seed)
    runs = []
    for image in ("camera", "coins"):
        for task in ("denoising-25", "inpainting-50"):
            for model in models:
                if rng.random() < 0.1:
                    continue
                # Steps of 1/4 dB give ties, and sums without rounding.
                for s in (0, 1, 2):
                    curve = rng.integers(60, 120, rng.integers(2, 9)) / 4
                    status = rng.choice(["finished"] * 6 + ["stopped", "diverged", "failed"])
                    psnr = () if status == "failed" else curve.tolist()
                    runs.append(make_run(model, image, task, s, psnr, str(status)))
    return runs


def expected_ranking(frame: pd.DataFrame, by: str, seed: int | None) -> pd.Series:
    """Mean by model, best first, ties in genotype order; pandas alone."""
    usable = frame[frame["status"].isin(USABLE)]
    if seed is not None:
        usable = usable[usable["seed"] == seed]
    means = usable.groupby("model")[by].apply(lambda values: values.astype(float).mean())
    order = sorted(means.index, key=lambda model: (-means[model], Genotype.parse(model)))
    return means[order]


@pytest.mark.parametrize("number", range(3))
def test_rankings_against_pandas(
    number: int, models: list[str], make_run: MakeRun, make_bench: Make
) -> None:
    bench = make_bench(random_runs(number, models, make_run), per_part=7)
    table = pd.read_parquet(bench.folder / bench.manifest.files["runs"]["name"])
    for (image, task), frame in table.groupby(["image", "task"]):
        for by in SUMMARIES:
            for seed in (None, 1):
                expected = expected_ranking(frame, by, seed)
                found = bench.top(image, task, len(models) + 5, by, seed)
                assert [result.model for result in found] == list(expected.index)
                assert [result.psnr for result in found] == pytest.approx(expected.tolist())
                best = bench.best(image, task, by=by, seed=seed)
                assert best == found[0]
                for place, result in enumerate(found, 1):
                    assert bench.rank(result.model, image, task, by, seed) == place
                    assert bench.query(result.model, image, task, by, seed) == result
                    assert bench.regret(result.model, image, task, by, seed) == pytest.approx(
                        expected.iloc[0] - result.psnr
                    )


def test_a_result_says_what_it_is_over(
    models: list[str], make_run: MakeRun, make_bench: Make
) -> None:
    peaks = {0: (20.0, 25.0), 1: (27.0, 20.0, 20.0), 2: (20.0, 20.0, 26.0)}
    runs = [make_run(models[0], seed=seed, psnr=psnr) for seed, psnr in peaks.items()]
    runs.append(make_run(models[0], seed=3, psnr=(), status="diverged"))
    result = make_bench(runs).best("camera", "denoising-25")
    assert (result.n, result.seeds, result.iteration) == (3, (0, 1, 2), 1)
    assert result.psnr == pytest.approx(25.0)
    assert result.psnr_std == pytest.approx(np.std([24.0, 26.0, 25.0], ddof=1))
    single = make_bench(runs[:1]).best("camera", "denoising-25")
    assert (single.n, single.psnr_std) == (1, None)
    final = make_bench(runs).best("camera", "denoising-25", by="final_psnr", seed=1)
    assert (final.psnr, final.iteration) == (20.0, 2)
    for found in (result, single, final):
        assert json.loads(json.dumps(asdict(found))) == {
            **asdict(found),
            "seeds": list(found.seeds),
        }


def test_models_are_compared_on_the_seeds_they_share(
    models: list[str], make_run: MakeRun, make_bench: Make
) -> None:
    runs = [make_run(models[0], seed=0, psnr=(20.0,)), make_run(models[0], seed=1, psnr=(40.0,))]
    runs += [make_run(models[1], seed=0, psnr=(30.0,))]
    bench = make_bench(runs)
    assert bench.best("camera", "denoising").model == models[1]
    assert bench.query(models[0], "camera", "denoising").seeds == (0,)
    assert bench.best("camera", "denoising", seed=1).model == models[0]
    with pytest.raises(QueryError, match="no usable run"):
        bench.query(models[1], "camera", "denoising", seed=1)
    apart = make_bench([runs[1], runs[2]])
    with pytest.raises(
        QueryError, match="no seed: train the missing runs, or ask for one seed: 0, 1"
    ):
        apart.best("camera", "denoising")


@pytest.mark.parametrize("value", [0.0, -0.0, -3.0])
def test_ties_go_to_genotype_order(
    value: float, models: list[str], make_run: MakeRun, make_bench: Make
) -> None:
    runs = [make_run(model, psnr=(value,)) for model in [*models[::-1], "dip"]]
    bench = make_bench(runs)
    found = bench.top("camera", "denoising", len(runs), by="best_psnr")
    assert [result.model for result in found] == [*models, "dip"]
    assert bench.models == (*models, "dip")
    assert [str(genotype) for genotype in bench.genotypes] == models
    mixed = [make_run(models[1], psnr=(-0.0,)), make_run(models[0], psnr=(0.0,))]
    assert make_bench(mixed).best("camera", "denoising", by="best_psnr").model == models[0]


def test_a_psnr_that_is_no_number_is_missing(
    models: list[str], make_run: MakeRun, make_bench: Make
) -> None:
    runs = [make_run(models[0], psnr=(20.0,)), make_run(models[1], psnr=(30.0,))]
    runs[1].facts["best_psnr"] = float("nan")  # type: ignore[index]
    bench = make_bench(runs)
    assert bench.best("camera", "denoising", by="best_psnr").model == models[0]
    with pytest.raises(QueryError, match="no usable run"):
        bench.rank(models[1], "camera", "denoising", by="best_psnr")


def test_published_runs_without_a_seed(
    models: list[str], make_run: MakeRun, make_bench: Make
) -> None:
    runs = [make_run(model, seed=None, psnr=(20.0 + i,)) for i, model in enumerate(models)]
    bench = make_bench(runs)
    best = bench.best("camera", "denoising")
    assert (best.model, best.seeds, best.n) == (models[-1], (None,), 1)
    assert bench.to_frame()["seed"].isna().all()
    assert bench.coverage()["missing"].tolist() == [0]


def test_by_iteration_is_the_smoothed_psnr_there(
    models: list[str], make_run: MakeRun, make_bench: Make
) -> None:
    curves = [(20.0, 30.0), (25.0, 26.0, 27.0), (24.0,)]
    runs = [make_run(model, psnr=curve) for model, curve in zip(models[:3], curves, strict=True)]
    bench = make_bench(runs)
    assert [result.model for result in bench.top("camera", "denoising", by=0)] == [
        models[1], models[2], models[0],
    ]  # fmt: skip
    best = bench.best("camera", "denoising", by=np.int64(1))  # type: ignore[arg-type]
    assert (best.model, best.psnr, best.iteration) == (models[0], 29.0, 1)
    assert [r.model for r in bench.top("camera", "denoising", by=2)] == [models[1]]
    with pytest.raises(QueryError, match=r"iteration 3 is outside the curves' 0\.\.2"):
        bench.best("camera", "denoising", by=3)


def test_curves(models: list[str], make_run: MakeRun, make_bench: Make) -> None:
    runs = [make_run(models[0], seed=0, psnr=(20.0, 30.0, 40.0))]
    runs += [make_run(models[0], seed=1, psnr=(22.0, 31.0), status="stopped")]
    runs += [make_run(models[0], seed=2, psnr=(1.0,), status="diverged")]
    runs += [make_run(models[1], seed=seed) for seed in (0, 1, 2)]
    runs += [make_run(models[0], seed=3, psnr=(90.0,))]  # which the other model lacks
    bench = make_bench(runs)
    one = bench.curve(models[0], "camera", "denoising", "psnr", seed=0)
    assert one.dtype == np.float32
    assert one.tolist() == [20.0, 30.0, 40.0]
    assert bench.curve(models[0], "camera", "denoising", "psnr").tolist() == [21.0, 30.5]
    assert bench.curve(models[0], "camera", Denoising(25)).tolist() == [20.0, 29.5]
    with pytest.raises(QueryError, match=r"unknown kind of curve 'ssim'.* loss, psnr"):
        bench.curve(models[0], "camera", "denoising", "ssim")
    with pytest.raises(QueryError, match="no usable run"):
        bench.curve(models[0], "camera", "denoising", seed=2)
    with pytest.raises(QueryError, match=r"unknown seed '7'.*There are: 0, 1, 2, 3"):
        bench.curve(models[0], "camera", "denoising", seed=7)


def test_every_form_of_model_and_task(
    models: list[str], make_run: MakeRun, make_bench: Make
) -> None:
    bench = make_bench([make_run(models[0]), make_run("dip", psnr=(10.0,))])
    genotype = Genotype.parse(models[0])
    for form in (models[0], genotype, genotype.short_name, (genotype.upsample, genotype.skip)):
        assert bench.query(form, "camera", Denoising(25)).model == models[0]
    assert bench.query("dip", "camera", "denoising-25.0").psnr == 9.0
    with pytest.raises(QueryError, match=r"; named networks here: dip$"):
        bench.query("dipp", "camera", "denoising")


@pytest.mark.parametrize("asked", [{"by": 1.0}, {"by": True}, {"seed": 0.0}, {"seed": False}])
def test_what_was_asked_before_makes_nothing_a_question(
    models: list[str], make_run: MakeRun, make_bench: Make, asked: dict[str, Any]
) -> None:
    bench = make_bench([make_run(models[0])])
    bench.best("camera", "denoising", by=1)
    bench.best("camera", "denoising", seed=0)
    with pytest.raises(QueryError, match=r"unknown summary|a seed is a whole number"):
        bench.best("camera", "denoising", **asked)


def test_unknown_names_list_what_there_is(
    models: list[str], make_run: MakeRun, make_bench: Make
) -> None:
    bench = make_bench([make_run(models[0]), make_run(models[1], image="coins", task="sr-4")])
    with pytest.raises(QueryError, match=r"unknown image 'camra'.*camera, coins"):
        bench.best("camra", "denoising")
    with pytest.raises(QueryError, match=r"'denoising' is a task, and the image comes before it"):
        bench.best("denoising", "camera")
    with pytest.raises(QueryError, match=r"unknown task 'deblurring'.*denoising-25, sr-4"):
        bench.best("camera", "deblurring")
    with pytest.raises(QueryError, match=r"unknown task 'denoising-15'"):
        bench.best("camera", "denoising-15")
    with pytest.raises(QueryError, match=r"unknown image and task 'camera sr-4'"):
        bench.best("camera", "sr")
    with pytest.raises(QueryError, match=r"unknown summary 'psnr'.*best_psnr_smooth"):
        bench.best("camera", "denoising", by="psnr")
    with pytest.raises(QueryError, match="has no run here"):
        bench.query(models[2], "camera", "denoising")
    with pytest.raises(QueryError, match="no usable run on camera denoising-25"):
        bench.query(models[1], "camera", "denoising")
    with pytest.raises(QueryError, match="no-such-model"):
        bench.query("no-such-model", "camera", "denoising")


def test_a_bare_task_must_mean_one(models: list[str], make_run: MakeRun, make_bench: Make) -> None:
    bench = make_bench([make_run(models[0]), make_run(models[0], task="denoising-15")])
    with pytest.raises(QueryError, match="ambiguous here: name one of denoising-15, denoising-25"):
        bench.best("camera", "denoising")
    assert bench.best("camera", "denoising-15").task == "denoising-15"


def test_coverage_counts_every_run(models: list[str], make_run: MakeRun, make_bench: Make) -> None:
    runs = random_runs(4, models, make_run)
    bench = make_bench(runs)
    frame = bench.coverage()
    assert list(frame.columns) == [
        "image", "task", "models", "seeds", "finished", "stopped", "diverged", "failed", "missing",
    ]  # fmt: skip
    for row in frame.to_dict("records"):
        own = [r for r in runs if (r.key.image, r.key.task) == (row["image"], row["task"])]
        for status in ("finished", "stopped", "diverged", "failed"):
            assert row[status] == sum(run.status == status for run in own)
        assert row["missing"] == len(bench.models) * 3 - len(own)


def test_coverage_counts_what_a_plan_still_misses(
    models: list[str],
    make_run: MakeRun,
    make_bench: Make,
    tmp_path: Path,
    frozen_plan: Callable[..., Plan],
) -> None:
    bench = make_bench([make_run(models[0], image="camera"), make_run(models[0], image="coins")])
    tasks = ("denoising-25", "sr-2")
    plan = frozen_plan(tmp_path / "planned", models[:3], tasks, seeds=(0, 1))
    shutil.copy(tmp_path / "planned" / PLAN, bench.folder)
    frame = bench.coverage().set_index(["image", "task"])
    (planned,) = plan.images
    assert frame["models"].tolist() == [3, 3, 3]
    assert frame.loc["coins", "denoising-25"][["seeds", "finished", "missing"]].tolist() == [
        1,
        1,
        2,
    ]
    assert frame.loc[planned, "denoising-25"][["seeds", "finished"]].tolist() == [2, 1]
    assert frame.loc[planned, "sr-2"][["finished", "missing"]].tolist() == [0, 6]
    assert frame.loc[planned, "denoising-25"]["missing"] == 5
    (bench.folder / PLAN).write_text("{")
    with pytest.raises(StoreError, match=r"plan.json is damaged"):
        bench.coverage()


def test_to_frame_has_a_row_a_run(models: list[str], make_run: MakeRun, make_bench: Make) -> None:
    runs = random_runs(5, models[:4], make_run)
    frame = make_bench(runs).to_frame()
    by_key = {run.key: run for run in runs}
    assert len(frame) == len(runs)
    for row in frame.to_dict("records"):
        run = by_key[row["model"], row["image"], row["task"], row["seed"]]  # type: ignore[index]
        assert (row["status"], row["reason"]) == (run.status, run.reason)
        assert row["length"] == len(run.curves.get("psnr", ()))
        if run.curves:
            assert row["best_psnr"] == run.curves["psnr"].max()
            assert row["best_psnr_smooth_iteration"] == run.curves["psnr_smooth"].argmax()
            assert row["loss"] == run.curves["loss"][-1]
        else:
            assert np.isnan(row["best_psnr"])
    assert {"seconds", "device", "parameters", "parameters_used", "macs", "commit"} <= set(frame)
    assert "row" not in frame


def test_opening_leaves_the_curves_closed(
    models: list[str], make_run: MakeRun, make_bench: Make
) -> None:
    bench = make_bench([make_run(models[0])])
    curves = bench.folder / bench.manifest.files["curves"]["name"]
    curves.write_bytes(b"\0" * curves.stat().st_size)
    again = load(bench.folder)
    again.best("camera", "denoising")
    again.to_frame()
    again.coverage()
    with pytest.raises(StoreError, match=r"curves-1-\w{8}\.h5 is damaged"):
        again.curve(models[0], "camera", "denoising")


def test_load_by_folder_and_by_name(
    models: list[str], make_run: MakeRun, make_bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench([make_run(models[0])])
    assert dipbench.load(str(bench.folder)).models == (models[0],)
    monkeypatch.setenv("DIPBENCH_HOME", str(bench.folder.parent))
    assert load(bench.folder.name).models == (models[0],)
    with pytest.raises(StoreError, match=f"unknown benchmark 'nothing'.*{bench.folder.name}"):
        load("nothing")
    with pytest.raises(StoreError, match="not here yet: run `dipbench download isnas-dip`"):
        load("isnas-dip")
    with pytest.raises(StoreError, match=r"unknown benchmark '/no/such/folder'.*or give a folder"):
        load("/no/such/folder")


def test_a_folder_that_happens_to_be_called_so_hides_no_benchmark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIPBENCH_HOME", str(tmp_path))
    (tmp_path / "pilot").mkdir()
    assert load("pilot").manifest.name == "pilot"
    (tmp_path / "pilot" / "parts").mkdir()
    with pytest.raises(StoreError, match="pilot"):
        load("pilot")
    unfinished = tmp_path / ".small.ab12cd34.tmp"
    unfinished.mkdir()
    (unfinished / "benchmark.json").write_text("{}")
    assert known_names().keys() == {"mini", "pilot"}


@pytest.mark.parametrize("copied", [lambda it: pickle.loads(pickle.dumps(it)), deepcopy])
def test_a_benchmark_can_be_handed_to_another_process_at_any_time(copied) -> None:
    bench = load("pilot")
    model = bench.models[0]
    asked = [curve := bench.curve(model, "camera", "denoising"), bench.best("camera", "denoising")]
    bench.query_many(None, "camera", "denoising", stopping="discrepancy")
    again = copied(bench)
    assert again.best("camera", "denoising") == asked[1]
    assert np.array_equal(again.curve(model, "camera", "denoising"), curve)


def test_an_empty_folder_is_no_benchmark(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"holds no benchmark\.json"):
        load(tmp_path)


def test_seeds_to_choose_from_are_those_that_can_be_given(make_bench, make_run, models):
    runs = [make_run(models[0], seed=None), make_run(models[1], seed=0)]
    bench = make_bench(runs)
    with pytest.raises(QueryError, match="no seed: train the missing runs, or ask for one seed: 0"):
        bench.best("camera", "denoising")


def test_where_every_run_failed_each_question_says_so(make_bench, make_run, models):
    bench = make_bench([make_run(models[0], psnr=(), status="failed")])
    for asked in ({}, {"by": 1}, {"budget_iterations": 2}, {"stopping": "variance"}):
        with pytest.raises(QueryError, match="all diverged or failed"):
            bench.best("camera", "denoising", **asked)


def test_a_benchmark_that_has_grown_since_it_was_opened_says_so(
    tmp_path, make_run, add_runs, models
):
    for number in range(3):
        add_runs(tmp_path, [make_run(models[number])])
        if not number:
            opened = Benchmark(tmp_path)
    with pytest.raises(StoreError, match="has grown since it was opened"):
        opened.curve(models[0], "camera", "denoising")


def test_what_lies_beside_the_curves_is_no_curve() -> None:
    bench = load("pilot")
    for kind in ("length", "iterations", "loss_db", ".", "", None):
        with pytest.raises(QueryError, match=r"unknown kind of curve .*There are: .*psnr_smooth"):
            bench.curve(bench.models[0], "camera", "denoising", kind=kind)


def test_a_named_network_without_runs_is_no_misspelt_genotype() -> None:
    for name in ("dip", "nas-dip", "dip-jpeg"):
        with pytest.raises(QueryError, match="has no run here"):
            load("pilot").query(name, "camera", "denoising")


def test_a_function_that_answers_otherwise_is_asked_again() -> None:
    bench, most = load("pilot"), [1e9]

    def small(frame: pd.DataFrame) -> pd.Series:
        return frame["parameters"] < most[0]

    asked = {"image": "camera", "task": "denoising", "where": small}
    everything = bench.query_many(None, **asked)["n"].gt(0).sum()
    most[0] = bench.to_frame()["parameters"].median()
    assert bench.query_many(None, **asked)["n"].gt(0).sum() < everything
    assert pickle.loads(pickle.dumps(bench)).models == bench.models


@pytest.mark.parametrize("seed", [True, 0.0])
def test_curves_of_a_seed_that_is_none_are_refused(seed: Any) -> None:
    bench = load("pilot")
    for ask in (bench.curve, bench.curve_iterations):
        with pytest.raises(QueryError, match="a seed is a whole number"):
            ask(bench.models[0], "camera", "denoising", seed=seed)


def test_a_name_that_cannot_be_one_is_of_no_benchmark() -> None:
    with pytest.raises(StoreError, match="unknown benchmark"):
        load("a" * 300)
    for name in (None, 5):
        with pytest.raises(StoreError, match=f"^{name} names no benchmark"):
            load(name)  # type: ignore[arg-type]


@pytest.mark.parametrize("image", [np.array(["a", "b"]), ["camera"], None, 3])
def test_an_image_that_is_no_name_is_told(image: Any) -> None:
    with pytest.raises(QueryError, match="unknown image"):
        dipbench.load("pilot").best(image, "denoising")
