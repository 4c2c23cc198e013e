import csv
import importlib.util
import io
import json
import pickle
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import dipbench
from dipbench.analysis import kendall
from dipbench.benchmark.compacting import compact
from dipbench.benchmark.importing import ImportReport, import_published
from dipbench.benchmark.intake import IMPORTED
from dipbench.benchmark.parts import write_part
from dipbench.benchmark.pictures import (
    StoredObservations,
    read_images,
    read_observation,
    read_outputs,
)
from dipbench.benchmark.plan import PLAN, freeze_plan, make_plan, read_plan
from dipbench.benchmark.schema import Run, RunKey
from dipbench.benchmark.scorefiles import committed_scores
from dipbench.benchmark.store import MANIFEST, PARTS, file_of, read_manifest, read_table
from dipbench.benchmark.verifying import verify
from dipbench.data.refusal import RefusedError
from dipbench.errors import StoreError
from dipbench.evaluate.protocol import get_protocol
from dipbench.genotypes import Genotype

TREE = Path(__file__).parents[1] / "data" / "legacy_tree"
RUNS = sorted(TREE.rglob("htr.pkl"))


def names(problems) -> list[str]:
    return sorted(problem.name for problem in problems)


def reason(report: ImportReport, part: str) -> str:
    return next(problem.reason for problem in report.refused if part in problem.name)


def table_rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imported") / "store"
    report = import_published([TREE], folder)
    assert (report.runs, report.imported, report.already) == (12, 12, 0)
    assert not report.refused + report.duplicates + report.not_understood + report.warnings
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TREE, tmp_path / "tree"))


def published(path: Path) -> tuple[dict, str, str, str]:
    """A run's record as pickle reads it, its model, image and task."""
    kind, number, image, _, model = path.relative_to(TREE / "benchmark").parts[:5]
    return pickle.loads(path.read_bytes()), str(Genotype.parse(model)), image, f"{kind}-{number}"


@pytest.mark.parametrize("path", RUNS, ids=lambda path: "-".join(path.parts[-6:-1])[:40])
def test_runs_are_the_trees_own(path: Path, store: Path) -> None:
    record, model, image, task = published(path)
    bench = dipbench.load(store)
    curves = {"loss": "loss", "psnr": "psnr_gt", "psnr_smooth": "psnr_gt_sm"}
    for kind, name in curves.items():
        np.testing.assert_array_equal(
            bench.curve(model, image, task, kind=kind), np.float32(record[name])
        )
    frame = bench.to_frame().set_index(["model", "image", "task"])
    row = frame.loc[model, image, task]
    assert pd.isna(row["seed"])
    assert row["status"] == "finished"
    assert row["length"] == len(record["loss"])
    assert row["best_psnr"] == record["best_psnr_gt"]
    assert row["best_psnr_iteration"] == record["best_iter"]
    assert row["best_psnr_smooth"] == record["best_psnr_gt_sm"]
    assert row["best_psnr_smooth_iteration"] == record["best_iter_sm"]
    assert bench.query(model, image, task).psnr == record["best_psnr_gt_sm"]


def test_scores_are_the_tables_own(store: Path) -> None:
    scores = dipbench.load(store).scores()
    assert set(scores["how"]) == {"table"}
    assert set(scores["initialisation"]) == {0}
    values = scores.set_index(["model", "image", "task", "score"])["value"]
    seen = 0
    for path in TREE.rglob("similarity_metrics_noisy_img.csv"):
        kind, number, image = path.relative_to(TREE / "benchmark").parts[:3]
        for row in table_rows(path):
            model = str(Genotype.parse(row["model name"]))
            for name in [name for name in row if name.split(" ")[-1] in ("mse", "emd")]:
                key = model, image, f"{kind}-{number}", name.replace(" ", "_")
                assert values[key] == float(row[name])
                seen += 1
    for row in table_rows(TREE / "benchmark" / "lowpass_metrics.csv"):
        model = str(Genotype.parse(row.pop("model name")))
        for name, text in row.items():
            found = values[model, :, :, name.replace(" ", "_")]
            assert len(found) == 4
            assert set(found) == {float(text)}
            seen += 4
    assert seen == len(values) == 102


