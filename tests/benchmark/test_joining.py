"""What parts say of how their runs came about: foreign ones are refused, what is common is kept."""

from collections.abc import Callable
from pathlib import Path
from shutil import copy
from typing import Any

import pytest

from dipbench.benchmark import Benchmark
from dipbench.benchmark.building import Shard, build, finish
from dipbench.benchmark.importing import import_published
from dipbench.benchmark.keeping import keep, restore
from dipbench.benchmark.locking import builder_lock
from dipbench.benchmark.parts import list_parts, part_keys, read_made, write_part
from dipbench.benchmark.pictures import StoredObservations, read_observation
from dipbench.benchmark.plan import PLAN, PLAN_PICTURES, Plan, check_plan
from dipbench.benchmark.schema import Run
from dipbench.benchmark.store import BEACON, MANIFEST, PARTS, read_manifest
from dipbench.benchmark.training import environment, made_by, train_unit
from dipbench.benchmark.verifying import verify
from dipbench.errors import StoreError

Freeze = Callable[..., Plan]


class Nothing:
    """An executor that trains nothing."""

    def run(self, *asked: object) -> list[Any]:
        return []


HERE = {"python": "3.11.7", "torch": "2.13.0"}


@pytest.fixture
def write(make_run: Callable[..., Run]) -> Callable[..., None]:
    """Write a part of one run of a plan, made in that way."""

    def write(folder: Path, plan: Plan, place: int, status: str = "finished", **made: Any) -> None:
        key = plan.run_keys()[place]
        write_part(folder / PARTS, [make_run(*key, status=status)], made)

    return write


def test_parts_whose_plan_was_lost_are_taken_up_under_the_same_protocol_alone(
    tmp_path: Path, frozen_plan: Freeze, write: Callable[..., None]
) -> None:
    plan = frozen_plan(tmp_path)
    write(tmp_path, plan, 0, **made_by(plan.protocol))
    (tmp_path / PLAN).unlink()
    with pytest.raises(StoreError, match=r"runs of another protocol \(iterations\)"):
        frozen_plan(tmp_path, iterations=3)
    assert frozen_plan(tmp_path) == plan


def test_parts_whose_plan_was_lost_are_not_taken_for_runs_on_another_picture(
    tmp_path: Path, frozen_plan: Freeze, make_run: Callable[..., Run]
) -> None:
    plan = frozen_plan(tmp_path)
    first, second = plan.run_keys()
    seen = read_observation(tmp_path / PLAN_PICTURES, first[1:3]).sha256
    write_part(tmp_path / PARTS, [make_run(*first, observation_sha256=seen)])
    build(tmp_path, Nothing())
    write_part(tmp_path / PARTS, [make_run(*second, observation_sha256=seen)])
    (tmp_path / PLAN).unlink()
    (tmp_path / PLAN_PICTURES).unlink()
    for entry in read_manifest(tmp_path).files.values():
        (tmp_path / str(entry["name"])).unlink()
    (tmp_path / MANIFEST).unlink()
    frozen_plan(tmp_path, observation_seed=1)
    for act in (
        lambda: build(tmp_path, Nothing()),
        lambda: finish(tmp_path),
        lambda: keep(tmp_path, tmp_path / "kept"),
    ):
        with pytest.raises(StoreError, match="runs on another observation of camera, denoising-25"):
            act()


def test_runs_whose_manifest_was_lost_are_not_removed(
    tmp_path: Path, frozen_plan: Freeze, write: Callable[..., None]
) -> None:
    plan = frozen_plan(tmp_path, iterations=3)
    write(tmp_path, plan, 0)
    finish(tmp_path)
    (runs,) = tmp_path.glob("runs-1-*.parquet")
    (tmp_path / MANIFEST).unlink()
    told = rf"holds {runs.name} without its benchmark\.json: restore that from a copy"
    with pytest.raises(StoreError, match=told):
        Benchmark(tmp_path)
    write(tmp_path, plan, 1)
    for act in (
        lambda: build(tmp_path, Nothing()),
        lambda: finish(tmp_path),
        lambda: frozen_plan(tmp_path, iterations=3),
    ):
        with pytest.raises(StoreError, match=f"{told}; or move {runs.name} away, to make its"):
            act()
    assert runs.is_file()
    content = runs.read_bytes()
    runs.write_bytes(b"damaged")
    with pytest.raises(StoreError, match=told):
        finish(tmp_path)
    runs.write_bytes(content)
    write(tmp_path, plan, 0)  # as a merging leaves it that is killed before it commits
    build(tmp_path, Nothing())
    assert len(Benchmark(tmp_path).to_frame()) == 2
    assert not runs.is_file()


