"""Iterations a second of several runs at once: threads for each run, or runs side by side.

    python tests/performance/training_together.py --models 0 6 12 97 --arrangements 1x2 2x1
    python tests/performance/training_together.py --device cuda --arrangements 1x1 4x1 16x1

An arrangement RxT is R runs of T threads. On a CPU each run is a process, all begin together and
go on for `--seconds`; the arrangements and loops (see loops.py) take turns. On CUDA the runs of one
process take turns, as in `dipbench.evaluate.together`. At the end, each loop in its own best
arrangement: how many times the plain loop's runs it finishes in an hour.
"""

import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from threading import Barrier

import torch
from loops import LABEL, label, machine, make_loop, parser_of, precisions

How = tuple[str, int, int, torch.device]


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--arrangements", nargs="+", default=["1x2", "2x1"])
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    device = options.device
    kinds = ["plain", *precisions(device)]
    print(f"{machine(device)}, median of {options.rounds} rounds of {options.seconds:g} s")
    ways = list(product(kinds, options.arrangements))
    for size in options.size:
        print(f"\n{size} x {size}, iterations a second of all runs together")
        print(f"{'model':{LABEL}s}" + "".join(f"{' '.join(way):>14s}" for way in ways))
        gains: dict[str, list[float]] = {kind: [] for kind in kinds}
        for index in options.models:
            found: dict[tuple[str, str], list[float]] = {way: [] for way in ways}
            for _ in range(options.rounds):
                for way in ways:
                    runs, threads = map(int, way[1].split("x"))
                    how = way[0], index, size, device
                    found[way].append(rate(how, runs, threads, options.seconds))
            rates = {way: statistics.median(values) for way, values in found.items()}
            best = {kind: max(rates[kind, each] for each in options.arrangements) for kind in kinds}
            for kind in kinds:
                gains[kind].append(best[kind] / best["plain"])
            print(label(index) + "".join(f"{rates[w]:14.2f}" for w in ways), flush=True)
        for kind in kinds[1:]:
            mean = statistics.geometric_mean(gains[kind])
            print(f"geometric mean of {kind}, each side in its best arrangement: {mean:.2f}x")


def rate(how: How, runs: int, threads: int, seconds: float) -> float:
    """Iterations a second of so many runs together."""
    if how[3].type == "cuda":
        return in_turns([make_loop(*how, threads) for _ in range(runs)], how[3], seconds)
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(runs)
    with ProcessPoolExecutor(runs, spawn, initializer=share, initargs=(barrier,)) as pool:
        jobs = [pool.submit(alone, how, threads, seconds) for _ in range(runs)]
        return sum(job.result() for job in jobs)


def in_turns(loops: list, device: torch.device, seconds: float) -> float:
    torch.cuda.synchronize(device)
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        for loop in loops:
            for _ in range(10):
                loop()
        done += 10 * len(loops)
        torch.cuda.synchronize(device)
    return done / (time.perf_counter() - start)


def share(barrier: Barrier) -> None:
    global _barrier
    _barrier = barrier


def alone(how: How, threads: int, seconds: float) -> float:
    """Iterations a second of one of several processes."""
    torch.set_num_threads(threads)
    loop = make_loop(*how, threads)
    _barrier.wait()
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        loop()
        done += 1
    return done / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
