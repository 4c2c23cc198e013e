"""Generations: committed by one rename, readable throughout, refused where they are damaged."""

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dipbench.benchmark import Benchmark, merging, store
from dipbench.benchmark.merging import Generation, merge
from dipbench.benchmark.parts import list_parts, write_part
from dipbench.benchmark.schema import Run
from dipbench.benchmark.scorefiles import SCORES_SCHEMA, commit_scores
from dipbench.benchmark.store import (
    LEFTOVER_SECONDS,
    MANIFEST,
    PARTS,
    Manifest,
    commit,
    file_of,
    read_manifest,
    remove_leftovers,
)
from dipbench.benchmark.verifying import verify
from dipbench.errors import DipbenchError, StoreError

Add = Callable[..., Manifest]
MakeRun = Callable[..., Run]


@pytest.fixture
def runs(models: list[str], make_run: MakeRun) -> list[Run]:
    """Nine runs: two pairs, all statuses, curves of unequal length, one without any."""
    curves = [(20.0, 21.0, 22.0), (25.0,), (), (20.5, 19.0, 20.0, 21.0)]
    statuses = ["finished", "stopped", "failed", "diverged"]
    made = [
        make_run(model, image, "denoising-25", 0, psnr, status, seconds=1.5, macs=7)
        for image in ("camera", "coins")
        for model, psnr, status in zip(models[:4], curves, statuses, strict=True)
    ]
    made[0] = Run(made[0].key, "finished", "", made[0].curves, made[0].facts, OUTPUT)
    return [*made, make_run(models[0], seed=1)]


OUTPUT = np.arange(12, dtype=np.float16).reshape(1, 3, 4)


def equal(one: Run, other: Run) -> bool:
    curves = {kind for run in (one, other) for kind in run.curves}
    return (one.key, one.status, one.reason) == (other.key, other.status, other.reason) and all(
        np.array_equal(one.curves[kind], other.curves[kind]) for kind in curves
    )


def test_merged_runs_are_those_of_the_parts(tmp_path: Path, runs: list[Run], add_runs: Add) -> None:
    manifest = add_runs(tmp_path, runs)
    assert manifest == read_manifest(tmp_path)
    assert (manifest.generation, list_parts(tmp_path / PARTS)) == (1, [])
    generation = Generation(tmp_path)
    assert sorted(map(str, dict(generation.entries))) == sorted(str(run.key) for run in runs)
    assert all(equal(generation.run(run.key), run) for run in runs)
    assert all(generation.run(run.key).facts["seconds"] == run.facts.get("seconds") for run in runs)
    [(key, kept)] = generation.outputs()
    assert key == runs[0].key
    assert np.array_equal(kept, OUTPUT)


def test_the_content_hash_is_that_of_the_runs_alone(
    tmp_path: Path, runs: list[Run], add_runs: Add
) -> None:
    first = add_runs(tmp_path / "a", runs).content_sha256
    assert add_runs(tmp_path / "b", runs[::-1], 1).content_sha256 == first
    add_runs(tmp_path / "c", runs[5:])
    grown = add_runs(tmp_path / "c", runs[:5], 2)
    assert (grown.generation, grown.content_sha256) == (2, first)
    slower = [Run(r.key, r.status, r.reason, r.curves, {"seconds": 9.0}) for r in runs]
    assert add_runs(tmp_path / "d", slower).content_sha256 == first
    assert add_runs(tmp_path / "e", runs[1:]).content_sha256 != first
    curves = {kind: curve.copy() for kind, curve in runs[0].curves.items()}
    curves["psnr"][1] = np.nextafter(curves["psnr"][1], np.float32(99))
    changed = [Run(runs[0].key, "finished", "", curves), *runs[1:]]
    assert add_runs(tmp_path / "f", changed).content_sha256 != first


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("statuses", "taken"),
    [
        (("failed", "finished"), "finished"),
        (("diverged", "failed"), "diverged"),
        (("stopped", "diverged", "failed"), "stopped"),
    ],
)
def test_a_usable_run_is_never_replaced_by_a_worse_one(
    tmp_path: Path, models: list[str], make_run: MakeRun, add_runs: Add,
    statuses: tuple[str, ...], taken: str, order: int,
) -> None:  # fmt: skip
    made = [make_run(models[0], status=status) for status in statuses[::order]]
    add_runs(tmp_path / "at-once", made, 1)
    for run in made:
        add_runs(tmp_path / "one-by-one", [run])
    for folder in tmp_path.iterdir():
        assert [status for _, status in Generation(folder).entries] == [taken]


