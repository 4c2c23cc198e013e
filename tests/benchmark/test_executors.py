"""What every executor keeps: the same plan gives the same runs, to the bit on the CPU."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from dipbench.benchmark import Benchmark
from dipbench.benchmark.building import finish
from dipbench.benchmark.executors import Unit
from dipbench.benchmark.logs import log_path
from dipbench.benchmark.merging import Generation
from dipbench.benchmark.parts import list_parts, write_part
from dipbench.benchmark.plan import Plan, read_plan
from dipbench.benchmark.schema import Run
from dipbench.benchmark.store import MANIFEST, PARTS, read_manifest
from dipbench.benchmark.training import train_unit
from dipbench.errors import StoreError

HERE = Path(__file__).parent
MODELS = ("deep-decoder",)
SEEDS = (0, 1, 2)
TASKS = ("denoising-25", "inpainting-50")
EXECUTORS = {
    "local, one worker": {"executor": "local", "workers": 1},
    "local, two workers": {"executor": "local", "workers": 2},
    "ray": {"executor": "ray", "workers": 2},
}

Freeze = Callable[..., Plan]
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a Ray cluster of two raylets with a CPU each."""
    command = [sys.executable, str(HERE / "cluster_process.py"), "2"]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert address, "the cluster did not start"
    yield address
    process.communicate("end\n", timeout=60)


@pytest.fixture(
    params=[
        pytest.param(name, marks=needs_ray if asked["executor"] == "ray" else ())
        for name, asked in EXECUTORS.items()
    ]
)
def asked(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = dict(EXECUTORS[request.param])
    if found["executor"] == "ray":
        found["address"] = request.getfixturevalue("cluster")
    return found


def run(folder: Path, asked: dict[str, Any]) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(HERE / "executor_builder.py"), str(folder), json.dumps(asked)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200)


def statuses(folder: Path) -> dict[str, str]:
    return {str(key): status for key, status in Generation(folder).entries}


def test_the_same_plan_gives_the_same_bits(
    asked: dict[str, Any], tmp_path: Path, frozen_plan: Freeze
) -> None:
    folder, alone = tmp_path / "store", tmp_path / "alone"
    for each in (folder, alone):
        plan = frozen_plan(each, MODELS, TASKS, SEEDS, iterations=3)
    train_unit(alone, plan, tuple(plan.run_keys()), "cpu")
    finish(alone)
    done = run(folder, asked)
    assert done.returncode == 0, done.stderr
    assert sorted(statuses(folder)) == sorted(map(str, plan.run_keys()))
    assert set(statuses(folder).values()) == {"finished"}
    assert read_manifest(folder).content_sha256 == read_manifest(alone).content_sha256
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    logs = "".join(path.read_text() for path in folder.glob("logs/*.log"))
    assert all(f"finished {key}" in logs for key in plan.run_keys())


def test_what_is_there_is_not_made_again(
    asked: dict[str, Any], tmp_path: Path, frozen_plan: Freeze
) -> None:
    folder = tmp_path / "store"
    plan = frozen_plan(folder, MODELS, TASKS, SEEDS)
    first = run(folder, {**asked, "seconds": 0, "shard": "1/2"})
    assert first.returncode == 0, first.stderr
    rest = run(folder, {**asked, "seconds": 0})
    made = [line.split(" ", 1)[1] for done in (first, rest) for line in done.stdout.splitlines()]
    assert sorted(made) == sorted(map(str, plan.run_keys()))
    assert run(folder, {**asked, "seconds": 0}).stdout == ""


def test_deadly_runs_and_those_too_large_fail_and_the_others_go_on(
    asked: dict[str, Any], tmp_path: Path, frozen_plan: Freeze
) -> None:
    folder = tmp_path / "store"
    plan = frozen_plan(folder, ("deep-decoder", "dip-jpeg", "dip", "conv-decoder"))
    _, worst, _, greedy = plan.models
    deaths = {"dip": 1, worst: 3}
    done = run(folder, {**asked, "seconds": 0.01, "deadly": deaths, "greedy": [greedy]})
    assert done.returncode == 0, done.stderr
    frame = Benchmark(folder).to_frame()
    failed = frame[frame["status"] == "failed"]
    assert set(failed["model"]) == {worst, greedy}
    assert len(frame) == 4
    assert failed["reason"].str.contains("3 times").all()
    told = failed["reason"].str.contains("too little memory on cpu for one run")
    assert (told == (failed["model"] == greedy)).all()
    assert done.stderr == ""
    unit = Unit((plan.run_keys()[0]._replace(model=worst),))
    assert log_path(folder, unit.name).read_text().count("worker died") >= 1
    again = run(folder, {**asked, "seconds": 0, "retry_failed": True})
    assert len(again.stdout.splitlines()) == len(failed)
    assert set(statuses(folder).values()) == {"finished"}