def test_parts_whose_plan_was_lost_are_not_merged_by_a_plan_that_lacks_them(
    tmp_path: Path, frozen_plan: Freeze, make_run: Callable[..., Run]
) -> None:
    lost, folder, tasks = tmp_path / "lost", tmp_path / "store", ("denoising-25", "sr-4")
    plan = frozen_plan(lost, tasks=tasks, iterations=3)
    for key in plan.run_keys():
        seen = read_observation(lost / PLAN_PICTURES, key[1:3]).sha256
        write_part(folder / PARTS, [make_run(*key, observation_sha256=seen)])
    told = "holds runs of camera, sr-4, which this plan lacks: plan them too"
    with pytest.raises(StoreError, match=told):
        frozen_plan(folder, iterations=3)
    frozen_plan(tmp_path / "narrow", iterations=3)
    for name in (PLAN, PLAN_PICTURES):
        copy(tmp_path / "narrow" / name, folder)
    for act in (
        lambda: build(folder, Nothing()),
        lambda: finish(folder),
        lambda: keep(folder, tmp_path / "kept"),
    ):
        with pytest.raises(StoreError, match=told):
            act()
    (folder / PLAN).unlink()
    frozen_plan(folder, tasks=tasks, iterations=3)
    assert finish(folder).tasks == tasks
    assert verify(folder) == []


def test_a_plan_may_lack_what_the_generation_has(
    tmp_path: Path, frozen_plan: Freeze, make_run: Callable[..., Run]
) -> None:
    plan = frozen_plan(tmp_path, tasks=("denoising-25", "sr-4"), iterations=3)
    *_, first, second = plan.run_keys()
    seen = read_observation(tmp_path / PLAN_PICTURES, first[1:3]).sha256
    write_part(tmp_path / PARTS, [make_run(*first, observation_sha256=seen)])
    finish(tmp_path)
    (tmp_path / PLAN).unlink()
    frozen_plan(tmp_path, iterations=3)
    write_part(tmp_path / PARTS, [make_run(*second, observation_sha256="another")])
    with pytest.raises(StoreError, match="runs on another observation of camera, sr-4"):
        finish(tmp_path)
    (part,) = list_parts(tmp_path / PARTS)
    part.unlink()
    write_part(tmp_path / PARTS, [make_run(*second, observation_sha256=seen)])
    assert finish(tmp_path).generation == 2
    assert verify(tmp_path) == []


def test_parts_of_an_import_that_did_not_end_are_no_trainings(
    tmp_path: Path, frozen_plan: Freeze, write: Callable[..., None]
) -> None:
    plan = frozen_plan(tmp_path / "other")
    write(tmp_path / "store", plan, 0, imported=True)
    with pytest.raises(StoreError, match="give `dipbench import` its sources again"):
        frozen_plan(tmp_path / "store")


def test_the_environment_is_that_of_the_runs_not_of_who_merges(
    tmp_path: Path, frozen_plan: Freeze, write: Callable[..., None]
) -> None:
    plan = frozen_plan(tmp_path)
    write(tmp_path, plan, 0, environment=HERE)
    write(tmp_path, plan, 1, "failed")
    assert finish(tmp_path).environment == HERE
    write(tmp_path, plan, 1, environment={**HERE, "python": "3.12.1"})
    assert finish(tmp_path).environment == {"torch": HERE["torch"]}


def test_runs_that_say_nothing_have_that_of_who_merges(
    tmp_path: Path, frozen_plan: Freeze, write: Callable[..., None]
) -> None:
    plan = frozen_plan(tmp_path)
    write(tmp_path, plan, 0)
    write(tmp_path, plan, 1, environment={**environment(), "torch": "0.1"})
    assert finish(tmp_path).environment.keys() == environment().keys() - {"torch"}


