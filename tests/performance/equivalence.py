"""Whether fast training leaves the benchmark the same: plain and fast runs, compared in pairs.

    for i in 1 2; do
        python tests/performance/equivalence.py tests/performance/equivalence/$i.csv --shard $i/2 &
    done; wait
    python tests/performance/equivalence.py tests/performance/equivalence/*.csv --report

Trains 48 of the 522 genotypes with 2 seeds, plain (the plain network in float32) and fast (the
fast network, in bf16 unless `--ways` says otherwise), on denoising and inpainting at 64x64. Each
finished run is a line of the file, appended at once, so the study can be ended and begun again at
any time; several processes share it by `--shard`, each with a file of its own. Genotypes come in
the order of `genotypes.strata.stratified`, so that those done so far resemble all 522.

The report, for each fast way and for the best and the final PSNR of each task: the mean paired
difference fast - plain with its 90 % interval over genotypes (equivalent if inside ±0.1 dB), the
share of genotypes whose difference lies within the largest difference of two plain seeds, and
Kendall's tau of plain against fast, with its bootstrap interval, beside tau of one plain seed
against the other.
"""

import argparse
import csv
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from dipbench.data import load_image, parse_task
from dipbench.evaluate import fit
from dipbench.evaluate.protocol import get_protocol
from dipbench.genotypes import ISNAS522
from dipbench.genotypes.initialisation import initialise
from dipbench.genotypes.network import build_network
from dipbench.genotypes.strata import stratified
from dipbench.seeds import stable_seed

TASKS = ("denoising-25", "inpainting-50")
SEEDS = (0, 1)
MARGIN_DB = 0.1
PLAIN = "plain"
FIELDS = ("model", "task", "seed", "way", "iterations", "status", "best", "final")
Key = tuple[str, ...]


class Plain(torch.nn.Module):
    """The plain network as a module of the caller's own, which `fit` leaves as it is."""

    def __init__(self, index: int, seed_parts: tuple[object, ...]) -> None:
        super().__init__()
        self.inner = build_network(index)
        initialise(self.inner, *seed_parts, str(ISNAS522[index]))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.inner(z)


def train(index: int, task: str, seed: int, way: str, iterations: int) -> dict[str, object]:
    image = load_image("camera", size=64)
    precision = "float32" if way == PLAIN else way
    changes = {"precision": precision, "threads": 1}
    protocol = get_protocol("mini64").replace(**changes).with_iterations(iterations)
    parts = (seed, image.name, str(parse_task(task)))
    model = Plain(index, parts) if way == PLAIN else index
    found = fit(model, image, task, seed=seed, protocol=protocol)
    numbers = {}
    if found.status == "finished":
        best, final = found.best_psnr_smooth, float(found.psnr_smooth[-1])
        numbers = {"best": round(best, 4), "final": round(final, 4)}
    return {
        "model": index,
        "task": task,
        "seed": seed,
        "way": way,
        "iterations": iterations,
        "status": found.status,
    } | numbers


def done(paths: list[Path]) -> dict[Key, dict[str, str]]:
    """The runs that the files hold, by model, task, seed and way."""
    rows: dict[Key, dict[str, str]] = {}
    lengths = set()
    for path in paths:
        if path.exists():
            with path.open(newline="") as file:
                for row in csv.DictReader(file):
                    rows[tuple(row[name] for name in FIELDS[:4])] = row
                    lengths.add(row["iterations"])
    if len(lengths) > 1:
        raise SystemExit(f"expected runs of one length, found {sorted(lengths, key=int)}")
    return rows


def wanted(options: argparse.Namespace) -> Iterator[tuple[int, str, int, str]]:
    """The runs of this shard, a genotype's runs one after the other."""
    mine, shards = map(int, options.shard.split("/"))
    models = [ISNAS522.index(genotype) for genotype in stratified(options.models)]
    for index in models[mine - 1 :: shards]:
        for task, seed, way in product(TASKS, SEEDS, (PLAIN, *options.ways)):
            yield index, task, seed, way


