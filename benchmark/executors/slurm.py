"""Scripts for SLURM: Ray across an allocation, or a job array of shards without it."""

import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ...errors import DipbenchError
from . import MEMORY

FORMS = ("ray", "array")
_KEEP_MEMORY = "\n".join(f'export {name}="${{{name}:-{value}}}"' for name, value in MEMORY.items())


@dataclass(frozen=True)
class Allocation:
    """What a job asks SLURM for.

    Attributes:
        form: `ray` for one job across machines, `array` for a job a shard.
        count: machines, or shards.
        cpus: of each machine or shard.
        gpus: of each machine or shard.
        time: the longest that a job may take, as SLURM writes it.
        partition: where it is queued; None for the site's default.
    """

    form: str
    count: int
    cpus: int
    gpus: int = 0
    time: str = "24:00:00"
    partition: str | None = None

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise DipbenchError(f"{self.form!r} is no form of script: choose ray or array")
        if not re.fullmatch(r"(\d+-)?\d+(:\d+){0,2}", self.time):
            raise DipbenchError(f"time {self.time!r} is not SLURM's: write 24:00:00 or 2-12:00:00")
        if self.partition is not None and not re.fullmatch(r"[\w.,-]+", self.partition):
            raise DipbenchError(
                f"partition {self.partition!r} is no name: write gpu, or several like gpu,long"
            )


def sbatch_script(store: Path, allocation: Allocation, train: Sequence[str] = ()) -> str:
    """The text of a script for sbatch that builds a benchmark and resumes it.

    Args:
        store: the benchmark's folder, seen by all machines.
        allocation: what to ask for.
        train: further arguments of `dipbench train`; none where the plan is frozen already. Files
            that they name are found from the current folder, in which the job runs.

    Raises:
        DipbenchError: if the store's path, or with arguments the current folder's, cannot stand in
            a script.

    >>> text = sbatch_script(Path("a-store"), Allocation("array", 8, 4), ["--images", "camera"])
    >>> [line for line in text.splitlines() if "--array" in line]
    ['#SBATCH --array=1-8']
    """
    template = files(__package__) / "templates" / f"{allocation.form}.sh"
    store = store.resolve()
    # Arguments may name files from here, wherever the script is submitted.
    here = [Path.cwd()] if train else []
    for path in (store, *here):
        if not re.fullmatch(r"[\w./+=,:@-]+", str(path)):
            raise DipbenchError(
                f"{path} cannot stand in a SLURM script: choose a path of letters, digits and "
                "._+=,:@-"
            )
    place = [f"--partition={allocation.partition}"] if allocation.partition else []
    chdir = [f"--chdir={path}" for path in here]
    per = "node" if allocation.form == "ray" else "task"
    gpus = [f"--gpus-per-{per}={allocation.gpus}"] if allocation.gpus else []
    values = {
        "NAME": re.sub(r"[^\w.-]", "-", f"dipbench-{store.name}"),
        "NODES": allocation.count,
        "SHARDS": allocation.count,
        "CPUS": allocation.cpus,
        "GPUS": allocation.gpus,
        "TIME": allocation.time,
        "DEVICE": "cuda" if allocation.gpus else "cpu",
        "MEMORY": "" if allocation.gpus else _KEEP_MEMORY,
        "MORE": "\n".join(f"#SBATCH {option}" for option in [*chdir, *place, *gpus]),
        "PLACE": " ".join(place),
        "PATH": shlex.quote(str(Path(sys.executable).parent)),
        "STORE": store,
        "TRAIN": shlex.join(train),
    }
    text = template.read_text(encoding="utf-8")
    return re.sub(r" ?@([A-Z]+)@", lambda found: _filled(found, values), text)


def _filled(found: re.Match[str], values: dict[str, object]) -> str:
    """The value of a placeholder; the space before an empty one goes with it."""
    value = str(values[found[1]])
    return found[0].partition("@")[0] + value if value else ""
