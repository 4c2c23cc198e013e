"""A builder on a Ray of logical GPUs, for a machine without any: FOLDER, GPUS, FRACTION.

Runs are trained on the CPU; each unit notes which GPU it was given, and from when to when.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

FOLDER, GPUS, FRACTION = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
CPUS = 8


def noting(folder: Path, plan: Any, keys: Any, device: str) -> Any:
    import ray

    from dipbench.benchmark.training import train_unit

    (gpu,) = ray.get_runtime_context().get_accelerator_ids()["GPU"]
    began = time.time()
    made = train_unit(folder, plan, keys, "cpu")
    time.sleep(0.5)  # so that workers that could be at work side by side are
    line = {"gpu": gpu, "asked": device, "began": began, "ended": time.time(), "runs": len(keys)}
    with (folder / "units.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    return made


def main() -> None:
    from dipbench.benchmark.building import build
    from dipbench.benchmark.executors import ray as executor
    from dipbench.benchmark.executors.ray_cluster import ray
    from dipbench.benchmark.executors.ray_gpus import Share

    resources = {"num_cpus": CPUS, "num_gpus": GPUS}
    ray.init("local", **resources, include_dashboard=False, log_to_driver=False)
    # What a run takes is measured on a GPU, which there is none of here.
    executor.share_of_gpu = lambda *given: Share(FRACTION, together=2)
    build(FOLDER, executor.RayExecutor(device="auto", work=noting, unit_seconds=0))


if __name__ == "__main__":
    main()