def run(options: argparse.Namespace, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    there = done([path])
    of_other_length = {row["iterations"] for row in there.values()} - {str(options.iterations)}
    if of_other_length:
        raise SystemExit(f"{path} holds runs of {of_other_length} iterations: name another file")
    for key in wanted(options):
        if tuple(map(str, key)) in there:
            continue
        row = train(*key, options.iterations)
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, FIELDS, restval="")
            if new:
                writer.writeheader()
            writer.writerow(row)
        print(*row.values(), flush=True)


def report(rows: dict[Key, dict[str, str]]) -> None:
    if not rows:
        raise SystemExit("the files hold no runs")
    length = next(iter(rows.values()))["iterations"]
    print(f"{length} iterations, camera at 64x64, {len(SEEDS)} seeds")
    fast = sorted({key[3] for key in rows} - {PLAIN})
    for way, task, kind in product(fast, TASKS, ("best", "final")):
        value = {key: float(row[kind]) for key, row in rows.items() if row[kind]}
        of_task = {key[0] for key in rows if key[1] == task}
        ways = [(str(seed), each) for each in (PLAIN, way) for seed in SEEDS]
        whole = sorted(m for m in of_task if all((m, task, *each) in value for each in ways))
        if len(whole) < 3:
            print(f"{way}, {task}, {kind}: {len(whole)} genotypes with all their runs, expected 3")
            continue
        table = np.array([[value[m, task, *each] for each in ways] for m in whole])
        title = f"{way}, {task}, {kind} PSNR"
        describe(title, table[:, : len(SEEDS)], table[:, len(SEEDS) :], len(of_task) - len(whole))


def describe(title: str, plain: np.ndarray, fast: np.ndarray, left_out: int) -> None:
    """Print the statistics of two arrays (genotype, seed) of PSNR in dB."""
    difference = (fast - plain).mean(axis=1)
    low, high = stats.t.interval(0.9, len(difference) - 1, difference.mean(), stats.sem(difference))
    same = low > -MARGIN_DB and high < MARGIN_DB
    spread = np.abs(plain[:, 0] - plain[:, 1]).max()
    within = np.mean(np.abs(fast - plain).max(axis=1) <= spread)
    rng = np.random.default_rng(stable_seed("equivalence", title))
    taus = []
    for _ in range(2000):
        drawn = rng.integers(len(plain), size=len(plain))
        taus.append(tau(plain[drawn].mean(axis=1), fast[drawn].mean(axis=1)))
    lowest, highest = np.nanpercentile(taus, [5, 95])
    print(f"{title}: {len(plain)} genotypes, {left_out} left out (runs missing or not finished)")
    print(f"  fast - plain {difference.mean():+.3f} dB, 90 % interval {low:+.3f} to {high:+.3f}:")
    print(f"  {'inside' if same else 'NOT inside'} ±{MARGIN_DB} dB")
    print(f"  within the largest seed difference of {spread:.2f} dB: {within:.0%} of genotypes")
    between = tau(plain.mean(axis=1), fast.mean(axis=1))
    print(f"  tau plain, fast {between:.3f} (90 % interval {lowest:.3f} to {highest:.3f});", end="")
    print(f" seed 0, seed 1 both plain {tau(plain[:, 0], plain[:, 1]):.3f},", end="")
    print(f" seed by seed plain, fast {tau(plain[:, 0], fast[:, 0]):.3f}")


def tau(a: np.ndarray, b: np.ndarray) -> float:
    return float(stats.kendalltau(a, b).statistic)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--ways", choices=["float32", "bf16"], nargs="+", default=["bf16"])
    parser.add_argument("--models", type=int, default=48)
    parser.add_argument("--iterations", type=int, default=250)
    parser.add_argument("--shard", default="1/1")
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    if options.report:
        report(done(options.runs))
    else:
        run(options, options.runs[0])


if __name__ == "__main__":
    main()
