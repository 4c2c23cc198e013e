"""Compact copies: exact where a summary answers, rounded curves, refusals where it cannot tell."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dipbench.benchmark import Benchmark
from dipbench.benchmark.adding import add
from dipbench.benchmark.building import finish
from dipbench.benchmark.compacting import compact, complete_sweeps
from dipbench.benchmark.merging import merge
from dipbench.benchmark.parts import write_part
from dipbench.benchmark.pictures import read_observation
from dipbench.benchmark.plan import PLAN_PICTURES, Plan
from dipbench.benchmark.schema import Run, RunKey
from dipbench.benchmark.scorefiles import SCORES_SCHEMA, commit_scores
from dipbench.benchmark.store import (
    LEFTOVER_SECONDS,
    MANIFEST,
    PARTS,
    Manifest,
    commit,
    file_of,
    read_manifest,
    write_table,
)
from dipbench.benchmark.thinning import (
    thinned_curves,
    thinned_iterations,
    write_thinned_curves,
)
from dipbench.benchmark.verifying import verify
from dipbench.data import load_image, parse_task
from dipbench.errors import DipbenchError, QueryError, StoreError
from dipbench.evaluate.protocol import get_protocol
from dipbench.evaluate.stopping import STOPPING
from dipbench.files import file_sha256
from dipbench.genotypes import ISNAS522

TASK = "denoising-25"
MODELS = [str(genotype) for genotype in sorted(ISNAS522)[:4]]
ITERATIONS = 60
STRIDE = 4
PROTOCOL = get_protocol("quick").with_iterations(ITERATIONS).replace(ema=(0.95, 0.99))


def curves_of(rng: np.random.Generator, length: int = ITERATIONS) -> dict[str, np.ndarray]:
    steps = np.arange(length)
    peak = rng.uniform(20, 70)
    smooth = (26 - 8 * np.exp(-steps / 6) - ((steps - peak) / 40) ** 2).astype(np.float32)
    psnr = (smooth + rng.normal(0, 0.2, length)).astype(np.float32)
    loss = (10 ** (-(10 + steps / 4) / 10) * rng.uniform(0.8, 1, length)).astype(np.float32)
    variance = (((steps - peak / 2) ** 2 + 1) * 1e-6).astype(np.float32)
    variance[0] = 0
    return {
        "loss": loss, "psnr_observed": (-10 * np.log10(loss)).astype(np.float32),
        "variance": variance, "psnr": psnr, "psnr_smooth": smooth,
        "psnr_smooth_0.99": smooth - np.float32(0.5),
    }  # fmt: skip


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images, one of which lacks a run of its second seed; a run stopped, another diverged."""
    folder = tmp_path_factory.mktemp("full") / "store"
    pictures = [load_image(name, size=64) for name in ("camera", "coins")]
    observations = {(p.name, TASK): parse_task(TASK).observe(p, 0) for p in pictures}
    rng = np.random.default_rng(0)
    keys = [RunKey(m, p.name, TASK, seed) for p in pictures for m in MODELS for seed in (0, 1)]
    runs = []
    for key in keys:
        status, length = "finished", ITERATIONS
        if key[:2] == (MODELS[1], "camera") and key.seed == 1:
            status, length = "stopped", 41
        if key[:2] == (MODELS[3], "camera"):
            status, length = "diverged", 6 if key.seed else 2
        facts = {
            "parameters": 1000 + len(runs),
            "seconds": 2.0,
            "observation_sha256": observations[key.image, TASK].sha256,
        }
        runs.append(Run(key, status, "", curves_of(rng, length), facts))
    lost = RunKey(MODELS[2], "coins", TASK, 1)
    failed = RunKey(MODELS[0], "coins", TASK, 0)
    runs = [run for run in runs if run.key != lost]
    runs = [Run(failed, "failed", "x") if run.key == failed else run for run in runs]
    write_part(folder / PARTS, runs)
    blank = Manifest(
        name="full", generation=0,
        protocol=PROTOCOL.to_record(), tasks=(TASK,),
        images={p.name: p.sha256 for p in pictures}, observation_seed=0,
        environment={"python": "3.11"}, content_sha256="", files={},
    )  # fmt: skip
    merge(folder, blank, pictures, observations)
    rows = [
        (model, image, TASK, "grad_norm", index, float(rng.lognormal()), "search", "")
        for model in MODELS
        for image in ("camera", "coins")
        for index in range(6)
    ]
    rows.append((MODELS[0], "camera", TASK, "snip", 0, None, "search", "it failed"))
    records = [dict(zip(SCORES_SCHEMA.names, row, strict=True)) for row in rows]
    commit_scores(folder, pa.Table.from_pylist(records, schema=SCORES_SCHEMA))
    assert verify(folder) == []
    return folder


