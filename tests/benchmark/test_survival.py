"""What a build survives: kills of the builder and of workers, full disks, other builders."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dipbench.benchmark import Benchmark
from dipbench.benchmark.building import finish, read_progress
from dipbench.benchmark.executors import MEMORY
from dipbench.benchmark.locking import Builder, builder_lock, builders
from dipbench.benchmark.merging import Generation
from dipbench.benchmark.parts import finished_keys, list_parts
from dipbench.benchmark.plan import Plan
from dipbench.benchmark.store import PARTS, read_manifest
from dipbench.errors import StoreError
from dipbench.genotypes import sample

SCRIPT = Path(__file__).parent / "executor_builder.py"
REAL = """
import sys
from pathlib import Path
from dipbench.benchmark.building import build
from dipbench.benchmark.executors.local import LocalExecutor
if __name__ == "__main__":
    build(Path(sys.argv[1]), LocalExecutor(int(sys.argv[2]), "cpu"),
          on_run=lambda key, status: print(status, flush=True))
"""

Freeze = Callable[..., Plan]


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start synthetic builders, and end them with the test."""
    processes: list[subprocess.Popen[str]] = []

    def start(folder: Path, **asked: Any) -> subprocess.Popen[str]:
        given = json.dumps({"executor": "local", "seconds": 0, **asked})
        command = [sys.executable, str(SCRIPT), str(folder), given]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


Started = Callable[..., "subprocess.Popen[str]"]


def random_models(count: int) -> list[str]:
    return [str(genotype) for genotype in sample(count, seed=3)]


def read_lines(builder: "subprocess.Popen[str]", count: int) -> None:
    assert builder.stdout is not None
    for _ in range(count):
        builder.stdout.readline()


def workers_of(builder: int) -> list[int]:
    try:
        text = Path(f"/proc/{builder}/task/{builder}/children").read_text()
        commands = {int(pid): Path(f"/proc/{pid}/cmdline").read_text() for pid in text.split()}
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [pid for pid, command in commands.items() if "spawn_main" in command]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def keys_of(folder: Path) -> list[str]:
    return sorted(str(key) for key, _ in Generation(folder).entries)


def equal_runs(one: Path, other: Path) -> bool:
    first, second = Generation(one), Generation(other)
    return [key for key, _ in first.entries] == [key for key, _ in second.entries] and all(
        np.array_equal(first.run(key).curves[kind], second.run(key).curves[kind])
        for key, _ in first.entries
        for kind in ("loss", "psnr", "psnr_smooth")
    )


def test_a_builder_killed_again_and_again_ends_with_the_planned_runs(
    tmp_path: Path, frozen_plan: Freeze, started: Started
) -> None:
    plan = frozen_plan(tmp_path / "killed", random_models(30), ("denoising-25", "sr-4"), (0, 1))
    frozen_plan(tmp_path / "calm", random_models(30), ("denoising-25", "sr-4"), (0, 1))
    draw, kills, progress = random.Random(5), 0, []
    while kills < 8:
        builder = started(tmp_path / "killed", seconds=0.1)
        if kills % 2:
            time.sleep(draw.uniform(0.1, 2))
        else:
            read_lines(builder, draw.randint(1, 8))
            time.sleep(draw.uniform(0, 0.2))
        workers = workers_of(builder.pid)
        builder.kill()
        if builder.wait() == -signal.SIGKILL:
            kills += 1
        assert wait_for(lambda pids=workers: not any(map(alive, pids)), 10), "workers live on"
        progress.append(read_progress(tmp_path / "killed").done)
    assert progress == sorted(progress), "a finished run was lost"
    assert progress[-1] > 0
    last = started(tmp_path / "killed", seconds=0)
    assert last.wait(60) == 0
    assert started(tmp_path / "calm", seconds=0).wait(60) == 0
    assert keys_of(tmp_path / "killed") == sorted(map(str, plan.run_keys()))
    assert equal_runs(tmp_path / "killed", tmp_path / "calm")
    content = [read_manifest(tmp_path / name).content_sha256 for name in ("killed", "calm")]
    assert content[0] == content[1]
    assert list_parts(tmp_path / "killed" / PARTS) == []
    assert not list((tmp_path / "killed" / PARTS).glob("*.corrupt"))