def test_no_undamaged_part_is_one_error(tmp_path: Path, runs: list[Run], add_runs: Add) -> None:
    part = write_part(tmp_path / PARTS, runs[:2])
    part.write_bytes(part.read_bytes()[:-40])
    with (
        pytest.warns(UserWarning, match="damaged part is set aside"),
        pytest.raises(StoreError, match="holds no undamaged runs"),
    ):
        add_runs(tmp_path, [])


# Generations


def test_files_stay_for_one_generation_more(tmp_path: Path, runs: list[Run], add_runs: Add) -> None:
    add_runs(tmp_path, runs[:2])
    own = {"curves-notes.h5", "curves-2024-export.h5"}
    for name in own:
        (tmp_path / name).write_text("the user's own")
    reader = Benchmark(tmp_path)
    add_runs(tmp_path, runs[2:4])
    assert len(reader.to_frame()) == 2
    expected = runs[0].curves["psnr"].tolist()
    assert reader.curve(runs[0].key.model, "camera", "denoising", "psnr").tolist() == expected
    add_runs(tmp_path, runs[4:])
    names = {path.name for path in tmp_path.iterdir() if path.suffix in (".h5", ".parquet")}
    assert own <= names
    assert sorted(name[:7] for name in names if name[:4] == "runs") == ["runs-2-", "runs-3-"]
    curves = sorted(name[:9] for name in names - own if name[:6] == "curves")
    assert curves == ["curves-2-", "curves-3-"]
    # The file that the reader holds open is gone from the folder, and readable still.
    assert reader.curve(runs[0].key.model, "camera", "denoising", "psnr").tolist() == expected


def test_fields_of_later_versions_outlive_a_generation(
    tmp_path: Path, runs: list[Run], add_runs: Add
) -> None:
    add_runs(tmp_path, runs[:2])
    path = tmp_path / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), "citation": {"doi": "10/x"}}))
    add_runs(tmp_path, runs[2:])
    assert json.loads(path.read_text())["citation"] == {"doi": "10/x"}
    assert read_manifest(tmp_path).further == {"citation": {"doi": "10/x"}}


class Killed(BaseException):
    """As sudden as a kill, as far as files go."""


@pytest.mark.parametrize("step", range(5))
def test_an_end_before_the_commit_leaves_the_generation_before(
    tmp_path: Path, runs: list[Run], add_runs: Add, monkeypatch: Any, step: int
) -> None:
    add_runs(tmp_path, runs[:4])
    before = read_manifest(tmp_path)
    replaced: list[Path] = []
    replace = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if Path(target).parent == tmp_path:
            replaced.append(self)
            if len(replaced) > step:
                raise Killed
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(Killed):
        add_runs(tmp_path, runs[4:])
    monkeypatch.undo()
    assert read_manifest(tmp_path) == before
    bench = Benchmark(tmp_path)
    assert len(bench.to_frame()) == 4
    assert bench.curve(runs[0].key.model, "camera", "denoising").shape == (3,)
    assert add_runs(tmp_path, []).generation == 2
    assert len(Benchmark(tmp_path).to_frame()) == len(runs)


