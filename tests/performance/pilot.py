"""What a pilot says of a protocol: where PSNR peaks, if runs are long enough, what they cost.

    make mini-pilot    # 32 models a part, without a stop rule
    python tests/performance/pilot.py mini-store/pilot/camera-denoising-25-0 [--models 522]

Printed for each image and task, over all seeds: quantiles of the iterations of the peaks; for each
number of iterations that might be chosen, the share of runs whose curve, cut there, is highest in
its last 5 % (`peak_censored`); the best PSNR by moving average and Kendall's tau between the orders
of models that they give; the cost of training `--models` models; what is saved and what is lost
where a run ends once its peak has lasted (`PeakStop`). A finished benchmark with full
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
from dipbench.evaluate.stopping import patience_stop

QUANTILES = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)
ALLOWED = 0.05
PATIENCES = (50, 100, 150, 200, 250, 300, 400)


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
        lines += [*lasting(curves, seconds_each(bench, pair)), ""]
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
    frame, each = usable(bench, pair), seconds_each(bench, pair)
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


def seconds_each(bench: Benchmark, pair: tuple[str, str]) -> np.ndarray:
    """Seconds an iteration of each usable run of a pair."""
    frame = usable(bench, pair)
    found: np.ndarray = (frame["seconds"] / frame["length"]).to_numpy(np.float64)
    return found


def lasting(curves: dict[str, list[np.ndarray]], each: np.ndarray) -> list[str]:
    """What a run that ends once its peak has lasted saves, and what its curves lose by it."""
    first = next(name for name in curves if name != "raw")
    whole = np.array([len(curve) for curve in curves[first]])
    rows = []
    for patience in [count for count in PATIENCES if count < whole.max()]:
        ends = np.array([end_of(curve, patience) for curve in curves[first]])
        lost = [
            max(own[run].max() - own[run][:end].max() for own in curves.values())
            for run, end in enumerate(ends)
        ]
        saved = 1 - (ends * each).sum() / (whole * each).sum()
        later = sum(value > 0 for value in lost)
        rows.append(
            [str(patience), f"{ends.mean():.0f}", f"{saved:.0%}", str(later), f"{max(lost):.3f}"]
        )
    return [
        f"Runs that end once the peak of {first} has lasted; lost is what any curve reaches later:",
        "",
        *table(
            ["patience", "iterations, mean", "seconds saved", "runs that lose", "most, dB"], rows
        ),
    ]


def end_of(curve: np.ndarray, patience: int) -> int:
    """How long a run is that ends once its peak has lasted."""
    peak = patience_stop(-curve, patience) if len(curve) > patience else None
    return len(curve) if peak is None else peak + patience + 1


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
