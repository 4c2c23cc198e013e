"""How workers on a Ray cluster share its GPUs."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dipbench.benchmark import Benchmark
from dipbench.benchmark.plan import Plan
from dipbench.evaluate.gpus import CONTEXT_BYTES, MemoryUse

HERE = Path(__file__).parent

CHEAPEST = 49
"""The genotype of the 522 with the fewest multiply-accumulates."""

Freeze = Callable[..., Plan]

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")


@given(run=st.integers(10**7, 10**11), total=st.integers(4 * 10**9, 2 * 10**11))
def test_workers_and_their_runs_fit_into_a_gpu(run: int, total: int) -> None:
    from dipbench.benchmark.executors.ray_gpus import share_gpu

    share = share_gpu(MemoryUse(CONTEXT_BYTES + run, total), most=16)
    workers = int(1 / share.fraction + 1e-3)
    assert workers * share.fraction <= 1
    assert 1 <= share.together <= 16
    taken = workers * (CONTEXT_BYTES + share.together * run)
    if workers > 1:
        assert taken <= 0.9 * total
        assert share.together == 16, "a second worker comes only once the first has all it can use"
    elif share.together > 1:
        assert taken <= 0.9 * total
    more = run if share.together < 16 else CONTEXT_BYTES + 16 * run
    assert taken + more > 0.9 * total or workers == 64, "another one would fit"


@pytest.mark.slow
def test_units_share_gpus_by_their_fraction(tmp_path: Path, frozen_plan: Freeze) -> None:
    gpus = 2
    folder = tmp_path / "store"
    frozen_plan(folder, (CHEAPEST,), seeds=range(6 * gpus))
    command = [sys.executable, str(HERE / "gpu_builder.py"), str(folder), str(gpus), "0.5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    units = [json.loads(line) for line in (folder / "units.jsonl").read_text().splitlines()]
    assert {unit["asked"] for unit in units} == {"cuda"}
    assert max(unit["runs"] for unit in units) == 2
    for gpu in range(gpus):
        own = [unit for unit in units if int(unit["gpu"]) == gpu]
        side_by_side = [
            sum(other["began"] <= unit["began"] < other["ended"] for other in own) for unit in own
        ]
        assert max(side_by_side) == 2
    assert set(Benchmark(folder).to_frame()["status"]) == {"finished"}


@pytest.mark.cuda
def test_a_gpu_of_rays_makes_the_runs_of_a_plan(tmp_path: Path, frozen_plan: Freeze) -> None:
    plan = frozen_plan(tmp_path / "store", ("deep-decoder",), seeds=range(4), iterations=10)
    asked = json.dumps({"executor": "ray", "workers": None, "device": "cuda"})
    command = [sys.executable, str(HERE / "executor_builder.py"), str(tmp_path / "store"), asked]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, env=os.environ)
    assert done.returncode == 0, done.stderr
    frame = Benchmark(tmp_path / "store").to_frame()
    assert len(frame) == len(plan.run_keys())
    assert set(frame["status"]) == {"finished"}
