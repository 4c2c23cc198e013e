"""Restoration in figures: `dip` beside deepinv's ConvDecoder at equal time, and the search.

    python tests/performance/restoration.py dip --seconds 120
    for i in 1 2; do python tests/performance/restoration.py search $i.csv --shard $i/2 & done; wait
    python tests/performance/restoration.py report 1.csv 2.csv

The first prints, for each picture, the best smoothed PSNR that each method reached in the same
wall time, one method after the other on one machine. The search's figures are the PSNR of what it
found, by either way of selecting a candidate, beside those of random genotypes trained alike; each
training is a line of the file, appended at once, so that they can be ended, taken up and shared
among processes, each with a file of its own (and, for what a search did, a folder of the file's
name). Both on camera, astronaut and coins at 128x128 with noise of sigma 25 unless told otherwise.
`--iterations` bounds the trainings where the published 1200 take too long; the table says so.
"""

import argparse
import csv
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count, product
from pathlib import Path
from typing import get_args

import numpy as np

from dipbench.analysis.search.isnas import Selection, search
from dipbench.data import load_image, parse_task
from dipbench.evaluate.comparing import compare
from dipbench.evaluate.protocol import Protocol, get_protocol
from dipbench.evaluate.restoring import Restoration, restore
from dipbench.genotypes import sample

RANDOM_SEED = 1000
"""Of the random genotypes; the search samples from its own."""

FIELDS = ("image", "kind", "number", "iterations", "precision", "model", "psnr_smooth")
Key = tuple[str, str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("dip", "search", "report"))
    parser.add_argument("files", type=Path, nargs="*", help="of a search's trainings")
    parser.add_argument("--images", default="camera,astronaut,coins")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--task", default="denoising-25")
    parser.add_argument("--seconds", type=float, default=120, help="of each method")
    parser.add_argument("--others", default="deepinv-dip,conv-decoder")
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--search-seeds", default="0", help="a search for each, with other models")
    parser.add_argument("--keep", type=int, default=5)
    parser.add_argument("--random", type=int, default=20)
    parser.add_argument("--iterations", type=int, default=1200)
    parser.add_argument("--precision", choices=("float32", "bf16"), default="float32")
    parser.add_argument("--shard", default="1/1", help="which of how many processes this is")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    if options.what != "dip" and not options.files:
        parser.error("name the file of the trainings")
    {"dip": compare_at_equal_time, "search": train_all, "report": report}[options.what](options)


def compare_at_equal_time(options: argparse.Namespace) -> None:
    task = parse_task(options.task)
    print(f"{options.seconds:g} s for each method, {options.size}x{options.size}, {task}")
    print(f"{'image':12}{'method':16}{'best smoothed':>14}{'at the end':>12}{'iterations':>12}")
    for name in options.images.split(","):
        truth = load_image(name, size=options.size)
        observation = task.observe(truth, 0)
        rows = compare(
            observation,
            task,
            ["dip", *options.others.split(",")],
            truth=truth,
            keep="last",
            # More than fit into the time, so that the time ends every training.
            iterations=10**6,
            seconds=options.seconds,
            device=options.device,
            threads=options.threads,
        )
        for row in rows:
            best = row.best_psnr_smooth
            shown = "" if best is None else f"{best:.2f}"
            end = f"{row.quality['psnr']:.2f}"
            print(f"{name:12}{row.model:16}{shown:>14}{end:>12}{row.iterations:>12}", flush=True)
        best_other = max(row.best_psnr_smooth or -np.inf for row in rows[1:])
        print(f"{'':12}{'dip is ahead by':16}{rows[0].best_psnr_smooth - best_other:>14.2f}")


