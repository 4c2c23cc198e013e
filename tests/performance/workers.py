"""Milliseconds an iteration in workers that keep the memory that they free, and that do not.

    python tests/performance/workers.py --models 97 46 --sizes 64 --rounds 5

Every run is trained by a worker of the local executor, started for it alone; the two kinds take
turns. Those that give memory back are told so by a `GLIBC_TUNABLES` of one's own (with the default
of glibc), which the executor leaves as it is. The ratio is the median of the rounds' ratios.
"""

import argparse
import os
import platform
import statistics
import tempfile
from pathlib import Path

from loops import LABEL, label, machine

from dipbench.benchmark.executors import Unit
from dipbench.benchmark.executors.local import LocalExecutor
from dipbench.benchmark.parts import list_parts, read_part
from dipbench.benchmark.plan import freeze_plan, make_plan
from dipbench.benchmark.store import PARTS
from dipbench.data import load_images
from dipbench.evaluate.devices import resolve_device
from dipbench.evaluate.protocol import Protocol, get_protocol
from dipbench.genotypes import ISNAS522

WAYS: dict[str, dict[str, str]] = {
    "given back": {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"},
    "kept": {},
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=int, nargs="+", default=[97, 24, 46, 12])
    parser.add_argument("--sizes", type=int, nargs="+", default=[64])
    parser.add_argument("--precision", choices=["float32", "bf16"], default="bf16")
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    os.environ.pop("GLIBC_TUNABLES", None)
    print(
        f"{machine(resolve_device('cpu'))}, {' '.join(platform.libc_ver())}, {options.precision},"
    )
    print(f"{options.rounds} rounds; ms an iteration")
    print(f"side {'model':{LABEL}s}{''.join(f'{way:>12s}' for way in WAYS)}   ratio")
    for size in options.sizes:
        protocol = get_protocol("mini64").replace(
            name="workers", size=size, precision=options.precision, stop=None
        )
        protocol = protocol.with_iterations(options.iterations)
        for index in options.models:
            rounds = [
                [milliseconds(index, protocol, variables) for variables in WAYS.values()]
                for _ in range(options.rounds)
            ]
            medians = map(statistics.median, zip(*rounds, strict=True))
            ratio = statistics.median(kept / given for given, kept in rounds)
            cells = "".join(f"{median:12.1f}" for median in medians)
            print(f"{size:4d} {label(index)}{cells}{ratio:8.2f}", flush=True)


def milliseconds(index: int, protocol: Protocol, variables: dict[str, str]) -> float:
    """Of one iteration of a run in a worker that was started with the variables."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        images = load_images("camera", size=protocol.size, colour=False)
        plan = make_plan("workers", [str(ISNAS522[index])], images, ["denoising-25"], [0], protocol)
        freeze_plan(folder, plan, images)
        os.environ.update(variables)
        try:
            units = [Unit((key,)) for key in plan.run_keys()]
            for _ in LocalExecutor(1, "cpu").run(folder, plan, units):
                pass
        finally:
            for name in variables:
                del os.environ[name]
        (part,) = list_parts(folder / PARTS)
        (run,) = read_part(part)
    return 1e3 * run.facts["seconds"] / protocol.iterations_for("denoising")


if __name__ == "__main__":
    main()
