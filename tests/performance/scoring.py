"""Seconds that scores take of a model: of one initialisation, and of as many as `score` makes.

    OMP_NUM_THREADS=1 python tests/performance/scoring.py --size 64 512 --models 0 3 12

Each row is worked out from nothing, network and output included, as if asked for alone. Scores of
the output share one: the last row but one is what all of those take together. Scores that train
share one training, too; the last row is what they take together.
"""

import statistics
import time
from collections.abc import Sequence

import torch
from loops import label, machine, parser_of

from dipbench.data import load_image
from dipbench.evaluate import SCORES
from dipbench.evaluate.protocol import get_protocol
from dipbench.evaluate.registry import Score
from dipbench.evaluate.scores import PUBLISHED, names_for
from dipbench.evaluate.scoring import initialisations_of, score_models
from dipbench.genotypes import ISNAS522

TRAINING = tuple(name for name in SCORES if name.endswith("_100"))


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows = [(name, [name]) for name in names_for("network")]
    rows += [
        ("the published ones", list(PUBLISHED)),
        ("all of the output", names_for("output", "output+image")),
        ("all that train 100 steps", list(TRAINING)),
    ]
    print(f"{machine(options.device)}, median of {options.rounds} rounds")
    for size in options.size:
        for index in options.models:
            seconds(index, size, PUBLISHED, 0, options.device)  # warms up
            print(f"\n{size} x {size}, {label(index).strip()}")
            print(f"{'scores':32s}{'times':>6s}{'s each':>9s}{'s a model':>11s}")
            for title, names in rows:
                times = initialisations_of(most_taken(names), 32)
                each = statistics.median(
                    seconds(index, size, names, seed, options.device)
                    for seed in range(options.rounds)
                )
                print(f"{title:32s}{times:6d}{each:9.2f}{times * each:11.1f}", flush=True)


def most_taken(names: Sequence[str]) -> Score:
    return max((SCORES[name] for name in names), key=lambda one: initialisations_of(one, 32))


def seconds(index: int, size: int, names: Sequence[str], seed: int, device: torch.device) -> float:
    """Of one initialisation."""
    image = load_image("camera", size=size)
    protocol = get_protocol("mini64").replace(size=size, precision="bf16")
    start = time.perf_counter()
    records = list(
        score_models(
            [ISNAS522[index]],
            image,
            "denoising-25",
            names,
            "table",
            initialisations=1,
            costly_initialisations=1,
            seed=seed,
            protocol=protocol,
            device=str(device),
        )
    )
    took = time.perf_counter() - start
    failed = [f"{record['score']}: {record['reason']}" for record in records if record["reason"]]
    if failed:
        raise SystemExit("\n".join(failed))
    return took


if __name__ == "__main__":
    main()
