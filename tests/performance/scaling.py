"""Measure what the Ray executor costs, with units that sleep instead of training.

Prints, for each number of workers: the seconds from the start of the build to that of its first
unit, when all workers are there and checked; what the first unit of a worker takes beyond its sleep
(the worker loads what it needs), and what a later one takes, from its start to the next one's; the
efficiency (time slept over wall time x workers) from the first unit's start to the last one's end.
Then how fast one builder hands out units and takes them back, and the size of a part. Workers are
spread over raylets of this machine that each claim 16 CPUs; docs/scaling.md says what follows for a
large cluster.

    OMP_NUM_THREADS=1 python tests/performance/scaling.py --seconds 3 --units 16
"""

import argparse
import os
import platform
import shutil
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
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
from dipbench.benchmark.parts import list_parts, read_part, write_part
from dipbench.benchmark.plan import Plan, freeze_plan, make_plan
from dipbench.benchmark.schema import Run, RunKey
from dipbench.benchmark.store import PARTS
from dipbench.data import load_images
from dipbench.evaluate.protocol import get_protocol

CPUS_PER_RAYLET = 16
KINDS = ("loss", "psnr_observed", "variance", "psnr", "psnr_smooth")
ITERATIONS = 4000
EMPTY = 200


@dataclass(frozen=True)
class Cost:
    """What a build took beyond its sleep: seconds, and milliseconds a unit."""

    start_up: float
    first: float
    later: float
    worst: float
    efficiency: float
    wall: float


def synthetic_run(key: RunKey, iterations: int, began: float = 0.0) -> Run:
    random = np.random.default_rng(0)
    curves = {kind: random.random(iterations, dtype=np.float32) for kind in KINDS}
    # Where a run says how long it took, when it began; for its device, its worker.
    return Run(key, "finished", "", curves, {"seconds": began, "device": str(os.getpid())})


def sleeping(seconds: float) -> Work:
    """Work that sleeps so long a run, and publishes a part of curves as long as real ones."""

    def work(folder: Path, plan: Plan, keys: tuple[RunKey, ...], device: str) -> Outcome:
        began = time.time()
        time.sleep(seconds * len(keys))
        write_part(folder / PARTS, [synthetic_run(key, ITERATIONS, began) for key in keys])
        return [(key, "finished") for key in keys]

    return work


def measure(folder: Path, workers: int, seconds: float, per_worker: int) -> Cost:
    """Build with so many workers, each with so many units on average."""
    folder.mkdir()
    images = load_images("camera", size=64)
    protocol = get_protocol("quick").with_iterations(3)
    seeds = range(workers * per_worker)
    plan = make_plan("sleep", ["deep-decoder"], images, ["denoising"], seeds, protocol)
    freeze_plan(folder, plan, images)
    executor = RayExecutor(workers=workers, device="cpu", work=sleeping(seconds), unit_seconds=0)
    units = [Unit((key,)) for key in plan.run_keys()]
    called = time.time()
    ends = [time.time() for outcome in executor.run(folder, plan, units) for _ in outcome]
    assert len(ends) == len(units)
    starts = defaultdict(list)
    for part in list_parts(folder / PARTS):
        for run in read_part(part):
            starts[run.facts["device"]].append(run.facts["seconds"])
    shutil.rmtree(folder)
    gaps = [np.diff(sorted(times)) - seconds for times in starts.values()]
    first = [own[0] for own in gaps if len(own)]
    later = np.concatenate([own[1:] for own in gaps])
    began = min(map(min, starts.values()))
    return Cost(
        start_up=began - called,
        first=1000 * float(np.mean(first)),
        later=1000 * float(np.mean(later)),
        worst=1000 * float(np.quantile(later, 0.95)),
        efficiency=seconds * len(units) / (workers * (ends[-1] - began)),
        wall=ends[-1] - began,
    )


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
    print("overhead of a unit in ms: a worker's first, later ones, their 95 % quantile")
    print("workers  start-up s  first  later    95 %  efficiency")
    for count in counts:
        cost = measure(home / str(count), count, asked.seconds, asked.units)
        line = f"{count:>7}  {cost.start_up:>10.1f}  {cost.first:>5.0f}  {cost.later:>5.1f}"
        print(f"{line}  {cost.worst:>6.1f}  {cost.efficiency:>10.3f}", flush=True)
    for count in (1, 2):
        cost = measure(home / f"empty-{count}", count, 0.0, EMPTY)
        each = 1000 * cost.wall / (count * EMPTY)
        print(f"no sleep, {count} workers: a unit every {each:.1f} ms")
    run = synthetic_run(RunKey("deep-decoder", "camera", "denoising-25", 0), ITERATIONS)
    size = write_part(home, [run]).stat().st_size
    print(f"a part of one run of {ITERATIONS} iterations: {size / 1000:.1f} kB")
    ray.shutdown()
    cluster.shutdown()
    shutil.rmtree(home)


if __name__ == "__main__":
    main()
