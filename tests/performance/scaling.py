"""Measure what the Ray executor costs, with units that sleep instead of training.

Prints, for each number of workers, the efficiency (time slept over wall time x workers) and the
overhead of a unit (its wall time beyond what it slept), then how fast one builder hands out units
and takes them back, and the size of a part. Workers are spread over raylets of this machine that
each claim 16 CPUs; docs/scaling.md says what follows for a large cluster.

    OMP_NUM_THREADS=1 python tests/performance/scaling.py --seconds 3 --units 16
"""

import argparse
import os
import platform
import shutil
import tempfile
import time
from pathlib import Path

os.environ |= {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_worker_niceness": "0",
}

import numpy as np
import ray
from ray.cluster_utils import Cluster

from dipbench.benchmark.executors import Outcome, Unit
from dipbench.benchmark.executors.ray import RayExecutor
from dipbench.benchmark.executors.ray_worker import Work
from dipbench.benchmark.parts import write_part
from dipbench.benchmark.plan import Plan, freeze_plan, make_plan
from dipbench.benchmark.schema import Run, RunKey
from dipbench.benchmark.store import PARTS
from dipbench.data import load_images
from dipbench.evaluate.protocol import get_protocol

CPUS_PER_RAYLET = 16
KINDS = ("loss", "psnr_observed", "variance", "psnr", "psnr_smooth")
ITERATIONS = 4000
EMPTY = 200


def synthetic_run(key: RunKey, iterations: int) -> Run:
    random = np.random.default_rng(0)
    curves = {kind: random.random(iterations, dtype=np.float32) for kind in KINDS}
    return Run(key, "finished", "", curves)


def sleeping(seconds: float) -> Work:
    """Work that sleeps so long a run, and publishes a part of curves as long as real ones."""

    def work(folder: Path, plan: Plan, keys: tuple[RunKey, ...], device: str) -> Outcome:
        time.sleep(seconds * len(keys))
        write_part(folder / PARTS, [synthetic_run(key, ITERATIONS) for key in keys])
        return [(key, "finished") for key in keys]

    return work


def measure(folder: Path, workers: int, seconds: float, per_worker: int) -> tuple[float, float]:
    """Wall seconds from the first unit's start to the last one's end, and of all but the first.

    The second begins when each worker has made a unit: the first one loads what it needs.
    """
    folder.mkdir()
    images = load_images("camera", size=64)
    protocol = get_protocol("quick").with_iterations(3)
    seeds = range(workers * per_worker)
    plan = make_plan("sleep", ["deep-decoder"], images, ["denoising"], seeds, protocol)
    freeze_plan(folder, plan, images)
    executor = RayExecutor(workers=workers, device="cpu", work=sleeping(seconds), unit_seconds=0)
    units = [Unit((key,)) for key in plan.run_keys()]
    times = [time.perf_counter() for _ in executor.run(folder, plan, units)]
    assert len(times) == len(units)
    shutil.rmtree(folder)
    return times[-1] - times[0] + seconds, times[-1] - times[workers - 1]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--workers", default="1,2,4,8,16,32,64")
    parser.add_argument("--units", type=int, default=12, help="of each worker")
    asked = parser.parse_args()
    counts = [int(count) for count in asked.workers.split(",")]
    home = Path(tempfile.mkdtemp())
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 80_000_000}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(-(-max(counts) // CPUS_PER_RAYLET)):
        cluster.add_node(num_cpus=CPUS_PER_RAYLET, object_store_memory=80_000_000)
    ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, Ray {ray.__version__}")
    print("overhead in ms a unit: of all, and without each worker's first")
    print(f"{'workers':>7} {'wall s':>7} {'efficiency':>10} {'overhead':>9} {'later':>7}")
    for count in counts:
        wall, later = measure(home / str(count), count, asked.seconds, asked.units)
        overhead = 1000 * (wall / asked.units - asked.seconds)
        warm = 1000 * (later / (asked.units - 1) - asked.seconds)
        efficiency = asked.seconds * asked.units / wall
        line = f"{count:>7} {wall:>7.1f} {efficiency:>10.3f} {overhead:>9.1f} {warm:>7.1f}"
        print(line, flush=True)
    for count in (1, 2):
        _, wall = measure(home / f"empty-{count}", count, 0.0, EMPTY)
        each = 1000 * wall / (count * (EMPTY - 1))
        print(f"no sleep, {count} workers: a unit every {each:.1f} ms")
    run = synthetic_run(RunKey("deep-decoder", "camera", "denoising-25", 0), ITERATIONS)
    size = write_part(home, [run]).stat().st_size
    print(f"a part of one run of {ITERATIONS} iterations: {size / 1000:.1f} kB")
    ray.shutdown()
    cluster.shutdown()
    shutil.rmtree(home)


if __name__ == "__main__":
    main()