@pytest.mark.slow
def test_a_killed_builder_that_trains(tmp_path: Path, frozen_plan: Freeze) -> None:
    for name in ("killed", "calm"):
        frozen_plan(tmp_path / name, (49, 273, 124), ("denoising-25", "sr-4"), (0, 1))
    (tmp_path / "real.py").write_text(REAL)
    command = [sys.executable, str(tmp_path / "real.py")]
    draw, kills = random.Random(6), 0
    while kills < 10:
        builder = subprocess.Popen([*command, str(tmp_path / "killed"), "2"])
        time.sleep(draw.uniform(0.5, 6))
        builder.kill()
        kills += builder.wait() == -signal.SIGKILL
    for name, workers in [("killed", "2"), ("calm", "1")]:
        subprocess.run([*command, str(tmp_path / name), workers], check=True)
    assert equal_runs(tmp_path / "killed", tmp_path / "calm")
    assert len(keys_of(tmp_path / "killed")) == 12


# Workers


@pytest.mark.parametrize("own", [None, "glibc.malloc.trim_threshold=0"])
def test_workers_keep_the_memory_that_they_free_unless_told_otherwise(
    own: str | None,
    tmp_path: Path,
    frozen_plan: Freeze,
    started: Started,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if own is not None:
        monkeypatch.setenv("GLIBC_TUNABLES", own)
    frozen_plan(tmp_path / "store", random_models(1))
    builder = started(tmp_path / "store", seconds=60)
    assert wait_for(lambda: bool(workers_of(builder.pid)))
    (worker,) = workers_of(builder.pid)
    # As the C library reads them, it cuts them apart where they stand.
    given = Path(f"/proc/{worker}/environ").read_text().replace(":", "\0")
    tunables = (own or MEMORY["GLIBC_TUNABLES"]).replace(":", "\0")
    assert f"GLIBC_TUNABLES={tunables}\0" in given


def test_a_killed_worker_loses_nothing(
    tmp_path: Path, frozen_plan: Freeze, started: Started
) -> None:
    plan = frozen_plan(tmp_path / "store", random_models(20))
    builder = started(tmp_path / "store", seconds=0.1)
    for _ in range(4):
        read_lines(builder, 1)
        assert wait_for(lambda: bool(workers_of(builder.pid)))
        os.kill(workers_of(builder.pid)[0], signal.SIGKILL)
    assert builder.wait(60) == 0
    assert keys_of(tmp_path / "store") == sorted(map(str, plan.run_keys()))
    assert {status for _, status in Generation(tmp_path / "store").entries} == {"finished"}


def test_a_unit_whose_worker_dies_three_times_is_recorded_as_failed(
    tmp_path: Path, frozen_plan: Freeze, started: Started
) -> None:
    models = random_models(5)
    frozen_plan(tmp_path / "store", models)
    deadly = {models[0]: 2, models[1]: 3}
    assert started(tmp_path / "store", deadly=deadly).wait(60) == 0
    frame = Benchmark(tmp_path / "store").to_frame().set_index("model")
    assert frame["status"].to_dict() == {
        model: "failed" if model == models[1] else "finished" for model in models
    }
    assert frame["reason"][models[1]] == "lost 3 times: its worker died (out of memory?)"
    # It is left alone until asked for, and then it is replaced.
    assert started(tmp_path / "store").communicate()[0] == ""
    again = started(tmp_path / "store", retry_failed=True)
    assert [line.split()[0] for line in again.communicate()[0].splitlines()] == ["finished"]
    assert set(Benchmark(tmp_path / "store").to_frame()["status"]) == {"finished"}


# Locks


def test_a_second_builder_is_refused_and_told_by_whom(
    tmp_path: Path, frozen_plan: Freeze, started: Started
) -> None:
    frozen_plan(tmp_path / "store", random_models(6))
    first = started(tmp_path / "store", seconds=60, shard="1/6")
    assert wait_for(lambda: bool(builders(tmp_path / "store")))
    second = started(tmp_path / "store", shard="1/6")
    error = second.communicate()[1].strip()
    assert second.returncode == 1
    assert f"is being built by process {first.pid} on {os.uname().nodename}" in error
    assert "\n" not in error
    assert [b.process for b in builders(tmp_path / "store")] == [first.pid]
    # Another shard is another builder, unless it has runs of the first.
    whole = started(tmp_path / "store")
    assert "shard 1/6 is being built, which has runs of 1/1 too" in whole.communicate()[1]
    other = started(tmp_path / "store", shard="6/6")
    assert other.wait(60) == 0
    first.kill()
    first.wait()
    assert started(tmp_path / "store", shard="1/6").wait(60) == 0
    assert builders(tmp_path / "store") == []


def test_a_lock_shows_a_heartbeat_and_is_given_back(tmp_path: Path) -> None:
    with builder_lock(tmp_path, "2of3"):
        assert wait_for(lambda: bool(builders(tmp_path)))
        (found,) = builders(tmp_path)
        assert (found.shard, found.process) == ("2of3", os.getpid())
        assert found.since <= found.seen <= time.time()
        with pytest.raises(StoreError, match=f"process {os.getpid()} on"):
            builder_lock(tmp_path, "2of3").__enter__()
    assert builders(tmp_path) == []
    with builder_lock(tmp_path, "2of3"):
        pass
    (tmp_path / "builders" / "torn.json").write_text("{")
    assert builders(tmp_path) == []
    assert Builder("1of1", "host", 1, 0.0, 0.0).process == 1


# A full disk


@pytest.fixture
def small_disk(mount_disk: Callable[[str], Path]) -> Path:
    """A disk of 2 MB."""
    return mount_disk("2m")


def enlarge(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)


def one_line(builder: "subprocess.Popen[str]") -> str:
    error = builder.communicate(timeout=60)[1].strip()
    assert builder.returncode == 1, error
    assert "\n" not in error, error
    return error


@pytest.mark.parametrize(("length", "during"), [(20_000, "training"), (9_000, "finishing")])
def test_a_full_disk_loses_nothing(
    small_disk: Path, frozen_plan: Freeze, started: Started, length: int, during: str
) -> None:
    # A run of three incompressible curves takes 12 bytes an iteration, in its part and merged.
    folder = small_disk / "store"
    plan = frozen_plan(folder, random_models(12))
    error = one_line(started(folder, length=length))
    assert f"cannot write to {folder} (No space left on device): what is finished is kept" in error
    found, damaged = finished_keys(list_parts(folder / PARTS))
    assert damaged == []
    assert (len(found) == 12) == (during == "finishing")
    assert len(found) > 4
    assert not [path for path in folder.rglob("*.tmp") if path.stat().st_size > 100_000]
    enlarge(small_disk)
    assert started(folder, length=length).wait(60) == 0
    assert keys_of(folder) == sorted(map(str, plan.run_keys()))


def test_a_full_disk_leaves_the_generation_before_readable(
    small_disk: Path, frozen_plan: Freeze, started: Started
) -> None:
    folder = small_disk / "store"
    frozen_plan(folder, random_models(12))
    # Half of the runs fit twice, as parts and merged; the other half does not.
    assert started(folder, length=8_500, shard="1/2").wait(60) == 0
    finish(folder)
    before = read_manifest(folder)
    one_line(started(folder, length=8_500))
    assert read_manifest(folder) == before
    bench = Benchmark(folder)
    assert len(bench.to_frame()) == 6
    assert bench.curve(bench.models[0], "camera", "denoising").shape == (8_500,)
    enlarge(small_disk)
    assert started(folder, length=8_500).wait(60) == 0
    assert len(Benchmark(folder).to_frame()) == 12


def test_a_plan_that_does_not_fit_is_one_error(small_disk: Path, frozen_plan: Freeze) -> None:
    (small_disk / "filling").write_bytes(b"x" * (2 * 1024 * 1024 - 4096))
    with pytest.raises(StoreError, match="No space left on device"):
        frozen_plan(small_disk / "store")
