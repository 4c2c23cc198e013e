"""Peak memory of the published way to train and of this package's.

    OMP_NUM_THREADS=1 python tests/performance/training_memory.py --size 64 128 256

Of three iterations of each loop (see loops.py), beyond what the process held before: on a CPU
each in a new process, by the kernel's high-water mark; on CUDA by PyTorch's.
"""

import multiprocessing
import statistics
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from loops import LABEL, label, machine, make_loop, parser_of, precisions


def peak(kind: str, index: int, size: int, device: torch.device, threads: int) -> float:
    """Megabytes."""
    torch.set_num_threads(threads)
    load_libraries(device)
    before = held(device)
    loop = make_loop(kind, index, size, device, threads)
    for _ in range(3):
        loop()
    return (held(device) - before) / 1e6


def load_libraries(device: torch.device) -> None:
    """Have torch load what any training needs, which is not the loop's own."""
    layer = torch.nn.Conv2d(1, 1, 3).to(device)
    layer(torch.rand(1, 1, 8, 8, device=device)).sum().backward()
    torch.optim.Adam(layer.parameters(), fused=True).step()


def held(device: torch.device) -> float:
    """The most bytes held since the last call."""
    if device.type == "cuda":
        found = torch.cuda.max_memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        return found
    lines = Path("/proc/self/status").read_text().splitlines()
    found = next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    Path("/proc/self/clear_refs").write_text("5")  # begin a new high-water mark
    return found


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=1)
    options = parser.parse_args()
    kinds = ["plain", *precisions(options.device)]
    print(f"{machine(options.device)}, {options.threads} threads, median of {options.repeats}")
    with ProcessPoolExecutor(
        1, multiprocessing.get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        for size in options.size:
            print(f"\n{size} x {size}, MB (share of plain)")
            print(
                f"{'model':{LABEL}s} {'plain':>8s}" + "".join(f"{kind:>16s}" for kind in kinds[1:])
            )
            shares: dict[str, list[float]] = {kind: [] for kind in kinds}
            for index in options.models:
                found = {}
                for kind in kinds:
                    how = kind, index, size, options.device, options.threads
                    runs = [pool.submit(peak, *how).result() for _ in range(options.repeats)]
                    found[kind] = statistics.median(runs)
                    shares[kind].append(found[kind] / found["plain"])
                cells = "".join(f"{found[k]:8.0f} ({shares[k][-1]:4.2f})" for k in kinds[1:])
                print(f"{label(index)} {found['plain']:8.0f}{cells}", flush=True)
            for kind in kinds[1:]:
                mean = statistics.geometric_mean(shares[kind])
                print(f"geometric mean of {kind}: {mean:.2f} of plain's", end=" ")
                print(f"(from {min(shares[kind]):.2f} to {max(shares[kind]):.2f})")


if __name__ == "__main__":
    main()
