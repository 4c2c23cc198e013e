"""Building by an executor in this process: what is trained, recorded, retried and merged."""

import json
import pickle
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dipbench.benchmark import Benchmark, training
from dipbench.benchmark.building import Progress, Shard, build, finish, read_progress
from dipbench.benchmark.executors import Lost, Outcome, Unit, local
from dipbench.benchmark.executors.local import LocalExecutor, default_workers
from dipbench.benchmark.merging import Generation
from dipbench.benchmark.parts import list_parts, read_part, write_part
from dipbench.benchmark.plan import PLAN, Plan, check_plan, freeze_plan, make_plan
from dipbench.benchmark.schema import Run, RunKey
from dipbench.benchmark.store import PARTS, check_writable, read_manifest
from dipbench.benchmark.training import train_run, train_unit
from dipbench.data import Image, parse_task
from dipbench.errors import (
    DeviceError,
    DipbenchError,
    ImageError,
    MissingExtraError,
    StoreError,
)
from dipbench.evaluate import fitting, together
from dipbench.evaluate.protocol import get_protocol
from dipbench.seeds import generator

Freeze = Callable[..., Plan]


@dataclass
class Here:
    """Makes runs of random curves in this process, those of some models with another status."""

    statuses: dict[str, str] = field(default_factory=dict)
    made: list[RunKey] = field(default_factory=list)

    def run(self, folder: Path, plan: Plan, units: Sequence[Unit]) -> Iterator[Outcome]:
        for unit in units:
            for key in unit.keys:
                self.made.append(key)
                status = self.statuses.get(key.model, "finished")
                psnr = generator(*key).random(5, dtype=np.float32)
                curves = {} if status == "failed" else {"psnr": psnr, "psnr_smooth": psnr}
                write_part(folder / PARTS, [Run(key, status, "", curves)])
                yield [(key, status)]


def progress_of(folder: Path, executor: Here, **more: Any) -> Progress:
    told: list[Progress] = []
    build(folder, executor, on_start=told.append, **more)
    return told[0]


def test_a_build_makes_the_planned_runs_once(tmp_path: Path, frozen_plan: Freeze) -> None:
    plan = frozen_plan(tmp_path, (49, 273), ("denoising-25", "sr-4"), (0, 1))
    executor = Here()
    told: list[tuple[RunKey, str]] = []
    manifest = build(tmp_path, executor, on_run=lambda key, status: told.append((key, status)))
    assert sorted(map(str, executor.made)) == sorted(map(str, plan.run_keys()))
    assert told == [(key, "finished") for key in executor.made]
    assert manifest == read_manifest(tmp_path)
    assert manifest is not None
    assert (manifest.name, manifest.generation, manifest.tasks) == ("small", 1, plan.tasks)
    assert manifest.environment["torch"]
    again = Here()
    assert progress_of(tmp_path, again) == Progress(planned=8, done=8, failed=0)
    assert again.made == []
    assert read_manifest(tmp_path).generation == 1
    assert finish(tmp_path) == manifest


def test_failed_runs_are_left_until_asked_for(tmp_path: Path, frozen_plan: Freeze) -> None:
    plan = frozen_plan(tmp_path, (49, 273, 124))
    bad, worse = plan.models[:2]
    build(tmp_path, Here({bad: "failed", worse: "diverged"}))
    assert Benchmark(tmp_path).best("camera", "denoising").model == plan.models[2]
    assert read_progress(tmp_path) == Progress(planned=3, done=2, failed=1)
    assert progress_of(tmp_path, Here()).failed == 1
    retry = Here()
    assert progress_of(tmp_path, retry, retry_failed=True).remaining == 1
    assert [key.model for key in retry.made] == [bad]
    statuses = {key.model: status for key, status in Generation(tmp_path).entries}
    assert statuses == {bad: "finished", worse: "diverged", plan.models[2]: "finished"}


def test_a_retry_that_fails_again_replaces_nothing(tmp_path: Path, frozen_plan: Freeze) -> None:
    plan = frozen_plan(tmp_path)
    build(tmp_path, Here())
    key = plan.run_keys()[0]
    write_part(tmp_path / PARTS, [Run(key, "failed", "later")])
    assert read_progress(tmp_path).failed == 0
    finish(tmp_path)
    assert Generation(tmp_path).run(key).status == "finished"


