"""What a pilot says of a protocol: where PSNR peaks, if runs are long enough, what they cost.

    dipbench train --images camera --tasks denoising --models stratified:32 --protocol mini64 \
        --out pilot
    python tests/performance/pilot.py pilot [--models 522] [--workers 2]

Printed for each image and task, over all seeds: quantiles of the iterations of the peaks; for each
number of iterations that might be chosen, the share of runs whose curve, cut there, is highest in
its last 5 % (`peak_censored`); the best PSNR by moving average and Kendall's tau between the orders
of models that they give; the cost of training `--models` models. A finished benchmark with full
curves is read, nothing is trained.
"""

import argparse
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau

import dipbench
from dipbench.benchmark import Benchmark
from dipbench.benchmark.schema import USABLE, peak_censored
from dipbench.errors import DipbenchError, StoreError

QUANTILES = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)
ALLOWED = 0.05


def report(bench: Benchmark, models: int, workers: int) -> list[str]:
    """The lines of a report on every image and task of a benchmark.

    Args:
        bench: with full curves.
        models: how many the full build has.
        workers: runs side by side, as in the pilot, whose seconds are taken.

    Raises:
        StoreError: if the benchmark is compact.
    """
    if bench.manifest.stride is not None:
        raise StoreError(f"{bench.folder} is compact: a pilot is read from full curves")
    kinds = {"raw": "psnr"}
    kinds |= {
        f"EMA {weight:g}": kind
        for weight, kind in zip(bench.protocol.ema, bench.protocol.smooth_kinds, strict=True)
    }
    lines = [f"# {bench.manifest.name}, protocol {bench.protocol.name}", ""]
    lines += [f"`psnr_smooth` is EMA {bench.protocol.ema[0]:g}.", ""]
    for pair in bench.pairs:
        curves = {name: curves_of(bench, pair, kind) for name, kind in kinds.items()}
        lines += [f"## {pair[0]}, {pair[1]}: {len(curves['raw'])} runs", ""]
        lines += [*peaks(curves), "", *censored(curves), "", *orders(curves), ""]
        lines += [*cost(bench, pair, models, workers), ""]
    return lines


def curves_of(bench: Benchmark, pair: tuple[str, str], kind: str) -> list[np.ndarray]:
    """The curves of all usable runs of a pair, in the order of `to_frame`."""
    frame = usable(bench, pair)
    runs = zip(frame["model"], frame["seed"], strict=True)
    return [bench.curve(model, *pair, kind, int(seed)) for model, seed in runs]


def usable(bench: Benchmark, pair: tuple[str, str]):  # type: ignore[no-untyped-def]
    """The rows of a pair's usable runs."""
    frame = bench.to_frame()
    mine = (frame["image"] == pair[0]) & (frame["task"] == pair[1])
    return frame[mine & frame["status"].isin(USABLE)]


def peaks(curves: dict[str, list[np.ndarray]]) -> list[str]:
    """Where the curves are highest."""
    rows = []
    for name, own in curves.items():
        found = np.quantile([curve.argmax() for curve in own], QUANTILES)
        rows.append([name, *(f"{value:.0f}" for value in found)])
    head = ["least", "5 %", "25 %", "median", "75 %", "95 %", "most"]
    return ["Iteration of the highest PSNR:", "", *table(["average", *head], rows)]


def candidates(longest: int) -> list[int]:
    """Numbers of iterations that might be chosen after a pilot of so many."""
    return [*range(300, longest, 100), longest]


def censored(curves: dict[str, list[np.ndarray]]) -> list[str]:
    """The share of runs whose peak comes too late, by the iterations that might be chosen."""
    longest = max(len(curve) for own in curves.values() for curve in own)
    rows = []
    for count in candidates(longest):
        shares = [share(own, count) for own in curves.values()]
        rows.append([f"{count}", *(f"{100 * value:.1f} %" for value in shares)])
    said = f"Runs whose peak lies in the last 5 % of so many iterations (allowed: {ALLOWED:.0%}):"
    return [said, "", *table(["iterations", *curves], rows)]


def share(curves: list[np.ndarray], count: int) -> float:
    """The share of curves whose peak is censored where they are cut after `count` iterations."""
    cut = [curve[:count] for curve in curves]
    return float(np.mean([peak_censored(int(curve.argmax()), len(curve)) for curve in cut]))


def orders(curves: dict[str, list[np.ndarray]]) -> list[str]:
    """The best PSNR by moving average, and how alike the orders are."""
    best = {name: np.array([curve.max() for curve in own]) for name, own in curves.items()}
    rows = [
        [name, f"{np.median(values):.2f}", f"{values.min():.2f}", f"{values.max():.2f}"]
        for name, values in best.items()
    ]
    alike = []
    for one, other in combinations(best, 2):
        tau = kendalltau(best[one], best[other]).statistic
        alike.append([one, other, f"{tau:+.3f}", str(swapped(best[one], best[other]))])
    return [
        "Best PSNR, dB:",
        "",
        *table(["average", "median", "lowest", "highest"], rows),
        "",
        "Orders of the runs by best PSNR:",
        "",
        *table(["average", "other", "Kendall's tau", "pairs that swap"], alike),
    ]


def swapped(one: np.ndarray, other: np.ndarray) -> int:
    """How many pairs of runs two averages put in opposite orders."""
    signs = [np.sign(values[:, None] - values[None, :]) for values in (one, other)]
    return int((signs[0] * signs[1] < 0).sum() // 2)


def cost(bench: Benchmark, pair: tuple[str, str], models: int, workers: int) -> list[str]:
    """What one seed of all models costs, from the seconds that the pilot took."""
    frame = usable(bench, pair)
    each = (frame["seconds"] / frame["length"]).to_numpy(np.float64)
    longest = int(frame["length"].max())
    rows = []
    for count in candidates(longest):
        hours = each.mean() * models * count / 3600
        rows.append([f"{count}", f"{hours:.1f}", f"{hours / workers:.1f}"])
    devices = ", ".join(sorted(set(frame["device"].dropna())))
    return [
        f"Seconds an iteration ({devices}): median {np.median(each):.4f}, mean {each.mean():.4f}, "
        f"most {each.max():.4f}. Hours for one seed of {models} models:",
        "",
        *table(["iterations", "one after the other", f"{workers} side by side"], rows),
    ]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("--models", type=int, default=522, help="of the full build")
    parser.add_argument("--workers", type=int, default=2, help="runs side by side")
    asked = parser.parse_args()
    try:
        print("\n".join(report(dipbench.load(asked.store), asked.models, asked.workers)))
    except DipbenchError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