def test_what_was_restored_is_kept_as_published(store: Path) -> None:
    manifest = read_manifest(store)
    path = file_of(store, manifest, "images")
    images = read_images(path)
    assert {name: image.shape for name, image in images.items()} == {
        "camera_64": (1, 64, 64),
        "chelsea_64_rgb": (3, 64, 64),
    }
    assert manifest.images == {name: image.sha256 for name, image in images.items()}
    for run in RUNS:
        _, _, image, task = published(run)
        kept = read_observation(path, (image, task))
        theirs = np.load(run.with_name("img_noisy.npy"))
        np.testing.assert_allclose(kept.observed, theirs, rtol=0, atol=1e-5)
        if task == "inpainting-50":
            mask = np.load(TREE / "images" / "inpainting" / "noise" / "50" / f"{image}.npy")
            np.testing.assert_array_equal(kept.mask, mask == 1)
    frame = dipbench.load(store).to_frame()
    assert frame.groupby(["image", "task"])["observation_sha256"].nunique().tolist() == [1] * 4
    camera = frame[(frame["image"] == "camera_64") & (frame["task"] == "inpainting-50")]
    kept = read_observation(path, ("camera_64", "inpainting-50"))
    assert set(camera["observation_sha256"]) == {kept.sha256}
    assert frame["input_sha256"].notna().all()


def test_the_imported_benchmark_answers(store: Path) -> None:
    bench = dipbench.load(store)
    records = [published(path) for path in RUNS]
    asked = ("camera_64", "denoising-25")
    best = max((r for r in records if r[2:] == asked), key=lambda r: r[0]["best_psnr_gt_sm"])
    found = bench.best("camera_64", "denoising")
    assert (found.model, found.psnr, found.iteration) == (
        best[1],
        best[0]["best_psnr_gt_sm"],
        best[0]["best_iter_sm"],
    )
    assert [result.psnr for result in bench.top(*asked, k=3)] == sorted(
        (r[0]["best_psnr_gt_sm"] for r in records if r[2:] == asked), reverse=True
    )


def test_kendall_of_an_imported_score(tree: Path, tmp_path: Path) -> None:
    camera = tree / "benchmark" / "denoising" / "25" / "camera_64"
    source = sorted(camera.glob("data/*"))[0]
    record = pickle.loads((source / "htr.pkl").read_bytes())
    lines = ["model name,psd db mse"]
    for count in range(6):
        folder = Path(shutil.copytree(source, camera / "more" / "data" / str(count)))
        record["psnr_gt_sm"][39] = record["best_psnr_gt_sm"] = 20.0 + count
        (folder / "htr.pkl").write_bytes(pickle.dumps(record))
        name = source.name[:-5] + format(count, "05b")
        folder.rename(camera / "data" / name)
        lines.append(f"{name},{10 - count}")
    (camera / "similarity_metrics_noisy_img.csv").write_text("\n".join(lines))
    import_published([tree], tmp_path / "store")
    result = kendall(dipbench.load(tmp_path / "store"), "camera_64", "denoising", "psd db mse")
    assert result.n == 6
    assert result.tau == pytest.approx(-1)


@pytest.mark.parametrize("ending", ["zip", "tar", "gztar", "bztar", "xztar"])
def test_archives_import_to_the_same_runs(ending: str, store: Path, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "published"), ending, TREE)
    report = import_published([archive], tmp_path / "store")
    assert (report.runs, report.refused) == (12, ())
    assert content(tmp_path / "store") == content(store)


def content(store: Path) -> str:
    return read_manifest(store).content_sha256


