"""Runs kept between sittings: nothing of them is lost, and nothing foreign is taken up."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from shutil import rmtree

import numpy as np
import pytest

from dipbench.benchmark import keeping
from dipbench.benchmark.building import build, finish, read_progress
from dipbench.benchmark.executors import Outcome, Unit
from dipbench.benchmark.executors.local import LocalExecutor
from dipbench.benchmark.keeping import RECORD, keep, restore
from dipbench.benchmark.parts import list_parts, read_part, write_part
from dipbench.benchmark.plan import Plan
from dipbench.benchmark.schema import Run, RunKey
from dipbench.benchmark.store import PARTS, file_of, read_manifest
from dipbench.errors import StoreError
from dipbench.evaluate.protocol import PeakStop
from dipbench.files import file_sha256
from dipbench.seeds import generator

Freeze = Callable[..., Plan]
MODELS, TASKS = (49, 273, 124), ("denoising-25", "sr-4")


class Few:
    """Makes so many runs in this process, each from its key alone, and then is killed."""

    def __init__(self, count: int, status: str = "finished") -> None:
        self.left, self.status = count, status

    def run(self, folder: Path, plan: Plan, units: Sequence[Unit]) -> Iterator[Outcome]:
        for unit in units:
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            (key,) = unit.keys
            draws = generator(*key)
            kinds = ("loss", "psnr", "psnr_smooth", "psnr_smooth_0.99")
            curves = {kind: draws.random(30, dtype=np.float32) for kind in kinds}
            facts = {"seconds": float(draws.random()), "device": "x", "macs": 12}
            write_part(folder / PARTS, [Run(key, self.status, "", curves, facts)])
            yield [(key, self.status)]


def sitting(folder: Path, runs: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        build(folder, Few(runs))


def hashes(folder: Path) -> tuple[str, ...]:
    manifest = read_manifest(folder)
    files = (file_sha256(file_of(folder, manifest, role)) for role in ("runs", "curves", "images"))
    return manifest.content_sha256, *files


@pytest.fixture
def uninterrupted(tmp_path: Path, frozen_plan: Freeze) -> tuple[str, ...]:
    frozen_plan(tmp_path / "whole", MODELS, TASKS, (0, 1))
    build(tmp_path / "whole", Few(100))
    return hashes(tmp_path / "whole")


def test_a_lost_folder_is_built_on_to_the_same_bits(
    tmp_path: Path, frozen_plan: Freeze, uninterrupted: tuple[str, ...]
) -> None:
    kept, work = tmp_path / "kept", tmp_path / "work"
    for runs, done in ((4, 4), (5, 9)):
        frozen_plan(work, MODELS, TASKS, (0, 1))
        assert not kept.exists() or restore(kept, work) == done - runs
        sitting(work, runs)
        assert read_progress(work).done == done
        assert keep(work, kept) == runs
        rmtree(work)
    frozen_plan(work, MODELS, TASKS, (0, 1))
    assert restore(kept, work) == 9
    last = Few(100)
    build(work, last)
    assert last.left == 97
    assert hashes(work) == uninterrupted
    assert keep(work, kept) == 3
    rmtree(work)
    frozen_plan(work, MODELS, TASKS, (0, 1))
    assert restore(kept, work) == 12
    finish(work)
    assert hashes(work) == uninterrupted


def test_keeping_and_restoring_twice_changes_nothing(tmp_path: Path, frozen_plan: Freeze) -> None:
    kept, work = tmp_path / "kept", tmp_path / "work"
    frozen_plan(work, MODELS, TASKS)
    sitting(work, 5)
    assert keep(work, kept) == 5
    before = {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()}
    finish(work)
    assert keep(work, kept) == 0
    assert {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()} == before
    assert restore(kept, work) == 0
    assert list_parts(work / PARTS) == []


def test_what_is_kept_lies_by_image_task_and_seed(tmp_path: Path, frozen_plan: Freeze) -> None:
    kept, work = tmp_path / "kept", tmp_path / "work"
    frozen_plan(work, MODELS, TASKS, (0, 1))
    build(work, Few(100))
    keep(work, kept)
    places = {path.parent.relative_to(kept).as_posix() for path in kept.rglob("*.parquet")}
    assert places == {f"camera/{task}/seed-{seed}" for task in TASKS for seed in (0, 1)}
    assert len(list(kept.rglob("*.parquet"))) == 4
    rmtree(kept / "camera" / TASKS[0])
    frozen_plan(tmp_path / "rest", MODELS, TASKS, (0, 1))
    assert restore(kept, tmp_path / "rest") == 6


def test_only_planned_runs_are_restored(tmp_path: Path, frozen_plan: Freeze) -> None:
    """A pilot's runs serve the whole build, and the other way round."""
    kept = tmp_path / "kept"
    frozen_plan(tmp_path / "pilot", MODELS[:2])
    build(tmp_path / "pilot", Few(100))
    assert keep(tmp_path / "pilot", kept) == 2
    frozen_plan(tmp_path / "all", MODELS, TASKS)
    assert restore(kept, tmp_path / "all") == 2
    sitting(tmp_path / "all", 2)
    assert keep(tmp_path / "all", kept) == 2
    plan = frozen_plan(tmp_path / "one", MODELS[2:])
    assert restore(kept, tmp_path / "one") == 1
    (part,) = list_parts(tmp_path / "one" / PARTS)
    assert [run.key for run in read_part(part)] == plan.run_keys()