def test_an_end_after_the_commit_keeps_no_run_twice(
    tmp_path: Path, runs: list[Run], add_runs: Add, monkeypatch: Any
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(merging, "remove_parts", lambda parts: None)
        content = add_runs(tmp_path, runs).content_sha256
    assert len(list_parts(tmp_path / PARTS)) == 3
    again = add_runs(tmp_path, [])
    assert (again.generation, again.content_sha256) == (2, content)
    assert len(Benchmark(tmp_path).to_frame()) == len(runs)
    assert list_parts(tmp_path / PARTS) == []


def test_a_merger_that_comes_second_leaves_the_files_of_the_first(
    tmp_path: Path, runs: list[Run], add_runs: Add, monkeypatch: Any
) -> None:
    add_runs(tmp_path, runs[:2])
    load = merging.load_runs

    def slow(*given: Any) -> list[Run]:
        monkeypatch.setattr(merging, "load_runs", load)
        loaded = load(*given)
        add_runs(tmp_path, runs[4:6])  # on another machine, where the lock is not seen
        return loaded

    monkeypatch.setattr(merging, "load_runs", slow)
    with pytest.raises((StoreError, FileNotFoundError)):  # the first has removed its parts
        add_runs(tmp_path, runs[2:4])
    assert len(Benchmark(tmp_path).to_frame()) == 6
    assert not any("SHA-256" in problem for problem in verify(tmp_path))


def test_a_second_merger_that_finds_its_files_removed_is_told_why(
    tmp_path: Path, runs: list[Run], add_runs: Add, monkeypatch: Any
) -> None:
    add_runs(tmp_path, runs[:2])
    commit = merging.commit

    def late(*given: Any, **more: Any) -> Manifest:
        monkeypatch.setattr(merging, "commit", commit)
        add_runs(tmp_path, [])
        return commit(*given, **more)

    monkeypatch.setattr(merging, "commit", late)
    with pytest.raises(StoreError, match="has generation 2 where 1 was read"):
        add_runs(tmp_path, runs[2:4])
    assert len(Benchmark(tmp_path).to_frame()) == 4


# What is refused


@pytest.mark.parametrize("stride", [0, -1, "2"])
def test_a_stride_is_a_number_above_0(
    tmp_path: Path, runs: list[Run], add_runs: Add, stride: Any
) -> None:
    add_runs(tmp_path, runs)
    changed_manifest(tmp_path, **{store.CURVE_STRIDE: stride})
    with pytest.raises(StoreError, match="the curves' stride is no number above 0"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "cannot write to store .*make room, then",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "x.h5"), r"x\.h5 .Permission denied."),
    ],
)
def test_a_full_disk_is_told_from_a_file_that_fails(error: OSError, told: str) -> None:
    with pytest.raises(StoreError, match=told) as caught, store.writing(Path("store")):
        raise error
    assert ("make room" in str(caught.value)) == (error.errno == errno.ENOSPC)


def changed_manifest(folder: Path, **changes: Any) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_newer_schema_is_refused(tmp_path: Path, runs: list[Run], add_runs: Add) -> None:
    add_runs(tmp_path, runs)
    changed_manifest(tmp_path, schema=store.SCHEMA_VERSION + 1, name=["of", "another", "form"])
    with pytest.raises(StoreError, match=r"schema 2, newer than this version's 1: update dipbench"):
        Benchmark(tmp_path)


@pytest.mark.parametrize(
    "content", ["", "{", "[1, 2]", "{}", '{"schema": "1"}', '{"schema": 1}', "\udcff"]
)
def test_a_damaged_manifest_is_one_error(
    tmp_path: Path, runs: list[Run], add_runs: Add, content: str
) -> None:
    add_runs(tmp_path, runs)
    (tmp_path / MANIFEST).write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(StoreError, match=r"benchmark\.json is damaged .*restore it from a copy"):
        Benchmark(tmp_path)