def test_any_order_of_files_imports_to_the_same(store: Path, tmp_path: Path) -> None:
    paths = sorted(TREE.rglob("*.*"), key=lambda path: (path.suffix, path.name, path))
    for number, order in enumerate((paths, paths[::-1])):
        archive = tmp_path / f"{number}.tar"
        with tarfile.open(archive, "w") as file:
            for path in order:
                file.add(path, path.relative_to(TREE.parent))
        import_published([archive], tmp_path / f"{number}")
        frames = [dipbench.load(folder).to_frame() for folder in (store, tmp_path / f"{number}")]
        assert frames[0].equals(frames[1])


def test_only_what_is_new_is_imported(tree: Path, tmp_path: Path) -> None:
    later = tree / "benchmark" / "inpainting"
    aside = Path(shutil.move(later, tmp_path / "inpainting"))
    out = tmp_path / "store"
    assert import_published([tree], out).imported == 6
    shutil.move(aside, later)
    report = import_published([tree], out)
    assert (report.imported, report.already, report.runs) == (6, 6, 12)
    generation = read_manifest(out).generation
    report = import_published([tree], out)
    assert (report.imported, report.already, report.runs) == (0, 12, 12)
    assert read_manifest(out).generation == generation
    assert content(out) == content_of_all(tmp_path)


def content_of_all(tmp_path: Path) -> str:
    import_published([TREE], tmp_path / "all")
    return content(tmp_path / "all")


def test_an_interrupted_import_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "store"

    def interrupt(name: str) -> None:
        if "chelsea" in name and "inpainting" in name:
            raise KeyboardInterrupt

    monkeypatch.setattr("dipbench.benchmark.intake.RUNS_PER_PART", 2)
    with pytest.raises(KeyboardInterrupt):
        import_published([TREE], out, on_file=interrupt)
    report = import_published([TREE], out)
    assert report.runs == 12
    assert report.already >= 6
    import_published([TREE], tmp_path / "whole")
    frames = [dipbench.load(folder).to_frame() for folder in (out, tmp_path / "whole")]
    assert frames[0].equals(frames[1])


def test_outputs_are_kept_where_asked_for(tmp_path: Path, store: Path) -> None:
    assert "outputs" not in read_manifest(store).files
    import_published([TREE], tmp_path / "store", outputs=True)
    path = file_of(tmp_path / "store", read_manifest(tmp_path / "store"), "outputs")
    outputs = {tuple(key[:3]): output for key, output in read_outputs(path)}
    assert len(outputs) == 12
    for path in RUNS:
        record, *key = published(path)
        np.testing.assert_array_equal(outputs[tuple(key)], np.float16(record["last_out_sm"]))


def test_outputs_that_earlier_runs_came_without_are_told(tree: Path, tmp_path: Path) -> None:
    later = tree / "benchmark" / "inpainting"
    aside = Path(shutil.move(later, tmp_path / "inpainting"))
    import_published([tree], tmp_path / "store")
    shutil.move(aside, later)
    for _ in range(2):
        report = import_published([tree], tmp_path / "store", outputs=True)
        assert [line for line in report.warnings if "output" in line] == [
            "6 of 12 runs have no output: they were imported before, without; to have all, import "
            "into another folder"
        ]


def test_a_best_psnr_that_its_curve_does_not_have_is_told(tree: Path, tmp_path: Path) -> None:
    path = sorted(tree.rglob("htr.pkl"))[0]
    record = pickle.loads(path.read_bytes())
    record["best_psnr_gt_sm"] += 1
    path.write_bytes(pickle.dumps(record))
    report = import_published([tree], tmp_path / "store")
    [told] = [line for line in report.warnings if "curve" in line]
    assert told.startswith("1 runs were published with a best PSNR that their curve does not have")
    assert str(path.relative_to(tree)) in told
    [problem] = verify(tmp_path / "store")
    assert problem.startswith("1 runs whose summaries differ from their curves")


