"""Faults injected into builds on a Ray cluster: what is resumed equals what was never disturbed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from dipbench.benchmark import Benchmark
from dipbench.benchmark.building import finish
from dipbench.benchmark.plan import Plan
from dipbench.benchmark.roster import read_sheets
from dipbench.benchmark.store import read_manifest
from dipbench.benchmark.training import train_unit

HERE = Path(__file__).parent
RAYLETS = 2
SYNTHETIC = {"seconds": 0.2, "timeout": 2.0}
TRAININGS = {"timeout": 30.0}
"""What a builder is asked for: runs that only sleep, or trainings, and when they are given up."""

FAULTS = ("worker", "replaced raylet", "driver", "full disk", "read-only", "stopped worker")
CHEAPEST = 49
"""The genotype of the 522 with the fewest multiply-accumulates: an identity after resizing."""

A_FEW = ("worker", "stopped worker", "driver", "read-only")

Freeze = Callable[..., Plan]

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")


class Site:
    """A cluster, a small disk with a benchmark on it, and a builder that is started again."""

    def __init__(self, disk: Path) -> None:
        self.folder = disk / "store"
        self._disk = disk
        command = [sys.executable, str(HERE / "cluster_process.py"), str(RAYLETS)]
        pipe = subprocess.PIPE
        self._cluster = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self.address = self._answer()
        self.builder: subprocess.Popen[str] | None = None
        self.survived: list[str] = []

    def build(self, **asked: object) -> None:
        """Start a builder unless one is at work."""
        if self.builder is None or self.builder.poll() is not None:
            more = {"executor": "ray", "address": self.address, "retry_failed": True}
            self.builder = start_builder(self.folder, {**more, **asked})

    def suffer(
        self, faults: Sequence[str], draw: random.Random, up_to: int = 5, **asked: object
    ) -> None:
        """Build, and let faults happen, each after one to so many runs; a build is resumed."""
        for fault in faults:
            while True:
                self.build(**asked)
                if self.wait_for_runs(draw.randint(1, up_to)):
                    break
                assert self.builder is not None
                assert self.builder.wait(60) == 1, "all runs are made before all faults happened"
            self.inject(fault)
        assert sorted(self.survived) == sorted(faults)
        assert not (self.folder / "benchmark.json").exists(), "the faults came too late"

    def wait_for_runs(self, count: int) -> bool:
        """Wait until the builder tells of so many runs; False if it ended before."""
        assert self.builder is not None
        assert self.builder.stdout is not None
        for _ in range(count):
            told = self.builder.stdout.readline()
            if not told:
                return False
            assert told.startswith("finished"), told
        return True

    def inject(self, fault: str) -> None:
        """Let one fault happen while the build is under way."""
        getattr(self, "_" + fault.replace(" ", "_").replace("-", "_"))()
        self.survived.append(fault)

    def end(self) -> None:
        if self.builder is not None:
            self.builder.kill()
            self.builder.communicate()
        self._cluster.communicate("end\n", timeout=60)

    def _answer(self) -> str:
        assert self._cluster.stdout is not None
        return self._cluster.stdout.readline().strip()

    def _ask(self, line: str) -> None:
        assert self._cluster.stdin is not None
        self._cluster.stdin.write(line + "\n")
        self._cluster.stdin.flush()
        assert self._answer() == "done"

    def _busy_worker(self) -> int:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            for sheet in read_sheets(self.folder):
                for worker in sheet.workers:
                    living = Path(f"/proc/{worker.process}").exists()
                    if worker.unit is not None and living and sheet.process == self.builder.pid:
                        return worker.process
            time.sleep(0.1)
        raise AssertionError("no worker is at work")

    def _worker(self) -> None:
        os.kill(self._busy_worker(), signal.SIGKILL)

    def _stopped_worker(self) -> None:
        os.kill(self._busy_worker(), signal.SIGSTOP)

    def _raylet(self) -> None:
        self._ask("kill")

    def _replaced_raylet(self) -> None:
        self._raylet()
        self._ask("add")

    def _driver(self) -> None:
        self.builder.kill()
        self.builder.communicate()

    def _full_disk(self) -> None:
        filling = self._disk / "filling"
        with filling.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        self._one_line("No space left on device")
        filling.unlink()

    def _read_only(self) -> None:
        # Laid over the disk, for one with open files cannot be made read-only.
        for options in (["--bind", str(self._disk)], ["-o", "remount,ro,bind"]):
            subprocess.run(["mount", *options, str(self._disk)], check=True)
        try:
            self._one_line("Read-only file system")
        finally:
            subprocess.run(["umount", str(self._disk)], check=True)

    def _one_line(self, expected: str) -> None:
        """A build that cannot write ends by itself and says why."""
        error = self.builder.communicate(timeout=60)[1].strip().splitlines()
        assert self.builder.returncode == 1, error
        assert expected in error[-1], error


def start_builder(folder: Path, asked: dict[str, object]) -> "subprocess.Popen[str]":
    command = [sys.executable, str(HERE / "executor_builder.py"), str(folder), json.dumps(asked)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture
def site(mount_disk: Callable[[str], Path]) -> Iterator[Site]:
    made = Site(mount_disk("24m"))
    yield made
    made.end()


@pytest.fixture
def site_without_disk(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.end()


def same_contents(site: Site, calm: Path) -> bool:
    """Whether the runs of a builder's folder are, bit for bit, those of a calm one."""
    frame = Benchmark(site.folder).to_frame()
    assert set(frame["status"]) == {"finished"}
    contents = {read_manifest(folder).content_sha256 for folder in (site.folder, calm)}
    return len(contents) == 1 and len(frame) == len(Benchmark(calm).to_frame())