@pytest.fixture(scope="module")
def copy(full: Path) -> Path:
    out = full.with_name("mini")
    compact(full, out, STRIDE, licence="CC-BY-4.0", card={"Known limits": "It is small."})
    return out


@pytest.fixture(scope="module")
def both(full: Path, copy: Path) -> tuple[Benchmark, Benchmark]:
    return Benchmark(full), Benchmark(copy)


def test_only_what_is_complete_is_shipped(full: Path, copy: Path) -> None:
    bench = Benchmark(copy)
    assert (bench.manifest.name, bench.images, len(bench.to_frame())) == ("mini", ("camera",), 8)
    assert set(bench.manifest.images) == {"camera"}
    assert bench.manifest.further["made_from"] == [read_manifest(full).content_sha256]
    assert bench.manifest.further["licence"] == "CC-BY-4.0"
    assert verify(copy) == []
    done = compact(full, full.with_name("again"), STRIDE)
    assert done.runs == 8
    assert sorted(done.left_out) == [("coins", TASK, 0), ("coins", TASK, 1)]
    assert done.size == sum(path.stat().st_size for path in full.with_name("again").glob("*-1.*"))


def test_a_seed_is_complete_with_a_record_of_every_model_that_did_not_fail() -> None:
    keys = [RunKey(model, "camera", TASK, seed) for model in "ab" for seed in (0, 1, 2)]
    entries = [(key, "diverged" if key.seed == 2 else "finished") for key in keys]
    assert len(complete_sweeps(entries)[0]) == 3
    entries[0] = keys[0], "failed"
    del entries[1]
    assert complete_sweeps(entries) == (
        [("camera", TASK, 2)],
        [("camera", TASK, 0), ("camera", TASK, 1)],
    )
    further = RunKey("c", "camera", TASK, 0)
    assert complete_sweeps(entries, [further])[0] == []
    begun_nowhere = [RunKey(model, "coins", TASK, 0) for model in "ab"]
    assert ("coins", TASK, 0) in complete_sweeps(entries, begun_nowhere)[1]


def test_curves_are_those_of_the_kept_iterations_rounded(
    both: tuple[Benchmark, Benchmark],
) -> None:
    full, mini = both
    for model in MODELS[:3]:
        for seed in (0, 1):
            asked = model, "camera", TASK
            at = mini.curve_iterations(*asked, seed=seed)
            expected = thinned_iterations(len(full.curve(*asked, seed=seed)), STRIDE)
            assert at.tolist() == expected.tolist()
            for kind in ("psnr", "psnr_smooth", "psnr_smooth_0.99"):
                exact = full.curve(*asked, kind, seed)[at].astype(np.float64)
                found = mini.curve(*asked, kind, seed)
                assert found.tolist() == np.round(exact, 3).astype(np.float32).tolist()
            for kind in ("loss", "variance"):
                exact = full.curve(*asked, kind, seed)[at]
                np.testing.assert_allclose(mini.curve(*asked, kind, seed), exact, rtol=1.2e-4)
        mean = mini.curve(model, "camera", TASK)
        assert len(mean) == len(mini.curve_iterations(model, "camera", TASK))
    assert len(mini.curve(MODELS[1], "camera", TASK, seed=1)) == 10  # of 41 iterations
    assert full.curve_iterations(MODELS[1], "camera", TASK, seed=1).tolist() == list(range(41))