def test_what_is_kept_says_what_its_runs_have_in_common(
    tmp_path: Path, frozen_plan: Freeze, write: Callable[..., None]
) -> None:
    work, kept, again = tmp_path / "work", tmp_path / "kept", tmp_path / "again"
    plan = frozen_plan(work)
    write(work, plan, 0, environment=HERE)
    write(work, plan, 1, environment={**HERE, "python": "3.12.1"})
    assert keep(work, kept) == 2
    frozen_plan(again)
    assert restore(kept, again) == 2
    assert read_made(list_parts(again / PARTS)[0])["protocol"] == plan.protocol.to_record()
    assert finish(again).environment == {"torch": HERE["torch"]}


def test_a_worker_says_how_it_made_its_runs(tmp_path: Path, frozen_plan: Freeze) -> None:
    plan = frozen_plan(tmp_path, ("deep-decoder",))
    train_unit(tmp_path, plan, tuple(plan.run_keys()), "cpu")
    [part] = list_parts(tmp_path / PARTS)
    assert read_made(part) == {"environment": environment(), "protocol": plan.protocol.to_record()}
    part.write_bytes(b"half")
    assert read_made(part) == {}


def test_an_import_takes_no_parts_of_a_training_for_its_own(
    tmp_path: Path, frozen_plan: Freeze, write: Callable[..., None]
) -> None:
    plan = frozen_plan(tmp_path / "other")
    write(tmp_path / "store", plan, 0, **made_by(plan.protocol))
    with pytest.raises(StoreError, match="holds runs of a training"):
        import_published([tmp_path / "other"], tmp_path / "store")


def test_a_beacon_of_a_dead_builder_is_removed_where_no_other_can_be_at_work(
    tmp_path: Path, frozen_plan: Freeze
) -> None:
    frozen_plan(tmp_path)
    beacon = tmp_path / f"{BEACON}1234"
    beacon.touch()
    build(tmp_path, Nothing(), shard=Shard.parse("1/2"))
    assert beacon.exists()
    with pytest.raises(StoreError, match="holds no finished runs"):
        build(tmp_path, Nothing())
    assert not beacon.exists()


def test_shards_that_share_runs_are_not_built_at_once(tmp_path: Path, frozen_plan: Freeze) -> None:
    frozen_plan(tmp_path)
    with builder_lock(tmp_path, "1of2"):
        for text in ("1/1", "3/4"):
            with pytest.raises(StoreError, match="shard 1/2 is being built, which has runs of"):
                build(tmp_path, Nothing(), shard=Shard.parse(text))
        with pytest.raises(StoreError, match="is being built by process"):
            build(tmp_path, Nothing(), shard=Shard.parse("1/2"))
        build(tmp_path, Nothing(), shard=Shard.parse("2/2"))
        build(tmp_path, Nothing(), shard=Shard.parse("2/4"))
    build(tmp_path, Nothing(), shard=Shard.parse("3/4"))
    with pytest.raises(StoreError):
        read_manifest(tmp_path)


def test_a_look_at_the_folder_sets_no_damaged_part_aside(
    tmp_path: Path, frozen_plan: Freeze, write: Callable[..., None]
) -> None:
    plan = frozen_plan(tmp_path)
    write(tmp_path, plan, 0, **made_by(plan.protocol))
    build(tmp_path, Nothing())
    orphan = read_manifest(tmp_path).files["runs"]["name"]
    (tmp_path / MANIFEST).unlink()
    write(tmp_path, plan, 0, **made_by(plan.protocol))
    write(tmp_path, plan, 1, **made_by(plan.protocol))
    damaged = next(
        part for part in list_parts(tmp_path / PARTS) if part_keys(part)[0][0] != plan.run_keys()[0]
    )
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert (tmp_path / str(orphan)).is_file()
    check_plan(tmp_path, plan)
    assert damaged.is_file()
    told: list[Any] = []
    build(tmp_path, Nothing(), on_start=lambda progress: told.extend(progress.damaged))
    assert [path.name for path in told] == [f"{damaged.name}.corrupt"]


def test_whether_an_observation_is_there_is_told_without_reading_it(
    tmp_path: Path, frozen_plan: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen_plan(tmp_path)
    stored = StoredObservations(tmp_path / PLAN_PICTURES)
    monkeypatch.setattr("dipbench.benchmark.pictures.read_observation", pytest.fail)
    assert ("camera", "denoising-25") in stored
    assert ("camera", "sr-2") not in stored
