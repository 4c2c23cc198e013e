"""Milliseconds an iteration of the published way to train and of this package's, side by side.

    OMP_NUM_THREADS=1 python tests/performance/training.py --size 64 128 256 --csv times.csv
    python tests/performance/training.py --size 64 128 256 512 --device cuda --csv times.csv

For 12 of the 522 genotypes, one iteration of each loop (see loops.py) in turn, so that a busy
machine slows all alike. The floors are what the plain network's arithmetic takes at the rate of
the largest matrix product measured here, and the bytes that it must move (see
`loops.bytes_of`) at the rate of a copy of 256 MB, both in float32; smaller tensors stay in a
processor's caches and are faster than that. In brackets stand the times the plain loop's speed and
the share of the rate of matrix products in the loop's own precision that the plain network's
arithmetic amounts to: the fast network does less arithmetic, so that it can exceed 100 %.

`--clock cpu` counts the process's own seconds instead of the wall's: steadier where other
processes want the cores, meaningful only on one thread and never with CUDA.
"""

import csv
import statistics
from collections.abc import Callable
from pathlib import Path

import torch
from loops import (
    LABEL,
    Loop,
    bandwidth,
    bytes_of,
    clock_of,
    label,
    machine,
    macs_of,
    make_loop,
    matrix_rate,
    parser_of,
    precisions,
)

from dipbench.genotypes import ISNAS522

Row = dict[str, str | float]


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = clock_of(options.clock, options.device)
    kinds = ["plain", *precisions(options.device)]
    rates = {kind: matrix_rate(kind, options.device, clock) for kind in kinds[1:]}
    rates["plain"] = rates["float32"]
    moved = bandwidth(options.device, clock)
    print(f"{machine(options.device)}, {options.threads} threads, {options.clock} clock,")
    print(f"median of {options.rounds} rounds; matrix products", end=" ")
    print(", ".join(f"{kind} {rates[kind] / 1e9:.1f}" for kind in kinds[1:]), end=" GMAC/s; ")
    print(f"a copy moves {moved / 1e9:.1f} GB/s")
    rows = []
    for size in options.size:
        print(f"\n{size} x {size}, ms an iteration (speed over plain, share of the rate)")
        titles = "".join(f"{kind:>20s}" for kind in kinds[1:])
        print(f"{'model':{LABEL}s} {'plain':>8s}{titles}{'compute':>9s}{'memory':>8s}")
        for index in options.models:
            loops = {
                kind: make_loop(kind, index, size, options.device, options.threads)
                for kind in kinds
            }
            times = measure(loops, options.rounds, clock)
            compute = 1e3 * macs_of(index, size) / rates["float32"]
            memory = 1e3 * bytes_of(index, size) / moved
            row: Row = {"size": size, "number": index, "model": str(ISNAS522[index]), **times}
            row |= {"compute": compute, "memory": memory}
            row |= {f"share_{k}": 1e3 * macs_of(index, size) / rates[k] / times[k] for k in kinds}
            print_row(row, kinds[1:])
            rows.append(row)
        print_means([row for row in rows if row["size"] == size], kinds[1:])
    if options.csv is not None:
        with options.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)


def measure(loops: dict[str, Loop], rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    """Median milliseconds of one call of each, the loops taking turns."""
    times: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(rounds):
        for name, loop in loops.items():
            start = clock()
            loop()
            times[name].append(1e3 * (clock() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def print_row(row: Row, kinds: list[str]) -> None:
    cells = "".join(
        f"{row[k]:8.1f} ({row['plain'] / row[k]:4.2f}x {row[f'share_{k}']:4.0%})" for k in kinds
    )
    times = f"{row['plain']:8.1f}{cells}{row['compute']:9.1f}{row['memory']:8.1f}"
    print(label(row["number"]), times, flush=True)


def print_means(rows: list[Row], kinds: list[str]) -> None:
    for kind in kinds:
        ratios = [row["plain"] / row[kind] for row in rows]
        mean = statistics.geometric_mean(ratios)
        print(
            f"geometric mean of {kind}: {mean:.2f}x (from {min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