def test_packages_that_workers_lack_end_the_build_in_one_line(
    asked: dict[str, Any], tmp_path: Path, frozen_plan: Freeze
) -> None:
    frozen_plan(tmp_path / "store", MODELS)
    done = run(tmp_path / "store", {**asked, "seconds": 0, "bare": MODELS})
    assert done.returncode == 1
    expected = 'training needs packages that are not installed; run: pip install "dipbench[train]"'
    assert done.stderr.strip() == expected


def test_a_folder_that_cannot_be_written_is_one_line(
    asked: dict[str, Any], tmp_path: Path, frozen_plan: Freeze
) -> None:
    folder = tmp_path / "store"
    frozen_plan(folder)
    (folder / PARTS).write_text("in the way")
    done = run(folder, {**asked, "seconds": 0})
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stdout == ""


# The local executor alone


def test_workers_that_do_not_start_end_the_build_and_what_is_there_stays(
    tmp_path: Path, frozen_plan: Freeze, make_run: Callable[..., Run]
) -> None:
    folder, script = tmp_path / "store", tmp_path / "unguarded.py"
    plan = frozen_plan(folder)
    part = write_part(folder / PARTS, [make_run(*plan.run_keys()[0])])
    script.write_text(f"""
from pathlib import Path
from dipbench.benchmark.building import build
from dipbench.benchmark.executors.local import LocalExecutor
build(Path({str(folder)!r}), LocalExecutor(1, "cpu"))
""")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=200)
    assert done.returncode == 1
    told = done.stderr.splitlines()[-1]
    assert "workers do not start, 3 in a row (its worker died" in told
    assert 'needs the `if __name__ == "__main__":` guard' in told
    assert list_parts(folder / PARTS) == [part]
    assert not (folder / MANIFEST).exists()


# Ray alone