def test_a_later_import_with_another_true_picture_is_told(tree: Path, tmp_path: Path) -> None:
    later = tree / "benchmark" / "inpainting"
    aside = Path(shutil.move(later, tmp_path / "inpainting"))
    import_published([tree], tmp_path / "store")
    shutil.move(aside, later)
    picture = next(tree.rglob("images/denoising/true/camera_64.png"))
    with Image.open(picture) as true:
        inverted = Image.fromarray(255 - np.asarray(true))
    inverted.save(picture)
    report = import_published([tree], tmp_path / "store")
    assert "differs from an earlier true picture camera_64" in reason(report, "camera_64.png")


def test_nothing_is_imported_into_a_compact_benchmark(tree: Path, tmp_path: Path) -> None:
    import_published([tree], tmp_path / "store")
    compact(tmp_path / "store", tmp_path / "small", 4)
    shutil.rmtree(next(tree.glob("benchmark/denoising/25/*/data/*")))
    with pytest.raises(StoreError, match=r"is a compact benchmark, .*: import into another folder"):
        import_published([tree], tmp_path / "small")
    assert not (tmp_path / "small" / PARTS).exists()


def test_nothing_is_trained_beside_published_runs_of_the_same(store: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(store, folder)
    pictures = file_of(folder, read_manifest(folder), "images")
    image, observations = read_images(pictures)["camera_64"], StoredObservations(pictures)
    plan = make_plan("more", [49], [image], ["denoising-25"], [0], get_protocol("isnas"), None)
    with pytest.raises(StoreError, match="holds published runs, whose seed is not known"):
        freeze_plan(folder, plan, [image], observations)
    assert not (folder / PLAN).exists()


def test_mixed_observations_and_inputs_are_warned_of(tree: Path, tmp_path: Path) -> None:
    folder = sorted(tree.glob("benchmark/denoising/25/camera_64/data/*"))[0]
    observed = np.load(folder / "img_noisy.npy")
    np.save(folder / "img_noisy.npy", np.floor(observed * 255) / np.float32(255))
    np.save(folder / "input_noise.npy", observed / 10)
    report = import_published([tree], tmp_path / "store")
    assert len(report.warnings) == 1
    assert "camera_64, denoising-25" in report.warnings[0]
    assert "2 observations and 2 network inputs" in report.warnings[0]
    kept = read_observation(
        file_of(tmp_path / "store", read_manifest(tmp_path / "store"), "images"),
        ("camera_64", "denoising-25"),
    )
    np.testing.assert_allclose(kept.observed, observed, rtol=0, atol=1e-5)


def test_ragged_curves_keep_their_length_and_reason(tree: Path, tmp_path: Path) -> None:
    path = sorted(tree.rglob("htr.pkl"))[0]
    record = pickle.loads(path.read_bytes())
    for name in ("loss", "psnr_gt", "psnr_gt_sm"):
        record[name] = [*record[name], *[record[name][-1]] * 560, 1.0]
    path.write_bytes(pickle.dumps(record))
    import_published([tree], tmp_path / "store")
    bench = dipbench.load(tmp_path / "store")
    frame = bench.to_frame()
    stopped = frame[frame["status"] == "stopped"]
    assert stopped["length"].tolist() == [601]
    assert "3 dB under its best raw PSNR at iteration 600" in stopped["reason"].tolist()[0]
    row = stopped.iloc[0]
    assert len(bench.curve(row["model"], row["image"], row["task"])) == 601


def test_a_table_that_contradicts_its_runs_is_warned_of(tree: Path, tmp_path: Path) -> None:
    path = (
        tree / "benchmark" / "denoising" / "25" / "camera_64" / "similarity_metrics_noisy_img.csv"
    )
    text = path.read_text()
    path.write_text(text.replace("12.825738906860352", "19.5"))
    report = import_published([tree], tmp_path / "store")
    assert any("best_psnr_smooth 19.5 and not 12.8257" in line for line in report.warnings)


def test_a_score_that_two_tables_tell_is_taken_once(tree: Path, tmp_path: Path) -> None:
    folder = tree / "benchmark"
    names, *rows = (folder / "lowpass_metrics.csv").read_text().splitlines()
    path = folder / "denoising" / "25" / "camera_64" / "similarity_metrics_noisy_img.csv"
    head, *lines = path.read_text().splitlines()
    told = {row.split(",")[0]: row.split(",")[1] for row in rows}
    lines = [f"{line},{told[line.split(',')[0]]}" for line in lines]
    path.write_text("\n".join([f"{head},{names.split(',')[1]}", *lines]) + "\n")
    import_published([tree], tmp_path / "store")
    assert verify(tmp_path / "store") == []
    assert len(dipbench.load(tmp_path / "store").scores()) == 102


def test_missing_pictures_are_warned_of_runs_imported_and_taken_in_later(
    tree: Path, store: Path, tmp_path: Path
) -> None:
    shutil.rmtree(tree / "images")
    report = import_published([tree], tmp_path / "store")
    assert report.runs == 12
    assert any("its true picture is not there" in line for line in report.warnings)
    assert any("no observation is kept" in line for line in report.warnings)
    assert verify(tmp_path / "store") == []
    report = import_published([TREE], tmp_path / "store")
    assert (report.runs, report.imported) == (12, 0)
    assert not any("true picture" in line for line in report.warnings)
    assert not any("no observation is kept" in line for line in report.warnings)
    folders = tmp_path / "store", store
    found = [StoredObservations(file_of(each, read_manifest(each), "images")) for each in folders]
    later, first = ({pair: each[pair].sha256 for pair in each} for each in found)
    assert later == first
    assert verify(tmp_path / "store") == []


INPAINTED = "camera_64", "inpainting-50"


def observation_hashes(store: Path) -> list[str | None]:
    rows = read_table(store, read_manifest(store), "runs").to_pylist()
    return [row["observation_sha256"] for row in rows if (row["image"], row["task"]) == INPAINTED]


def test_masks_that_come_after_their_runs_complete_them(
    tree: Path, store: Path, tmp_path: Path
) -> None:
    folder = sorted(tree.glob("benchmark/inpainting/50/camera_64/data/*"))[0]
    values = np.load(folder / "img_noisy.npy")
    np.save(folder / "img_noisy.npy", values / 2)
    pictures = Path(shutil.move(tree / "images", tmp_path / "images"))
    out = tmp_path / "store"
    report = import_published([tree], out)
    assert observation_hashes(out) == [None, None, None]
    assert not any("observations and" in line for line in report.warnings)
    # A mask alone: what the runs were trained on is not there any more.
    report = import_published([pictures], out)
    assert observation_hashes(out) == [None, None, None]
    assert any("no observation is kept" in line and "again" in line for line in report.warnings)

    report = import_published([tree, pictures], out)
    assert (report.imported, report.already) == (0, 12)
    assert observation_hashes(out).count(observation_hashes(store)[0]) == 2
    assert len(set(observation_hashes(out))) == 2
    [mixed] = report.warnings
    assert "camera_64, inpainting-50: its runs were trained on 2 observations and 1 " in mixed
    assert content(out) == content(store)
    assert verify(out) == []
    generation = read_manifest(out).generation
    import_published([tree, pictures], out)
    assert read_manifest(out).generation == generation


def test_a_mask_that_is_held_is_that_of_runs_that_come_later(
    tree: Path, store: Path, tmp_path: Path
) -> None:
    out = tmp_path / "store"
    folder = sorted(tree.glob("benchmark/inpainting/50/camera_64/data/*"))[0]
    aside = Path(
        shutil.move(folder, tmp_path / "benchmark/inpainting/50/camera_64/data" / folder.name)
    )
    import_published([tree], out)
    observed = Path(shutil.move(aside / "img_noisy.npy", tmp_path / "img_noisy.npy"))
    inputs = Path(shutil.move(aside / "input_noise.npy", tmp_path / "input_noise.npy"))
    report = import_published([tmp_path / "benchmark"], out)
    assert report.imported == 1
    assert observation_hashes(out).count(None) == 1
    assert any("1 runs do not say what they were trained on" in line for line in report.warnings)
    shutil.move(observed, aside / "img_noisy.npy")
    shutil.move(inputs, aside / "input_noise.npy")
    report = import_published([tmp_path / "benchmark"], out)
    assert report.warnings == ()
    frames = [dipbench.load(each).to_frame() for each in (out, store)]
    assert frames[0].equals(frames[1])
    [mask] = tree.glob("images/inpainting/noise/50/camera_64.npy")
    np.save(mask, 1 - np.load(mask))
    assert "differs from an earlier one" in reason(import_published([tree], out), mask.name)


def test_a_run_twice_is_a_duplicate_and_another_one_of_its_name_is_refused(
    tree: Path, tmp_path: Path
) -> None:
    shutil.copytree(tree / "benchmark", tree / "copy")
    path = sorted((tree / "copy").rglob("htr.pkl"))[0]
    record = pickle.loads(path.read_bytes())
    record["loss"][0] += 1
    path.write_bytes(pickle.dumps(record))
    report = import_published([tree], tmp_path / "store")
    assert report.runs == 12
    assert len(report.duplicates) == 11
    assert "other curves" in reason(report, "htr.pkl")


class Hostile:
    def __reduce__(self):
        import os

        return os.system, ("touch hacked",)


def test_broken_and_hostile_files_are_refused_by_name_and_the_rest_imported(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pickles = sorted(tree.rglob("htr.pkl"))
    record = pickle.loads(pickles[0].read_bytes())
    broken = {
        "hostile": pickle.dumps(Hostile()),
        "objects": pickle.dumps({**record, "best_out": np.array([{}], object)}),
        "truncated": pickles[2].read_bytes()[:-100],
        "shape": pickle.dumps({**record, "best_out": np.zeros((64, 64), "f4")}),
        "nan": pickle.dumps({**record, "psnr_gt": [float("nan")] * 40}),
    }
    expected = ["system", "objects", "cut short", "shape", "NaN"]
    for path, data in zip(pickles, broken.values(), strict=False):
        path.write_bytes(data)
    arrays = sorted(tree.rglob("img_noisy.npy"))
    np.save(arrays[-1], np.array([{}], object), allow_pickle=True)
    (tree / "README.md").write_text("about the data")
    (tree / "archive.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(99))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("denoising/25/a/data/0_4_x/htr.pkl", bytes(2**25))
        file.writestr("../outside/htr.pkl", b"x")
    (tree / "bombs").write_bytes(archive.getvalue())

    report = import_published([tree], tmp_path / "store")

    assert (report.runs, report.imported) == (7, 7)
    for path, part in zip(pickles, expected, strict=False):
        assert part in reason(report, path.relative_to(tree).as_posix())
    assert "only numbers" in reason(report, arrays[-1].relative_to(tree).as_posix())
    assert "a bomb" in reason(report, "bombs/denoising")
    assert "leaves the folder" in reason(report, "bombs/../outside")
    assert "7z x" in reason(report, "archive.7z")
    assert len(report.refused) == 9
    assert names(report.not_understood) == ["README.md"]
    assert not (tmp_path / "hacked").exists()
    assert not list(tmp_path.rglob("outside"))
    assert len(dipbench.load(tmp_path / "store").to_frame()) == 7


def test_a_model_or_image_of_no_known_name_is_refused(tree: Path, tmp_path: Path) -> None:
    folder = sorted(tree.glob("benchmark/*/*/camera_64/data/*"))[0]
    folder.rename(folder.with_name("77"))
    report = import_published([tree], tmp_path / "store")
    assert report.runs == 11
    assert "no published name" in reason(report, "data/77/htr.pkl")


def test_an_import_goes_into_no_other_kind_of_benchmark(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(StoreError, match="import into another folder"):
        import_published([TREE], tmp_path)
    with pytest.raises(RefusedError, match="no such file"):
        import_published([tmp_path / "nothing"], tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_no_training_is_proposed_into_an_import(store: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"is complete: .* to train further runs, give another"):
        read_plan(store)
    write_part(
        tmp_path / PARTS, [Run(RunKey("dip", "camera", "denoising-25", None), "failed")], IMPORTED
    )
    with pytest.raises(StoreError, match="an import that did not end"):
        read_plan(tmp_path)


def test_an_import_goes_into_no_trained_one_of_the_same_protocol(
    store: Path, tmp_path: Path
) -> None:
    trained = Path(shutil.copytree(store, tmp_path / "trained"))
    manifest = read_manifest(trained)
    (trained / MANIFEST).write_text(replace(manifest, further={}).to_json())
    with pytest.raises(StoreError, match="trained under isnas, not published ones"):
        import_published([TREE], trained)


def test_where_nothing_can_be_imported_it_is_said_and_no_folder_left(
    store: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "downloads"
    folder.mkdir()
    for out in (tmp_path / "out", Path(shutil.copytree(store, tmp_path / "copy"))):
        with pytest.raises(RefusedError, match=r"was found in .*downloads: expected .*htr\.pkl"):
            import_published([folder], out)
    left = tmp_path / "interrupted"
    shutil.copytree(store, left)
    (left / "benchmark.json").rename(tmp_path / "away")
    with pytest.raises(StoreError, match=r"without its benchmark\.json: restore that from a copy"):
        import_published([folder], left)
    for path in left.glob("runs-*"):
        path.unlink()
    with pytest.raises(RefusedError, match="nothing that could be imported was found"):
        import_published([folder], left)
    assert not (left / "benchmark.json").exists()
    (folder / "README.md").write_text("about the data")
    shutil.copytree(TREE / "images", folder / "images")  # of no run
    with pytest.raises(RefusedError, match="nothing that could be imported was found"):
        import_published([folder], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert import_published([folder], tmp_path / "copy").runs == 12


def test_damaged_pictures_of_what_is_there_are_one_error(store: Path, tmp_path: Path) -> None:
    copy, empty = Path(shutil.copytree(store, tmp_path / "copy")), tmp_path / "empty"
    path = file_of(copy, read_manifest(copy), "images")
    path.write_bytes(b"x" * path.stat().st_size)
    empty.mkdir()
    with pytest.raises(StoreError, match=r"is damaged .*restore it from a copy"):
        import_published([empty], copy)


def test_the_command_reports_and_exits_with_1_where_something_is_refused(
    tree: Path, tmp_path: Path
) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "dipbench", "import", str(tree), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    done = run("--out", str(tmp_path / "good"), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["imported"] == 12
    sorted(tree.rglob("htr.pkl"))[0].write_bytes(pickle.dumps(Hostile()))
    done = run("--out", str(tmp_path / "bad"))
    assert done.returncode == 1
    assert "refused" in done.stdout
    assert "11 runs imported" in done.stdout
    for path in tree.rglob("htr.pkl"):
        path.write_bytes(b"cut short")
    done = run("--out", str(tmp_path / "none"))
    assert (done.returncode, done.stderr.count("\n")) == (1, 0)
    assert "12 refused; no benchmark is made" in done.stdout
    shutil.rmtree(tree)
    tree.mkdir()
    done = run("--out", str(tmp_path / "none"))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"nothing that could be imported was found in {tree}" in done.stderr
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_outputs_of_runs_that_are_there_are_told_not_to_be_kept(tree: Path, tmp_path: Path) -> None:
    import_published([tree], tmp_path / "store")
    report = import_published([tree], tmp_path / "store", outputs=True)
    assert any("import into another folder" in line for line in report.warnings)
    whole = import_published([tree], tmp_path / "other", outputs=True)
    assert not any("no outputs" in line for line in whole.warnings)


def test_the_files_that_macos_adds_are_passed_over(tree: Path, tmp_path: Path) -> None:
    for path in [*tree.rglob("*.png"), *tree.rglob("htr.pkl")]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
    report = import_published([tree], tmp_path / "store")
    assert (report.runs, report.refused, report.not_understood) == (12, (), ())


@pytest.mark.slow
@pytest.mark.parametrize("outputs", [False, True])
def test_memory_does_not_grow_with_the_archive(outputs: bool, tmp_path: Path) -> None:
    path = Path(__file__).parents[1] / "performance" / "importing.py"
    spec = importlib.util.spec_from_file_location("importing_script", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    peaks = []
    for runs in (30, 300):
        script.write_archive(tmp_path / "published", runs, (1, 512, 512), 4000)
        found = script.measure(tmp_path / "published", tmp_path / f"{runs}", outputs)
        assert found["imported"] == runs
        assert found["refused"] == 0
        peaks.append(found["peak_bytes"])
    assert max(peaks) < 500e6
    assert peaks[1] - peaks[0] < 100e6


TABLE = "similarity_metrics_noisy_img.csv"


def with_rows(tree: Path, target: Path, change: Callable[..., list[str]]) -> Path:
    """A copy of a tree, in a table of which `change` makes the rows of head, first and rest."""
    other = Path(shutil.copytree(tree, target))
    [table] = other.rglob(f"denoising/25/camera_64/{TABLE}")
    head, row, *rest = table.read_text().splitlines()
    table.write_text("\n".join([head, *change(head, row, *rest)]))
    return other


def contradicting(row: str) -> str:
    """A row of the same model with other values."""
    name, *values = row.split(",")
    return ",".join([name, *["0.125"] * len(values)])


def test_a_table_that_contradicts_an_earlier_one_is_refused(tree: Path, tmp_path: Path) -> None:
    first = import_published([tree], tmp_path / "one")
    other = with_rows(
        tree, tmp_path / "other", lambda head, row, *rest: [contradicting(row), *rest]
    )
    both = import_published([tree, other], tmp_path / "both")
    assert "other scores of 1 models than earlier rows" in reason(both, TABLE)
    assert both.scores == first.scores
    held = [committed_scores(tmp_path / name).to_pylist() for name in ("one", "both")]
    assert held[0] == held[1]


def test_a_score_that_stands_twice_in_one_table_is_the_first(tree: Path, tmp_path: Path) -> None:
    first = import_published([tree], tmp_path / "one")
    other = with_rows(
        tree, tmp_path / "other", lambda head, row, *rest: [row, *rest, contradicting(row)]
    )
    twice = import_published([other], tmp_path / "twice")
    assert "other scores of 1 models than earlier rows" in reason(twice, TABLE)
    assert twice.scores == first.scores
    held = [committed_scores(tmp_path / name).to_pylist() for name in ("one", "twice")]
    assert held[0] == held[1]


def test_an_infinite_value_is_left_out_alone(tree: Path, tmp_path: Path) -> None:
    def infinite(head: str, row: str, *rest: str) -> list[str]:
        cells = row.split(",")
        cells[head.split(",").index("psd db mse")] = "-inf"
        return [",".join(cells), *rest]

    first = import_published([tree], tmp_path / "one")
    report = import_published([with_rows(tree, tmp_path / "other", infinite)], tmp_path / "without")
    assert "has 1 infinite values, which are left out" in reason(report, TABLE)
    assert report.scores == first.scores - 1


def test_a_benchmark_may_lie_in_the_folder_that_it_is_imported_from(
    tree: Path, tmp_path: Path
) -> None:
    whole = Path(shutil.copytree(tree, tmp_path / "whole"))
    first = import_published([tree], tmp_path / "apart")
    for _ in range(2):
        within = import_published([whole], whole / "bench")
        assert within.refused == first.refused
        assert within.not_understood == first.not_understood
        assert within.runs == first.runs


def test_of_many_problems_all_are_counted(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dipbench.benchmark.intake.MAX_LISTED", 2)
    report = import_published([tree, tree], tmp_path / "store")
    assert len(report.duplicates) == 2
    assert report.counts == (12, 0, 0)