@pytest.mark.parametrize(
    ("faults", "seed", "runs"),
    [
        pytest.param(A_FEW, 1, 120, id="a few"),
        pytest.param(
            FAULTS * 5,
            2,
            1500,
            id="thirty",
            marks=[pytest.mark.slow, pytest.mark.timeout(1800)],
        ),
    ],
)
def test_after_faults_the_benchmark_is_the_same(
    faults: tuple[str, ...],
    seed: int,
    runs: int,
    site: Site,
    tmp_path: Path,
    frozen_plan: Freeze,
) -> None:
    for folder in (site.folder, tmp_path / "calm"):
        frozen_plan(folder, ("deep-decoder",), seeds=range(runs))
    draw = random.Random(seed)
    site.suffer(draw.sample(faults, len(faults)), draw, **SYNTHETIC)
    site.build(**SYNTHETIC | {"seconds": 0, "unit_seconds": 60})
    assert site.builder.communicate(timeout=300)[1] == ""
    calm = start_builder(tmp_path / "calm", {"executor": "local", "seconds": 0})
    assert calm.communicate(timeout=300)[1] == ""
    assert same_contents(site, tmp_path / "calm")


# Trainings


def test_trainings_survive_a_lost_worker_and_a_lost_machine(
    site_without_disk: Site, tmp_path: Path, frozen_plan: Freeze
) -> None:
    site = site_without_disk
    for folder in (site.folder, tmp_path / "calm"):
        plan = frozen_plan(folder, (CHEAPEST,), seeds=range(6), iterations=3)
    site.suffer(("raylet", "worker"), random.Random(0), up_to=1, **TRAININGS)
    train_unit(tmp_path / "calm", plan, tuple(plan.run_keys()), "cpu")
    finish(tmp_path / "calm")
    assert site.builder.communicate(timeout=120)[1] == ""
    assert same_contents(site, tmp_path / "calm")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_trainings_survive_every_fault(site: Site, tmp_path: Path, frozen_plan: Freeze) -> None:
    for folder in (site.folder, tmp_path / "calm"):
        frozen_plan(folder, (CHEAPEST,), ("denoising-25", "sr-4"), range(40), iterations=4)
    draw = random.Random(4)
    site.suffer(draw.sample(FAULTS, len(FAULTS)), draw, **TRAININGS)
    site.build(**TRAININGS)
    assert site.builder.communicate(timeout=400)[1] == ""
    calm = start_builder(tmp_path / "calm", {"executor": "local", "workers": 2})
    assert calm.communicate(timeout=400)[1] == ""
    assert same_contents(site, tmp_path / "calm")