@needs_ray
def test_parts_come_through_ray_where_workers_do_not_see_the_folder(
    cluster: str, tmp_path: Path, frozen_plan: Freeze
) -> None:
    # The builder sees its folder where it has mounted a disk of its own over it.
    folder = tmp_path / "disk" / "store"
    folder.parent.mkdir()
    asked = {"executor": "ray", "address": cluster, "seconds": 0.01}
    frozen_plan(tmp_path / "store", MODELS, TASKS, SEEDS)
    script = f"""
        mount -t tmpfs tmpfs {folder.parent} && cp -r {tmp_path / "store"} {folder} &&
        {sys.executable} {HERE / "executor_builder.py"} {folder} '{json.dumps(asked)}' &&
        cp -r {folder} {tmp_path / "made"}
    """
    unshared = ["unshare", "--mount", "sh", "-c", script]
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"]).returncode != 0:
        pytest.skip("a mount of the builder's own needs root")
    done = subprocess.run(unshared, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert not folder.exists()
    made = tmp_path / "made"
    assert sorted(statuses(made)) == sorted(map(str, read_plan(made).run_keys()))
    logs = "".join(path.read_text() for path in made.glob("logs/*.log"))
    assert all(f"finished {key}" in logs for key in read_plan(made).run_keys())


@needs_ray
def test_a_machine_whose_own_disk_is_full_loses_the_unit_alone() -> None:
    code = """
from errno import ENOSPC
from pathlib import Path
from dipbench.benchmark.executors import Unit
from dipbench.benchmark.executors.ray_worker import Job, UnitWorker
places = []
def work(folder, plan, keys, device):
    places.append(folder)
    raise OSError(ENOSPC, "No space left on device")
worker = UnitWorker(Job(Path("/nowhere"), None, "cpu", work, "beacon"))
worker.receive(b"pictures")
try:
    worker.train(Unit(()))
except OSError as error:
    print(type(error).__name__, error.strerror, *(place.exists() for place in places))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "OSError No space left on device False\n", done.stderr


@needs_ray
@pytest.mark.slow
def test_a_run_that_hangs_is_given_up(cluster: str, tmp_path: Path, frozen_plan: Freeze) -> None:
    folder = tmp_path / "store"
    frozen_plan(folder)
    asked = {"executor": "ray", "address": cluster, "seconds": 60, "timeout": 0.5}
    done = run(folder, asked)
    assert done.returncode == 0, done.stderr
    frame = Benchmark(folder).to_frame()
    assert set(frame["status"]) == {"failed"}
    assert frame["reason"].str.contains("took longer than 0 s|took longer than 1 s").all()


@needs_ray
def test_an_address_that_does_not_answer_is_one_line(tmp_path: Path, frozen_plan: Freeze) -> None:
    folder = tmp_path / "store"
    frozen_plan(folder)
    done = run(folder, {"executor": "ray", "address": "127.0.0.1:9", "seconds": 0})
    assert done.returncode == 1
    assert done.stderr.startswith("no Ray cluster answers at '127.0.0.1:9': start one")
    assert len(done.stderr.splitlines()) == 1


@needs_ray
def test_versions_that_differ_are_named() -> None:
    code = """
from dataclasses import replace
from dipbench.benchmark.executors.ray_worker import Arrival, versions
from dipbench.errors import DipbenchError
arrival = Arrival("far", "node", 1, versions(), True)
arrival.check()
try:
    replace(arrival, versions={**versions(), "torch": "1.0"}).check()
except DipbenchError as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert told.startswith("far has torch 1.0 instead of ")
    assert told.endswith(": install the same versions on all machines\n")


@needs_ray
def test_why_workers_cannot_start_is_told() -> None:
    # A module that workers do not have stands for a dipbench that they do not have.
    code = """
import sys
from types import ModuleType
from dipbench.benchmark.executors.ray_cluster import joined, result, start_actor
there = sys.modules["only_there"] = ModuleType("only_there")
exec("class Worker:\\n    def work(self): return 1", there.__dict__)
with joined(None, 1):
    print(result(start_actor(there.Worker, (), {"num_cpus": 1.0}).work.remote()).reason)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.startswith("ModuleNotFoundError: No module named 'only_there' (is the same")
    assert done.stdout.count("\n") == 1


# GPUs


@pytest.mark.cuda
def test_every_gpu_has_a_worker() -> None:
    from dipbench.benchmark.executors.local import default_workers, device_names
    from dipbench.evaluate.gpus import count_gpus

    assert device_names("cuda") == [f"cuda:{index}" for index in range(count_gpus())]
    assert device_names("cuda:0") == ["cuda:0"]
    assert default_workers(1, "cuda") == count_gpus()


@pytest.mark.cuda
def test_gpus_make_the_runs_of_a_plan_several_at_a_time(
    tmp_path: Path, frozen_plan: Freeze
) -> None:
    from dipbench.evaluate.gpus import count_gpus

    given = {"models": (*MODELS, 273), "tasks": TASKS, "seeds": SEEDS, "iterations": 40}
    plan = frozen_plan(tmp_path / "gpu", **given)
    frozen_plan(tmp_path / "cpu", **given)
    for name, device in (("gpu", "cuda"), ("cpu", "cpu")):
        done = run(tmp_path / name, {"executor": "local", "workers": None, "device": device})
        assert done.returncode == 0, done.stderr
    frames = [Benchmark(tmp_path / name).to_frame() for name in ("gpu", "cpu")]
    made, expected = (frame.set_index(["model", "task", "seed"]) for frame in frames)
    assert len(made) == len(plan.run_keys())
    assert set(made["status"]) == {"finished"}
    # The GPU's numbers are those of the CPU within seed noise.
    spread = expected.groupby(["model", "task"])["final_psnr"].std().max()
    assert ((made["final_psnr"] - expected["final_psnr"]).abs() < 3 * 2**0.5 * spread).all()
    logs = [path.read_text() for path in (tmp_path / "gpu" / "logs").iterdir()]
    assert len(logs) < len(made)
    assert {f"cuda:{i}" for i in range(count_gpus())} == {
        word for log in logs for word in log.split() if word.startswith("cuda:")
    }


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"workers": 0}, "0 workers train nothing"),
        ({"workers": 1.5}, "1.5 workers train nothing"),
        ({"timeout": 0}, "a timeout of 0 seconds"),
    ],
)
@pytest.mark.skipif(find_spec("ray") is None, reason="the extra `cluster` is not installed")
def test_numbers_that_train_nothing_are_refused(asked: dict[str, Any], why: str) -> None:
    from dipbench.benchmark.executors.local import LocalExecutor
    from dipbench.benchmark.executors.ray import RayExecutor

    for executor in (RayExecutor, LocalExecutor)[: 1 + ("workers" in asked)]:
        with pytest.raises(StoreError, match=why):
            executor(**asked)
