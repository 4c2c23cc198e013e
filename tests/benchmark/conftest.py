"""Benchmarks made of synthetic runs, and plans small enough to be trained."""

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dipbench.benchmark import Benchmark
from dipbench.benchmark.merging import merge
from dipbench.benchmark.parts import write_part
from dipbench.benchmark.plan import Plan, freeze_plan, make_plan
from dipbench.benchmark.schema import Run, RunKey
from dipbench.benchmark.store import MANIFEST, PARTS, Manifest, read_manifest
from dipbench.data import Image, load_image
from dipbench.evaluate.protocol import Rule, get_protocol
from dipbench.genotypes import ISNAS522

CHEAP = (49, 273, 124)
"""Genotypes of the 522 with the fewest multiply-accumulates."""


@pytest.fixture(scope="session")
def models() -> list[str]:
    """Text forms of genotypes, in genotype order."""
    return [str(genotype) for genotype in sorted(ISNAS522)[::40]]


@pytest.fixture(scope="session")
def camera() -> Image:
    return load_image("camera", size=64)


@pytest.fixture
def mount_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A function that mounts a disk of a size, such as `"2m"`, until the test ends."""
    with ExitStack() as stack:

        def mount(size: str) -> Path:
            disk = tmp_path / "disk"
            disk.mkdir()
            command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
            if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
                pytest.skip("mounting a disk needs root")
            # Lazily: a file that a reader has mapped, and a collector has not found, keeps it busy.
            stack.callback(subprocess.run, ["umount", "--lazy", str(disk)], check=True)
            return disk

        yield mount


def make_run(
    model: str,
    image: str = "camera",
    task: str = "denoising-25",
    seed: int | None = 0,
    psnr: Sequence[float] = (20.0, 22.0, 21.0),
    status: str = "finished",
    **facts: Any,
) -> Run:
    """A run with these curves; the smoothed one lies 1 dB below the raw one."""
    raw = np.array(psnr, np.float32)
    curves = {"loss": 10 ** (-raw / 10), "psnr": raw, "psnr_smooth": raw - 1} if len(raw) else {}
    reason = "" if status == "finished" else f"it {status}"
    return Run(RunKey(model, image, task, seed), status, reason, curves, facts)


@pytest.fixture(scope="session", name="make_run")
def _make_run() -> Callable[..., Run]:
    return make_run


def blank_manifest(runs: Sequence[Run]) -> Manifest:
    return Manifest(
        name="synthetic",
        generation=0,
        protocol=get_protocol("quick").to_record(),
        tasks=tuple(sorted({run.key.task for run in runs})),
        images={run.key.image: "0" * 64 for run in runs},
        observation_seed=0,
        environment={},
        content_sha256="",
        files={},
    )


@pytest.fixture(scope="session")
def add_runs() -> Callable[..., Manifest]:
    """Merge runs into a folder, one part for each `per_part` of them."""

    def add(folder: Path, runs: Sequence[Run], per_part: int = 3) -> Manifest:
        for start in range(0, len(runs), per_part):
            write_part(folder / PARTS, runs[start : start + per_part])
        known = read_manifest(folder) if (folder / MANIFEST).is_file() else blank_manifest(runs)
        return merge(folder, known, [], {})

    return add


@pytest.fixture
def make_bench(tmp_path: Path, add_runs: Callable[..., Manifest]) -> Callable[..., Benchmark]:
    """A benchmark of these runs."""

    def make(runs: Sequence[Run], per_part: int = 3) -> Benchmark:
        folder = tmp_path / f"store-{len(list(tmp_path.iterdir()))}"
        add_runs(folder, runs, per_part)
        return Benchmark(folder)

    return make


@pytest.fixture
def frozen_plan(camera: Image) -> Callable[..., Plan]:
    """Freeze a plan of cheap models and few iterations into a folder."""

    def freeze(
        folder: Path,
        models: Sequence[Any] = CHEAP[:2],
        tasks: Sequence[str] = ("denoising-25",),
        seeds: Sequence[int] = (0,),
        iterations: int = 2,
        stop: Rule | None = None,
        **more: Any,
    ) -> Plan:
        protocol = get_protocol("quick").with_iterations(iterations).replace(stop=stop)
        names = [str(ISNAS522[model]) if isinstance(model, int) else model for model in models]
        plan = make_plan("small", names, [camera], tasks, seeds, protocol, **more)
        folder.mkdir(exist_ok=True)
        freeze_plan(folder, plan, [camera])
        return plan

    return freeze