def test_failed_runs_are_tried_again_and_better_ones_kept(
    tmp_path: Path, frozen_plan: Freeze
) -> None:
    kept, work = tmp_path / "kept", tmp_path / "work"
    frozen_plan(work, MODELS)
    build(work, Few(100, "failed"))
    assert keep(work, kept) == 0
    build(work, Few(100, "diverged"), retry_failed=True)
    assert keep(work, kept) == 3
    key = read_plan_keys(kept)[0]
    write_part(work / PARTS, [Run(key, "finished", "", {"psnr": np.zeros(3, np.float32)})])
    assert keep(work, kept) == 1
    assert keep(work, kept) == 0
    frozen_plan(tmp_path / "again", MODELS)
    restore(kept, tmp_path / "again")
    finish(tmp_path / "again")
    finish(work)
    assert hashes(tmp_path / "again")[0] == hashes(work)[0]


def read_plan_keys(kept: Path) -> list[RunKey]:
    return [run.key for part in sorted(kept.rglob("*.parquet")) for run in read_part(part)]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"iterations": 3}, r"protocol \(iterations\)"),
        ({"observation_seed": 1}, "observation_seed"),
    ],
)
def test_runs_of_another_protocol_are_not_mixed(
    tmp_path: Path, frozen_plan: Freeze, changes: dict, named: str
) -> None:
    frozen_plan(tmp_path / "work", MODELS)
    build(tmp_path / "work", Few(100))
    keep(tmp_path / "work", tmp_path / "kept")
    frozen_plan(tmp_path / "other", MODELS, **changes)
    for call in (
        lambda: restore(tmp_path / "kept", tmp_path / "other"),
        lambda: keep(tmp_path / "other", tmp_path / "kept"),
    ):
        with pytest.raises(StoreError, match=f"holds runs of another {named}: choose another"):
            call()


def test_another_image_of_that_name_is_refused(tmp_path: Path, frozen_plan: Freeze) -> None:
    frozen_plan(tmp_path / "work", MODELS)
    build(tmp_path / "work", Few(100))
    keep(tmp_path / "work", tmp_path / "kept")
    path = tmp_path / "kept" / RECORD
    record = json.loads(path.read_text())
    record["images"]["camera"] = "0" * 64
    path.write_text(json.dumps(record))
    with pytest.raises(StoreError, match="of another image camera"):
        restore(tmp_path / "kept", tmp_path / "work")
    path.write_text("[]")
    with pytest.raises(StoreError, match="is damaged"):
        restore(tmp_path / "kept", tmp_path / "work")
    with pytest.raises(StoreError, match="holds no kept runs"):
        restore(tmp_path / "none", tmp_path / "work")