@pytest.mark.parametrize("role", ["runs", "curves"])
def test_a_file_that_is_missing_or_cut_short_is_named(
    tmp_path: Path, runs: list[Run], add_runs: Add, role: str
) -> None:
    name = str(add_runs(tmp_path, runs).files[role]["name"])
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[:-1])
    with pytest.raises(
        StoreError, match=f"{name} has {len(content) - 1} bytes instead of {len(content)}"
    ):
        Benchmark(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(StoreError, match=f"{name} is missing: if the benchmark has grown"):
        Benchmark(tmp_path)


def test_folders_that_are_no_benchmark(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no such folder"):
        read_manifest(tmp_path / "nowhere")
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(StoreError, match="is not finished yet: run `dipbench finish"):
        read_manifest(tmp_path)


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # the fixtures are made once, and each example puts the bytes back
@given(data=st.data())
def test_flipped_bytes_never_give_wrong_curves(
    data: st.DataObject, tmp_path: Path, runs: list[Run], add_runs: Add
) -> None:
    if not (tmp_path / MANIFEST).is_file():
        add_runs(tmp_path, runs)
    path = tmp_path / str(read_manifest(tmp_path).files["curves"]["name"])
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    flipped = bytearray(whole)
    flipped[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(flipped)
    try:
        bench = Benchmark(tmp_path)
        for run in runs:
            if run.status in ("finished", "stopped"):
                key = run.key
                curve = bench.curve(key.model, key.image, key.task, "psnr", key.seed)
                assert np.array_equal(curve, run.curves["psnr"])
        bench._curves.close()
    except DipbenchError:
        pass
    finally:
        path.write_bytes(whole)


def test_damage_is_not_committed_as_the_content(
    tmp_path: Path, runs: list[Run], add_runs: Add
) -> None:
    manifest = add_runs(tmp_path, runs)
    path = file_of(tmp_path, manifest, "curves")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    commit_scores(tmp_path, SCORES_SCHEMA.empty_table())
    assert f"{path.name} differs from its SHA-256" in verify(tmp_path)


def test_the_reason_is_that_of_the_last_failure(
    tmp_path: Path, make_run: MakeRun, models: list[str], add_runs: Add
) -> None:
    for reason in ("the first", "the second"):
        failed = make_run(models[0], status="failed")
        add_runs(tmp_path, [replace(failed, reason=reason), make_run(models[1])])
    assert "the second" in Benchmark(tmp_path).to_frame()["reason"].tolist()


def test_leftovers_of_dead_writers_are_removed_in_time(tmp_path: Path) -> None:
    (tmp_path / PARTS).mkdir()
    old, fresh = (
        tmp_path / PARTS / ".a.parquet.12ab34cd.tmp",
        tmp_path / ".curves-1.h5.34abcdef.tmp",
    )
    folder = tmp_path / ".small.56565656.tmp"
    folder.mkdir()
    for path in (old, fresh, folder / "runs-1.parquet"):
        path.write_bytes(b"half")
    for path in (old, folder / "runs-1.parquet", folder):
        os.utime(path, (0, fresh.stat().st_mtime - LEFTOVER_SECONDS - 60))
    remove_leftovers(tmp_path)
    assert [path.exists() for path in (old, folder, fresh)] == [False, False, True]


def test_what_others_left_in_the_folder_is_not_ours_to_remove(tmp_path: Path) -> None:
    (tmp_path / "data" / ".scratch.12ab34cd.tmp").mkdir(parents=True)
    (tmp_path / "notes").mkdir()
    files = (
        *(tmp_path / name for name in (".draft.tmp", ".probe-2024.csv")),
        tmp_path / "notes" / ".probe-12ab34cd",
        tmp_path / "data" / ".scratch.12ab34cd.tmp" / "thesis.txt",
    )
    for path in files:
        path.write_bytes(b"mine")
        os.utime(path, (0, 0))
        os.utime(path.parent, (0, 0))
    remove_leftovers(tmp_path)
    assert all(path.exists() for path in files)


def test_the_curves_file_says_what_it_holds(tmp_path: Path, runs: list[Run], add_runs: Add) -> None:
    manifest = add_runs(tmp_path, runs)
    with h5py.File(tmp_path / str(manifest.files["curves"]["name"])) as file:
        group = file["camera/denoising-25"]
        assert group["length"][()].tolist() == [3, 3, 1, 0, 4]
        data = group["psnr"]
        assert (data.shape, data.chunks, data.dtype) == ((5, 4), (5, 4), np.float32)
        assert data.fletcher32
        assert np.isnan(data[0, 3])


def test_failures_leave_the_environment_as_it_was(
    tmp_path: Path, make_run: MakeRun, models: list[str], add_runs: Add
) -> None:
    manifest = add_runs(tmp_path, [make_run(models[0])])
    known = replace(manifest, environment={"torch": "2.13.0"})
    commit(tmp_path, known, {role: file_of(tmp_path, manifest, role) for role in manifest.files})
    write_part(tmp_path / PARTS, [make_run(models[1], status="failed", psnr=())])
    merged = merge(tmp_path, replace(known, environment={"torch": "2.14.0"}), [], {})
    assert merged.environment == {"torch": "2.13.0"}
    write_part(tmp_path / PARTS, [make_run(models[1])])
    merged = merge(tmp_path, replace(known, environment={"torch": "2.14.0"}), [], {})
    assert merged.environment == {}


@pytest.mark.parametrize("name", ["exp:2", "s3:x", "~", "file:store"])
def test_a_folder_may_have_the_name_of_an_address(
    tmp_path: Path, runs: list[Run], add_runs: Add, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for each in runs:
        add_runs(Path(name), [each])
    assert len(Benchmark(name).to_frame()) == len(runs)
    assert [path.name for path in tmp_path.iterdir()] == [name]