def test_an_observed_psnr_is_left_out_and_said_so(both: tuple[Benchmark, Benchmark]) -> None:
    with pytest.raises(QueryError, match="unknown kind of curve 'psnr_observed'"):
        both[1].curve(MODELS[0], "camera", TASK, "psnr_observed")


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"by": "best_psnr"},
        {"by": "final_psnr"},
        {"by": "final_psnr_smooth", "seed": 1},
        {"by": "best_psnr_smooth_0.99"},
        {"by": "final_psnr_smooth_0.99"},
        *({"stopping": name} for name in STOPPING if name != "variance"),
        {"budget_iterations": ITERATIONS},
        {"budget_iterations": 32, "by": "final_psnr"},
        {"budget_iterations": 1000, "by": "final_psnr"},
        {"where": "not peak_censored"},
    ],
    ids=str,
)
def test_summaries_answer_as_those_of_the_full_benchmark(
    both: tuple[Benchmark, Benchmark], asked: dict
) -> None:
    full, mini = (bench.query_many(None, "camera", TASK, **asked) for bench in both)
    assert full["n"].sum() > 0
    np.testing.assert_allclose(mini["psnr"], full["psnr"], atol=0.0006)
    assert mini["iteration"].tolist() == full["iteration"].tolist()
    assert both[0].left_out("camera", TASK, **asked) == both[1].left_out("camera", TASK, **asked)


def test_a_budget_ends_at_the_last_iteration_kept_within_it(
    both: tuple[Benchmark, Benchmark],
) -> None:
    full, mini = both
    for budget, at in ((32, 31), (33, 31), (35, 31), (36, 35)):
        found = mini.query(MODELS[0], "camera", TASK, "final_psnr", 0, budget_iterations=budget)
        assert found.iteration == at
        exact = full.query(MODELS[0], "camera", TASK, "final_psnr", 0, budget_iterations=at + 1)
        assert found.psnr == pytest.approx(exact.psnr, abs=0.0006)
    best = mini.query(MODELS[0], "camera", TASK, budget_iterations=16, seed=0)
    exact = full.query(MODELS[0], "camera", TASK, budget_iterations=16, seed=0)
    assert exact.psnr - 0.5 < best.psnr <= exact.psnr + 0.0006
    half = full.query(MODELS[0], "camera", TASK, budget_seconds=1.1, seed=0)
    assert (
        mini.query(MODELS[0], "camera", TASK, budget_seconds=1.1, seed=0).psnr <= half.psnr + 1e-3
    )
    with pytest.raises(QueryError, match="no iteration that is kept within the budget: 6"):
        mini.best("camera", TASK, budget_iterations=3)


def test_an_iteration_that_is_not_kept_is_refused_by_the_nearest(
    both: tuple[Benchmark, Benchmark],
) -> None:
    full, mini = both
    exact = full.best("camera", TASK, by=31)
    assert mini.best("camera", TASK, by=31).psnr == pytest.approx(exact.psnr, abs=0.0006)
    with pytest.raises(QueryError, match=r"iteration 30 is not recorded .* nearest to it: 27, 31"):
        mini.best("camera", TASK, by=30)
    with pytest.raises(QueryError, match=r"nearest to it: 3$"):
        mini.best("camera", TASK, by=0)
    with pytest.raises(QueryError, match=r"outside the curves' 0\.\.59"):
        mini.best("camera", TASK, by=60)
    with pytest.raises(QueryError, match="within a budget here: the curves are kept at a stride"):
        mini.best("camera", TASK, stopping="variance_scaled", budget_iterations=20)


def test_a_criterion_of_which_nothing_was_recorded_is_refused(
    both: tuple[Benchmark, Benchmark], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STOPPING, "newer", STOPPING["oracle"])
    assert both[0].best("camera", TASK, stopping="newer").psnr > 0
    with pytest.raises(QueryError, match="newer cannot be replayed here"):
        both[1].best("camera", TASK, stopping="newer")


def test_scores_are_rounded_and_may_be_cut(full: Path, both: tuple[Benchmark, Benchmark]) -> None:
    exact, rounded = (bench.scores() for bench in both)
    exact = exact[exact["image"] == "camera"].reset_index(drop=True)
    assert rounded.drop(columns="value").equals(exact.drop(columns="value"))
    np.testing.assert_allclose(rounded["value"], exact["value"], rtol=2**-16)
    assert rounded["value"].isna().sum() == 1
    out = full.with_name("two")
    compact(full, out, STRIDE, initialisations=2)
    scores = Benchmark(out).scores()
    assert scores.groupby(["model", "score"]).size().max() == 2
    assert set(scores["initialisation"]) == {0, 1}


