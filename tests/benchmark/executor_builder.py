"""A builder that tests run, and kill: FOLDER and a JSON of what to do.

`executor` (`local` or `ray`), `workers`, `device`, `shard` and `retry_failed`, and for Ray
`address`, `timeout` and `unit_seconds`. With `seconds`, runs are synthetic: their keys alone
determine them, each takes so long and has curves of `length`, and their worker dies as often as
`deadly` says by model; those of `greedy` models do not fit into memory, and those of `bare` ones
need packages that are not there.
"""

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

FOLDER = Path(sys.argv[1])
ASKED = json.loads(sys.argv[2])


def synthetic_run(folder: Path, plan: Any, key: Any, device: str) -> Any:
    import numpy as np

    from dipbench.benchmark.schema import Run
    from dipbench.seeds import generator

    time.sleep(ASKED["seconds"])
    die_if_asked(key.model)
    if key.model in ASKED.get("greedy", ()):
        raise MemoryError("too little memory on cpu for one run")
    if key.model in ASKED.get("bare", ()):
        from dipbench.errors import MissingExtraError

        raise MissingExtraError("train", "training")
    draw = generator("synthetic", *key)
    names = ("loss", "psnr", "psnr_smooth")
    curves = {name: draw.random(ASKED.get("length", 50), dtype=np.float32) for name in names}
    return Run(key, "finished", "", curves, {"seconds": time.time()})


def die_if_asked(model: str) -> None:
    times = ASKED.get("deadly", {}).get(model, 0)
    deaths = FOLDER / f"deaths-{hashlib.sha256(model.encode()).hexdigest()[:8]}"
    if len(deaths.read_bytes() if deaths.exists() else b"") < times:
        with deaths.open("ab") as file:
            file.write(b"x")
        os.kill(os.getpid(), signal.SIGKILL)


def synthetic_unit(folder: Path, plan: Any, keys: Any, device: str) -> Any:
    from dipbench.benchmark import training

    training.train_run = synthetic_run
    return training.train_unit(folder, plan, keys, device)


def make_executor() -> Any:
    workers, device = ASKED.get("workers", 2), ASKED.get("device", "cpu")
    if ASKED["executor"] == "local":
        from dipbench.benchmark.executors.local import LocalExecutor

        return LocalExecutor(workers, device)
    from dipbench.benchmark.executors.ray import RayExecutor

    more = {"work": synthetic_unit} if "seconds" in ASKED else {}
    return RayExecutor(
        ASKED.get("address"),
        workers,
        device,
        ASKED.get("timeout"),
        unit_seconds=ASKED.get("unit_seconds", 0.5),
        **more,
    )


# Workers of the local executor import this file, and so train as it says.
if "seconds" in ASKED and ASKED["executor"] == "local":
    from dipbench.benchmark import training

    training.train_run = synthetic_run

if __name__ == "__main__":
    from dipbench.benchmark.building import Shard, build
    from dipbench.errors import DipbenchError

    try:
        build(
            FOLDER,
            make_executor(),
            shard=Shard.parse(ASKED.get("shard", "1/1")),
            retry_failed=ASKED.get("retry_failed", False),
            on_run=lambda key, status: print(status, key, flush=True),
        )
    except DipbenchError as error:
        sys.exit(str(error))