def test_a_look_from_outside_leaves_a_damaged_part(tmp_path: Path, frozen_plan: Freeze) -> None:
    frozen_plan(tmp_path)
    part = tmp_path / PARTS / "a-0123456789abcdef.parquet"
    part.parent.mkdir()
    part.write_bytes(b"half")
    assert read_progress(tmp_path).damaged == (part,)
    assert part.exists()


def test_a_finish_sees_that_the_files_are_there(tmp_path: Path, frozen_plan: Freeze) -> None:
    frozen_plan(tmp_path)
    manifest = build(tmp_path, Here())
    assert manifest is not None
    assert finish(tmp_path) == manifest
    (tmp_path / str(manifest.files["curves"]["name"])).unlink()
    with pytest.raises(StoreError, match=r"curves-1-\w{8}\.h5 is missing"):
        finish(tmp_path)


def test_runs_of_a_damaged_part_are_made_again(tmp_path: Path, frozen_plan: Freeze) -> None:
    plan = frozen_plan(tmp_path, (49, 273, 124))
    for _ in Here().run(tmp_path, plan, [Unit((key,)) for key in plan.run_keys()]):
        pass
    cut, flipped, _ = list_parts(tmp_path / PARTS)
    lost = {read_part(part)[0].key for part in (cut, flipped)}
    cut.write_bytes(cut.read_bytes()[:200])
    content = bytearray(flipped.read_bytes())
    content[len(content) // 2] ^= 1
    flipped.write_bytes(content)
    executor = Here()
    progress = progress_of(tmp_path, executor)
    assert (progress.done, progress.remaining) == (1, 2)
    assert progress.damaged == tuple(Path(f"{part}.corrupt") for part in (cut, flipped))
    assert all(path.is_file() for path in progress.damaged)
    assert set(executor.made) == lost
    assert len(Generation(tmp_path).entries) == 3


def test_shards_are_disjoint_and_complete(tmp_path: Path, frozen_plan: Freeze) -> None:
    plan = frozen_plan(tmp_path, (49, 273, 124), ("denoising-25", "sr-4"))
    made: list[RunKey] = []
    for number in (2, 1, 4, 3):
        executor = Here()
        assert build(tmp_path, executor, shard=Shard(number, 4)) is None
        made += executor.made
    assert sorted(map(str, made)) == sorted(map(str, plan.run_keys()))
    with pytest.raises(StoreError, match="is not finished yet"):
        Benchmark(tmp_path)
    assert finish(tmp_path).generation == 1
    assert len(Benchmark(tmp_path).to_frame()) == 6


@pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "1/0", "a/b", "-1/3", "1/2/3"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(StoreError, match="is no shard: write i/n"):
        Shard.parse(text)


def test_an_end_in_the_middle_keeps_what_is_done(tmp_path: Path, frozen_plan: Freeze) -> None:
    frozen_plan(tmp_path, (49, 273, 124))

    def interrupt(key: RunKey, status: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path, Here(), on_run=interrupt)
    assert read_progress(tmp_path).done == 1
    assert finish(tmp_path).generation == 1
    rest = Here()
    assert progress_of(tmp_path, rest).remaining == 2
    assert len(Generation(tmp_path).entries) == 3


def test_nothing_to_build_or_merge_is_one_error(tmp_path: Path, frozen_plan: Freeze) -> None:
    with pytest.raises(StoreError, match="holds no plan to go by: `dipbench train"):
        build(tmp_path, Here())
    frozen_plan(tmp_path)
    with pytest.raises(StoreError, match="holds no finished runs yet"):
        finish(tmp_path)
    with pytest.raises(StoreError, match="no such folder"):
        finish(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write to"):
        check_writable(tmp_path / "file" / "inside")


def test_runs_of_another_plan_are_neither_trained_nor_merged(
    tmp_path: Path, frozen_plan: Freeze
) -> None:
    plan = frozen_plan(tmp_path)
    build(tmp_path, Here())
    before = read_manifest(tmp_path)
    record = {**plan.to_record(), "observation_seed": 9, "seeds": [0, 1]}
    (tmp_path / PLAN).write_text(json.dumps(record))
    executor = Here()
    with pytest.raises(StoreError, match=r"another observation seed \(0 and not 9\)"):
        build(tmp_path, executor)
    assert executor.made == []
    write_part(tmp_path / PARTS, [Run(plan.run_keys()[0]._replace(seed=1), "finished")])
    with pytest.raises(StoreError, match=r"another observation seed \(0 and not 9\)"):
        finish(tmp_path)
    assert read_manifest(tmp_path) == before


def test_observations_from_elsewhere_must_be_those_that_are_there(
    tmp_path: Path, camera: Image
) -> None:
    task = "denoising-25"
    protocol = get_protocol("quick")
    plan = make_plan("other", ["deep-decoder"], [camera], [task], [0], protocol, None)
    observed = [{("camera", task): parse_task(task).observe(camera, seed)} for seed in (0, 1)]
    freeze_plan(tmp_path, plan, [camera], observed[0])
    build(tmp_path, Here())
    (tmp_path / PLAN).unlink()
    with pytest.raises(StoreError, match="holds runs of another observation camera denoising-25"):
        check_plan(tmp_path, plan, observed[1])
    check_plan(tmp_path, plan, observed[0])


# One run


class Pipe:
    """Hands a worker one unit, and keeps its answer."""

    def __init__(self) -> None:
        self.units, self.answers = [Unit(())], list[Any]()

    def recv(self) -> Unit:
        if not self.units:
            raise EOFError
        return self.units.pop()

    def send(self, answer: Any) -> None:
        self.answers.append(answer)


@pytest.mark.parametrize(
    ("error", "told"),
    [(KeyError("images/a"), "KeyError: 'images/a'"), (MemoryError(), "out of memory")],
)
def test_a_worker_says_what_was_raised_in_it(
    tmp_path: Path, frozen_plan: Freeze, monkeypatch: Any, error: Exception, told: str
) -> None:
    def failing(*given: Any) -> Any:
        raise error

    monkeypatch.setattr(local, "train_unit", failing)
    monkeypatch.setattr(local, "_end_with_parent", lambda: None)
    pipe = Pipe()
    local._serve(pipe, tmp_path, frozen_plan(tmp_path), "cpu")  # type: ignore[arg-type]
    assert pipe.answers == [None, Lost(told)]


def test_an_interrupt_is_the_parents_from_the_workers_birth(
    tmp_path: Path, frozen_plan: Freeze
) -> None:
    lane = local._Lane(tmp_path, frozen_plan(tmp_path), "cpu")
    try:
        status = Path(f"/proc/{lane.start(Unit(()))}/status").read_text()
    finally:
        lane.end()
    [blocked] = re.findall(r"^SigBlk:\s*(\w+)$", status, re.MULTILINE)
    assert int(blocked, 16) >> (signal.SIGINT - 1) & 1
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_a_run_that_raises_is_recorded_and_the_others_go_on(
    tmp_path: Path, frozen_plan: Freeze, monkeypatch: Any
) -> None:
    plan = frozen_plan(tmp_path)
    bad, good = plan.run_keys()
    fit = fitting.fit

    def failing(model: str, *args: Any, **kwargs: Any) -> Any:
        if model == bad.model:
            raise ValueError("no memory " + 600 * "!")
        return fit(model, *args, **kwargs)

    monkeypatch.setattr(fitting, "fit", failing)
    assert train_unit(tmp_path, plan, (bad, good), "cpu") == [(bad, "failed"), (good, "finished")]
    (part,) = list_parts(tmp_path / PARTS)
    failed, made = read_part(part)
    assert failed.reason.startswith("ValueError: no memory !!")
    assert len(failed.reason) == 500
    assert failed.curves == {}
    assert made.facts["input_sha256"]


def test_a_model_that_the_image_is_too_small_for_is_recorded(
    tmp_path: Path, frozen_plan: Freeze
) -> None:
    with pytest.raises(ImageError, match="65 pixels or more"):
        frozen_plan(tmp_path / "new", ("dip-pixel-shuffle", 49))
    plan = frozen_plan(tmp_path, ("deep-decoder", 49))
    # A plan may be older than that refusal.
    plan = replace(plan, models=("dip-pixel-shuffle", plan.models[1]))
    made = {
        make: {run.key.model: run for run in make(tmp_path, plan, tuple(plan.run_keys()), "cpu")}
        for make in (training._one_by_one, training._together)
    }
    for runs in made.values():
        assert runs[plan.models[1]].status == "finished"
        refused = runs["dip-pixel-shuffle"]
        assert (refused.status, refused.reason[:12]) == ("failed", "ImageError: ")


def test_runs_side_by_side_are_those_made_one_by_one(tmp_path: Path, frozen_plan: Freeze) -> None:
    plan = frozen_plan(tmp_path, ("deep-decoder", 273), seeds=(0, 1), iterations=3, outputs=True)
    keys = tuple(plan.run_keys())
    alone = {run.key: run for run in training._one_by_one(tmp_path, plan, keys, "cpu")}
    made = list(training._together(tmp_path, plan, keys, "cpu"))
    assert sorted(run.key for run in made) == sorted(keys)
    for run in made:
        other = alone[run.key]
        assert (run.status, {**run.facts, "seconds": 0}) == (
            other.status, {**other.facts, "seconds": 0},
        )  # fmt: skip
        assert all(np.array_equal(run.curves[kind], other.curves[kind]) for kind in other.curves)
        assert np.array_equal(run.output, other.output)


def test_one_of_several_that_fails_or_does_not_fit_is_recorded(
    tmp_path: Path, frozen_plan: Freeze, monkeypatch: Any
) -> None:
    plan = frozen_plan(tmp_path, ("deep-decoder",), seeds=(0, 1, 2))
    prepare = fitting.prepare

    def failing(**given: Any) -> Any:
        if given["seed"] == 1:
            raise ValueError("bad")
        if given["seed"] == 2:
            torch.empty(2**55)
        return prepare(**given)

    monkeypatch.setattr(fitting, "prepare", failing)
    monkeypatch.setattr(together, "PAUSE_SECONDS", 0.0)
    runs = training._together(tmp_path, plan, tuple(plan.run_keys()), "cpu")
    made = {run.key.seed: (run.status, run.reason) for run in runs}
    assert made[0] == ("finished", "")
    assert made[1] == ("failed", "ValueError: bad")
    assert made[2][0] == "failed"
    assert made[2][1].startswith("too little memory on cpu for one run: choose a smaller picture")


def test_a_single_run_that_does_not_fit_is_left_to_the_executor(
    tmp_path: Path, frozen_plan: Freeze, monkeypatch: Any
) -> None:
    plan = frozen_plan(tmp_path)
    monkeypatch.setattr(fitting, "prepare", lambda *given: torch.empty(2**55))
    with pytest.raises(MemoryError, match="too little memory on cpu for one run"):
        train_run(tmp_path, plan, plan.run_keys()[0], "cpu")


def test_what_concerns_every_run_ends_the_build(
    tmp_path: Path, frozen_plan: Freeze, monkeypatch: Any
) -> None:
    plan = frozen_plan(tmp_path)

    def refused(*args: Any, **kwargs: Any) -> Any:
        raise DeviceError("no such device")

    monkeypatch.setattr(fitting, "fit", refused)
    with pytest.raises(DipbenchError, match="no such device"):
        train_run(tmp_path, plan, plan.run_keys()[0], "cuda:9")


def test_every_error_reaches_another_process_as_it_is() -> None:
    errors = [
        kind("a reason") for kind in DipbenchError.__subclasses__() if kind is not MissingExtraError
    ]
    for error in (*errors, MissingExtraError("train", "training")):
        there = pickle.loads(pickle.dumps(error))
        assert (type(there), str(there)) == (type(error), str(error))
        assert vars(there) == vars(error)


def test_a_device_that_is_not_there_is_refused_before_the_start(
    tmp_path: Path, frozen_plan: Freeze
) -> None:
    frozen_plan(tmp_path)
    with pytest.raises(DeviceError, match="is no device: choose auto, cpu"):
        build(tmp_path, LocalExecutor(device="tpux"))
    with pytest.raises(DeviceError, match="is not there"):
        default_workers(1, "cuda:99")


def test_as_many_workers_as_the_cores_hold() -> None:
    assert default_workers(1) >= default_workers(2) >= 1
    assert default_workers(10_000) == 1


def test_an_import_that_did_not_end_is_no_build_to_finish(
    tmp_path: Path, frozen_plan: Freeze
) -> None:
    plan = frozen_plan(tmp_path)
    (tmp_path / PLAN).unlink()
    key = next(iter(plan.run_keys()))
    write_part(tmp_path / PARTS, [Run(key, "failed", "x")], {"imported": True})
    with pytest.raises(StoreError, match="an import that did not end"):
        finish(tmp_path)