def train_all(options: argparse.Namespace) -> None:
    """Make the trainings of this process that its file does not hold yet."""
    path = options.files[0]
    mine, shards = map(int, options.shard.split("/"))
    there = {(row["image"], row["kind"], row["number"]) for row in rows_of(options.files)}
    for turn, key, make in jobs(options):
        if turn % shards != mine - 1 or key in there:
            continue
        made = make()
        # At the end, as a user gets it, and not the best, which only the truth tells.
        numbers = (options.iterations, options.precision, made.model, made.quality["psnr"])
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(FIELDS)
            writer.writerow((*key, *numbers))
        print(*key, *numbers, flush=True)


def rows_of(paths: list[Path]) -> list[dict[str, str]]:
    rows = []
    for path in paths:
        if path.exists():
            with path.open(newline="") as file:
                rows += list(csv.DictReader(file))
    return rows


def jobs(options: argparse.Namespace) -> Iterator[tuple[int, Key, Callable[[], Restoration]]]:
    """Every training with its turn and its key: the random ones, then the searches.

    Trainings of one turn are of one process: both ways of selecting share their candidates.
    """
    turn = count()
    images = options.images.split(",")
    genotypes = map(str, sample(options.random, RANDOM_SEED))
    for (index, model), name in product(enumerate(genotypes), images):
        yield next(turn), (name, "random", str(index)), partial(train_random, options, name, model)
    for seed, name in product(options.search_seeds.split(","), images):
        of_search = next(turn)
        for way in get_args(Selection):
            yield of_search, (name, way, seed), partial(find, options, name, way, int(seed))


def train_random(options: argparse.Namespace, name: str, model: str) -> Restoration:
    truth = load_image(name, size=options.size)
    return restore(
        parse_task(options.task).observe(truth, 0),
        options.task,
        model,
        truth=truth,
        keep="smooth",
        protocol=protocol_of(options),
        seed=1,
        device=options.device,
        threads=options.threads,
    )


def protocol_of(options: argparse.Namespace) -> Protocol:
    changes = {"name": "isnas-search", "stop": None, "precision": options.precision}
    return get_protocol("isnas").replace(**changes).with_iterations(options.iterations)


def find(options: argparse.Namespace, name: str, selection: Selection, seed: int) -> Restoration:
    truth = load_image(name, size=options.size)
    return search(
        parse_task(options.task).observe(truth, 0),
        options.task,
        models=options.models,
        keep=options.keep,
        selection=selection,
        iterations=options.iterations,
        folder=options.files[0].with_suffix("") / f"{name}-{seed}",
        truth=truth,
        seed=seed,
        precision=options.precision,
        device=options.device,
        threads=options.threads,
    ).restoration


def report(options: argparse.Namespace) -> None:
    """Print what the files hold: PSNR in dB of the smoothed output at the end."""
    rows = rows_of(options.files)
    lengths = {(row["iterations"], row["precision"]) for row in rows}
    if len(lengths) != 1:
        raise SystemExit(f"trainings of different kinds cannot be compared: {sorted(lengths)}")
    print(*lengths.pop(), f"{options.size}x{options.size}", options.task)
    ways = get_args(Selection)
    heads = "".join(f"{way:>13}" for way in ways)
    print(f"{'image':12}{'search':>6}{heads}{'random median':>15}{'best':>8}{'worst':>8}{'n':>4}")
    for name in options.images.split(","):
        mine = [row for row in rows if row["image"] == name]
        others = [float(row["psnr_smooth"]) for row in mine if row["kind"] == "random"]
        found = {
            (row["kind"], row["number"]): float(row["psnr_smooth"])
            for row in mine
            if row["kind"] in ways
        }
        for number in sorted({number for _, number in found}, key=int) or ["0"]:
            shown = "".join(
                f"{found[way, number]:>13.2f}" if (way, number) in found else f"{'missing':>13}"
                for way in ways
            )
            print(
                f"{name:12}{number:>6}{shown}{np.median(others):>15.2f}{max(others):>8.2f}"
                f"{min(others):>8.2f}{len(others):>4}"
            )


if __name__ == "__main__":
    main()