def test_two_benchmarks_are_kept_in_one_place_one_after_the_other(
    tmp_path: Path, frozen_plan: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept"
    frozen_plan(tmp_path / "one", MODELS[:1])
    frozen_plan(tmp_path / "other", MODELS[1:])
    for name in ("one", "other"):
        build(tmp_path / name, Few(100))
    merged = keeping.matching_record

    def meanwhile(*given):
        monkeypatch.setattr(keeping, "matching_record", merged)
        monkeypatch.setattr(keeping, "PATIENCE_SECONDS", 0.0)
        with pytest.raises(StoreError, match="is being built by process"):
            keep(tmp_path / "other", kept)
        return merged(*given)

    monkeypatch.setattr(keeping, "matching_record", meanwhile)
    assert keep(tmp_path / "one", kept) == 1
    assert keep(tmp_path / "other", kept) == 2


def test_damage_to_what_is_kept_is_found(tmp_path: Path, frozen_plan: Freeze) -> None:
    frozen_plan(tmp_path / "work", MODELS)
    build(tmp_path / "work", Few(100))
    keep(tmp_path / "work", tmp_path / "kept")
    (part,) = (tmp_path / "kept").rglob("*.parquet")
    part.write_bytes(part.read_bytes()[:-1])
    frozen_plan(tmp_path / "again", MODELS)
    with pytest.raises(StoreError, match="is damaged"):
        restore(tmp_path / "kept", tmp_path / "again")


def test_a_damaged_part_is_left_for_the_build_to_tell_of(
    tmp_path: Path, frozen_plan: Freeze
) -> None:
    work, kept = tmp_path / "work", tmp_path / "kept"
    frozen_plan(work, MODELS)
    sitting(work, 2)
    part, _ = list_parts(work / PARTS)
    part.write_bytes(part.read_bytes()[:-1])
    assert keep(work, kept) == 1
    assert restore(kept, work) == 0
    assert read_progress(work).damaged == (part,)
    with pytest.warns(UserWarning, match="a damaged part is set aside"):
        finish(work)


def test_outputs_are_not_dropped_silently(tmp_path: Path, frozen_plan: Freeze) -> None:
    frozen_plan(tmp_path / "work", MODELS, outputs=True)
    with pytest.raises(StoreError, match="smoothed outputs"):
        keep(tmp_path / "work", tmp_path / "kept")
    frozen_plan(tmp_path / "bare", MODELS)
    keep(tmp_path / "bare", tmp_path / "kept")
    with pytest.raises(StoreError, match="smoothed outputs, which kept runs do not have"):
        restore(tmp_path / "kept", tmp_path / "work")


@pytest.fixture
def whole_runs(tmp_path: Path, frozen_plan: Freeze) -> Path:
    """Three kept runs of 30 iterations without a stop rule, with peaks at 3, 24 and 25."""
    plan = frozen_plan(tmp_path / "pilot", MODELS, iterations=30)
    for key, peak in zip(plan.run_keys(), (3, 24, 25), strict=True):
        smooth = -np.abs(np.arange(30, dtype=np.float32) - peak)
        run = Run(key, "finished", "", {"psnr_smooth": smooth, "psnr": smooth})
        write_part(tmp_path / "pilot" / PARTS, [run])
    keep(tmp_path / "pilot", tmp_path / "kept")
    return tmp_path / "kept"


@pytest.mark.parametrize(
    ("iterations", "expected"),
    [
        (30, {("stopped", 9), ("stopped", 30), ("finished", 30)}),
        (40, {("stopped", 9), ("stopped", 30)}),
    ],
)
def test_whole_runs_are_cut_and_what_would_have_gone_on_is_left_out(
    whole_runs: Path,
    tmp_path: Path,
    frozen_plan: Freeze,
    iterations: int,
    expected: set[tuple[str, int]],
) -> None:
    frozen_plan(tmp_path / "work", MODELS, iterations=iterations, stop=PeakStop(5))
    assert restore(whole_runs, tmp_path / "work") == len(expected)
    runs = [run for part in list_parts(tmp_path / "work" / PARTS) for run in read_part(part)]
    assert {(run.status, len(run.curves["psnr"])) for run in runs} == expected


def test_runs_longer_than_the_protocol_are_refused(
    whole_runs: Path, tmp_path: Path, frozen_plan: Freeze
) -> None:
    frozen_plan(tmp_path / "work", MODELS, iterations=20, stop=PeakStop(5))
    with pytest.raises(StoreError, match=r"another protocol \(iterations, stop\)"):
        restore(whole_runs, tmp_path / "work")


@pytest.mark.slow
def test_real_trainings_go_on_to_the_same_content(tmp_path: Path, frozen_plan: Freeze) -> None:
    models = ("deep-decoder", "dip-jpeg")
    for name in ("whole", "work"):
        frozen_plan(tmp_path / name, models[: 1 if name == "work" else 2], iterations=2)
        build(tmp_path / name, LocalExecutor(1, "cpu"))
    assert keep(tmp_path / "work", tmp_path / "kept") == 1
    frozen_plan(tmp_path / "again", models, iterations=2)
    assert restore(tmp_path / "kept", tmp_path / "again") == 1
    build(tmp_path / "again", LocalExecutor(1, "cpu"))
    contents = [read_manifest(tmp_path / name).content_sha256 for name in ("whole", "again")]
    assert contents[0] == contents[1]


def test_what_is_merged_meanwhile_is_kept(
    tmp_path: Path, frozen_plan: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, work = tmp_path / "kept", tmp_path / "work"
    frozen_plan(work, MODELS, TASKS)
    sitting(work, 5)

    def merged_meanwhile(folder: Path) -> list[Path]:
        parts = list_parts(folder)
        finish(work)
        return parts

    monkeypatch.setattr(keeping, "list_parts", merged_meanwhile)
    assert keep(work, kept) == 5