def test_it_is_small_and_checked_as_it_is_read(copy: Path, full: Path) -> None:
    path = file_of(copy, read_manifest(copy), "curves")
    with h5py.File(path) as file:
        group = file[f"camera/{TASK}"]
        assert group["iterations"][()].tolist() == list(range(3, ITERATIONS, STRIDE))
        packed = [data for name, data in group.items() if name not in ("length", "iterations")]
        assert {data.name.rsplit("/")[-1] for data in packed} == {
            "loss_db", "variance_db", "psnr", "psnr_smooth", "psnr_smooth_0.99"
        }  # fmt: skip
        assert all(data.scaleoffset == 3 and data.fletcher32 for data in packed)
        made = [data.id.get_create_plist().get_obj_track_times() for data in packed]
        assert not any(made), "a file that holds the time of its making never comes out the same"
        assert all(np.isfinite(data[()]).all() for data in packed)
        bits = sum(data.id.get_storage_size() for data in packed) * 8 / (5 * 8 * 15)
        start, size = group["psnr"].id.get_chunk_info(0).byte_offset, group["psnr"].nbytes
    assert bits < 20
    damaged = bytearray(path.read_bytes())
    damaged[start + size // 4] ^= 4
    other = Path(copytree(copy, full.with_name("damaged")))
    (other / path.name).write_bytes(damaged)
    with pytest.raises(StoreError, match="is damaged"):
        Benchmark(other).curve(MODELS[0], "camera", TASK, "psnr", 0)
    assert verify(other) == [f"{path.name} differs from its SHA-256"]


def recommitted(copy: Path, to: Path, role: str, change: Callable[[Path], None]) -> Path:
    """A copy whose file in that role was changed by a writer that kept the hashes right."""
    copytree(copy, to)
    manifest = read_manifest(to)
    path = file_of(to, manifest, role)
    change(path)
    entry = {"name": path.name, "size": path.stat().st_size, "sha256": file_sha256(path)}
    changed = replace(manifest, files={**manifest.files, role: entry})
    (to / MANIFEST).write_text(changed.to_json())
    return to


def set_column(name: str, values: list) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        rows = pq.read_table(path)
        field = rows.schema.field(name)
        place = rows.column_names.index(name)
        old = rows[name].to_pylist()
        new = pa.array(values + old[len(values) :], field.type)
        write_table(rows.set_column(place, field, new), path)

    return change


def shift_curve(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        data = file[f"camera/{TASK}/psnr_smooth"]
        data[0] = data[0] - np.float32(0.1)


def shift_iterations(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        data = file[f"camera/{TASK}/iterations"]
        data[...] = data[()] - 3


@pytest.mark.parametrize(
    ("role", "change", "said"),
    [
        ("runs", set_column("best_psnr", [20.0]), "summaries differ"),
        ("runs", set_column("best_psnr_smooth_0.99", [31.0]), "content hash"),
        ("runs", set_column("final_psnr", [20.0]), "summaries differ"),
        ("runs", set_column("peak_censored", [True]), "summaries differ"),
        ("runs", set_column("stop_variance_scaled", [20.0]), "content hash"),
        ("runs", set_column("length", [61]), "disagree on the runs' lengths"),
        ("curves", shift_curve, "content hash"),
        ("curves", shift_iterations, "not of the iterations"),
    ],
)
def test_what_was_changed_is_found_though_all_hashes_are_right(
    copy: Path, tmp_path: Path, role: str, change: Callable[[Path], None], said: str
) -> None:
    problems = verify(recommitted(copy, tmp_path / "changed", role, change))
    assert any(said in problem for problem in problems), problems


def test_a_stride_that_the_curves_do_not_have_is_found(
    copy: Path, full: Path, tmp_path: Path
) -> None:
    for folder, stride in ((copy, 5), (copy, None), (full, 4)):
        other = tmp_path / f"{folder.name}-{stride}"
        recommitted(folder, other, "runs", lambda path: None)
        manifest = read_manifest(other)
        further = {**manifest.further, "curve_stride": stride}
        roles = {name: file_of(other, manifest, name) for name in manifest.files}
        commit(other, replace(manifest, further=further), roles)
        assert any("not of the iterations" in problem for problem in verify(other))


def refused(call: Callable[[], object], *words: str) -> None:
    with pytest.raises(DipbenchError) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words), caught.value


def test_what_cannot_be_copied_is_refused_and_leaves_nothing(
    full: Path, copy: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    refused(lambda: compact(full, out, 0), "stride of 0", "from 1")
    for count in (0, -3, "2"):
        refused(lambda count=count: compact(full, out, initialisations=count), "keep no score")
    refused(lambda: compact(str(full), str(copy)), "is there already")
    refused(lambda: compact(copy, tmp_path / "a" / "b", 6), "keeps one in 4 iterations, so not")
    refused(lambda: compact(tmp_path / "none", out), "no such folder")
    refused(lambda: compact(full, out, ITERATIONS + 1), "keeps no iteration")
    (tmp_path / "file").write_text("")
    refused(lambda: compact(full, tmp_path / "file" / "out"), "cannot write")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_runs_that_are_not_merged_yet_are_merged_first(full: Path, tmp_path: Path) -> None:
    later = Path(copytree(full, tmp_path / "later"))
    key = RunKey(MODELS[2], "coins", TASK, 1)
    write_part(later / PARTS, [Run(key, "finished", "", curves_of(np.random.default_rng(1)))])
    for folders in (later, [full, later]):
        with pytest.raises(StoreError, match=f"not merged yet: `dipbench finish {later}` does it"):
            compact(folders, tmp_path / "copy")
    assert [path.name for path in tmp_path.iterdir()] == ["later"]


def test_a_benchmark_without_a_complete_sweep_is_refused(
    tmp_path: Path, frozen_plan: Callable[..., Plan]
) -> None:
    plan = frozen_plan(tmp_path / "store", seeds=(0, 1), iterations=ITERATIONS)
    one, _, _, other = plan.run_keys()
    sha256 = read_observation(tmp_path / "store" / PLAN_PICTURES, one[1:3]).sha256
    facts, rng = {"observation_sha256": sha256}, np.random.default_rng(0)
    runs = [Run(key, "finished", "", curves_of(rng), facts) for key in (one, other)]
    write_part(tmp_path / "store" / PARTS, runs)
    finish(tmp_path / "store")
    refused(lambda: compact(tmp_path / "store", tmp_path / "out"), "a run of every model")


def test_a_curve_that_is_not_finite_or_not_there_is_refused(tmp_path: Path) -> None:
    curves = curves_of(np.random.default_rng(0))
    whole = Run(RunKey(MODELS[0], "a", TASK, 0), "finished", "", curves)
    holed = replace(whole, curves={**curves, "psnr": curves["psnr"] * np.nan})
    shorter = replace(whole, curves={**curves, "psnr": curves["psnr"][:9]})
    kept = thinned_iterations(ITERATIONS, STRIDE)
    refused(lambda: thinned_curves(holed, kept), "no finite psnr", MODELS[0])
    refused(lambda: thinned_curves(shorter, kept), "no finite psnr")
    lacking = replace(whole, curves={"loss": curves["loss"]})
    stored = [thinned_curves(run, kept) for run in (whole, lacking)]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        refused(lambda: write_thinned_curves(file, "a", TASK, [60, 60], stored, 4), "has no curve")


def test_a_copy_grows_by_what_was_trained_since(
    full: Path, tmp_path: Path, frozen_plan: Callable[..., Plan]
) -> None:
    """Seed by seed and image by image it becomes what one copy of everything is."""
    rng = np.random.default_rng(3)
    made = {}
    for name, seeds in (("one", (0,)), ("two", (1,)), ("all", (0, 1))):
        plan = frozen_plan(tmp_path / name, (49, 273, 124), ("denoising-25", "sr-4"), seeds)
        for key in plan.run_keys():
            sha256 = read_observation(tmp_path / name / PLAN_PICTURES, key[1:3]).sha256
            made.setdefault(key, Run(key, "stopped", "", curves_of(rng, 30 + key.seed),
                                     {"observation_sha256": sha256}))  # fmt: skip
        write_part(tmp_path / name / PARTS, [made[key] for key in plan.run_keys()])
        finish(tmp_path / name)
    rows = [(MODELS[0], "camera", task, "snip", 0, 0.1, "search", "") for task in plan.tasks]
    records = [dict(zip(SCORES_SCHEMA.names, row, strict=True)) for row in rows]
    for name in ("one", "all"):
        commit_scores(tmp_path / name, pa.Table.from_pylist(records, schema=SCORES_SCHEMA))
    compact(tmp_path / "one", tmp_path / "first", STRIDE, licence="CC0-1.0", card={"A": "b"})
    grown = compact([tmp_path / "first", tmp_path / "two"], tmp_path / "grown", STRIDE)
    whole = compact(tmp_path / "all", tmp_path / "whole", STRIDE)
    assert grown.runs == whole.runs == 12
    assert grown.manifest.content_sha256 == whole.manifest.content_sha256
    for role in ("runs", "scores"):
        assert grown.manifest.files[role]["sha256"] == whole.manifest.files[role]["sha256"]
    assert grown.manifest.generation == 1
    assert (grown.manifest.further["licence"], grown.manifest.further["card"]) == (
        "CC0-1.0", {"A": "b"}
    )  # fmt: skip
    contents = [read_manifest(tmp_path / name).content_sha256 for name in ("one", "two")]
    assert grown.manifest.further["made_from"] == sorted(contents)
    again = compact([tmp_path / "grown", tmp_path / "one"], tmp_path / "again", STRIDE)
    assert again.manifest.content_sha256 == grown.manifest.content_sha256
    rarer = compact([tmp_path / "first", tmp_path / "two"], tmp_path / "rarer", 8)
    straight = compact(tmp_path / "all", tmp_path / "straight", 8)
    assert rarer.manifest.content_sha256 == straight.manifest.content_sha256
    refused(lambda: compact([tmp_path / "first", tmp_path / "two"], tmp_path / "x", 2), "one in 4")
    refused(lambda: compact([tmp_path / "one", full], tmp_path / "x"), "another protocol")


def test_a_run_that_ended_before_the_first_iteration_kept_does_not_stop_it_growing(
    tmp_path: Path, frozen_plan: Callable[..., Plan]
) -> None:
    plan = frozen_plan(tmp_path / "store", MODELS, iterations=ITERATIONS)
    sha256 = read_observation(tmp_path / "store" / PLAN_PICTURES, ("camera", TASK)).sha256
    rng, facts = np.random.default_rng(0), {"observation_sha256": sha256}
    first, *others = plan.run_keys()
    runs = [Run(first, "diverged", "at once", curves_of(rng, STRIDE - 1), facts)]
    runs += [Run(key, "finished", "", curves_of(rng), facts) for key in others]
    write_part(tmp_path / "store" / PARTS, runs)
    finish(tmp_path / "store")
    compact(tmp_path / "store", tmp_path / "first", STRIDE)
    again = compact([tmp_path / "first", tmp_path / "store"], tmp_path / "again", STRIDE)
    assert again.manifest.content_sha256 == read_manifest(tmp_path / "first").content_sha256
    assert verify(tmp_path / "again") == []


def test_it_cannot_grow_for_its_curves_lack_iterations(
    full: Path, copy: Path, tmp_path: Path, add_runs: Callable[..., Manifest]
) -> None:
    for folder in (full, copy):
        recommitted(folder, tmp_path / folder.name, "runs", lambda path: None)
    refused(lambda: add(tmp_path / copy.name, full), "compact benchmark's", "go on with")
    refused(lambda: add(tmp_path / full.name, copy), "compact benchmark's", "go on with")
    run = Run(RunKey(MODELS[0], "camera", TASK, 7), "finished", "", {"psnr": np.zeros(3, "f4")})
    refused(lambda: add_runs(tmp_path / copy.name, [run]), "compact benchmark's")
    assert len(Benchmark(tmp_path / copy.name).to_frame()) == 8


def test_the_manifest_tells_the_stride(copy: Path) -> None:
    record = json.loads((copy / "benchmark.json").read_text())
    assert record["curve_stride"] == STRIDE
    record["curve_stride"] = "four"
    refused(lambda: _written(copy, record), "stride is no number above 0")


def _written(copy: Path, record: dict) -> None:
    other = copy.with_name("strange")
    other.mkdir(exist_ok=True)
    (other / "benchmark.json").write_text(json.dumps(record))
    read_manifest(other)


def test_runs_on_two_observations_do_not_go_together(full: Path, tmp_path: Path) -> None:
    camera = load_image("camera", size=64)
    folders = []
    for seed in (0, 1):
        observation = parse_task(TASK).observe(camera, seed)
        folders.append(tmp_path / f"seen-{seed}")
        key = RunKey(MODELS[0], "camera", TASK, seed)
        facts = {"observation_sha256": observation.sha256}
        run = Run(key, "finished", "", curves_of(np.random.default_rng(seed)), facts)
        write_part(folders[-1] / PARTS, [run])
        blank = replace(
            read_manifest(full), images={"camera": camera.sha256}, observation_seed=None, files={}
        )
        merge(folders[-1], blank, [camera], {("camera", TASK): observation})
    refused(lambda: compact(folders, tmp_path / "x"), "1 observations that differ: camera denois")


def test_a_score_goes_before_a_failure_whichever_benchmark_it_is_of(
    full: Path, tmp_path: Path
) -> None:
    row = (MODELS[0], "camera", TASK, "snip", 0, None, "search", "out of memory")
    for name, value in (("failed", None), ("made", 2.0)):
        copytree(full, tmp_path / name)
        given = dict(zip(SCORES_SCHEMA.names, row, strict=True)) | {"value": value}
        commit_scores(tmp_path / name, pa.Table.from_pylist([given], schema=SCORES_SCHEMA))
    compact([tmp_path / "failed", tmp_path / "made"], tmp_path / "copy", STRIDE)
    assert Benchmark(tmp_path / "copy").scores()["value"].tolist() == [2.0]


def test_an_image_whose_runs_all_diverged_at_once_is_copied_too(full: Path, tmp_path: Path) -> None:
    folder = Path(copytree(full, tmp_path / "store"))
    page = load_image("page", size=64)
    runs = [Run(RunKey(model, "page", TASK, 0), "diverged", "at once") for model in MODELS]
    write_part(folder / PARTS, runs)
    blank = read_manifest(folder)
    blank = replace(blank, images={"page": page.sha256})
    observations = {("page", TASK): parse_task(TASK).observe(page, 0)}
    merge(folder, blank, [page], observations)
    assert compact(folder, tmp_path / "copy", STRIDE).runs == 12
    assert verify(tmp_path / "copy") == []
    bench, copy = Benchmark(folder), Benchmark(tmp_path / "copy")
    for each in (bench, copy):
        with pytest.raises(QueryError, match="all diverged or failed"):
            each.best("page", TASK)
    assert copy.best("camera", TASK).model == bench.best("camera", TASK).model


def test_what_a_killed_copying_left_is_removed_in_time(full: Path, tmp_path: Path) -> None:
    old, fresh, other = (
        tmp_path / f".{name}.tmp" for name in ("copy.1ab2cd34", "copy.2ab2cd34", "else.1ab2cd34")
    )
    for place in (old, fresh, other):
        place.mkdir()
        (place / "runs-1.parquet").write_bytes(b"half")
    for place in (old / "runs-1.parquet", old, other):
        os.utime(place, (0, fresh.stat().st_mtime - LEFTOVER_SECONDS - 60))
    compact(full, tmp_path / "copy", STRIDE)
    assert [place.exists() for place in (old, fresh, other)] == [False, True, True]


def test_what_keeps_nothing_is_refused(full: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no benchmark is given"):
        compact([], tmp_path / "out", 4)
    for stride in (0, 2.5, True):
        with pytest.raises(StoreError, match="keeps nothing"):
            compact(full, tmp_path / "out", stride)  # type: ignore[arg-type]
