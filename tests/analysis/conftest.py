"""A small benchmark in memory with known structure: what `analysis` asks of one, no more."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from dipbench.evaluate.protocol import PROTOCOLS, Protocol
from dipbench.evaluate.stopping import STOPPING
from dipbench.genotypes import ISNAS522, Genotype

SCORES = ("psd_db_strip_mse", "psd_99_per_bw", "psd_db_mse")
ITERATIONS = 100


@dataclass
class MemoryBenchmark:
    """Frames and curves of models that differ in ability, on images that differ a little."""

    images: tuple[str, ...]
    tasks: tuple[str, ...]
    genotypes: tuple[Genotype, ...]
    runs: pd.DataFrame
    score_rows: pd.DataFrame
    curves: dict[str, dict[tuple[str, str, str, int], np.ndarray]] = field(repr=False)
    protocol: Protocol = PROTOCOLS["quick"]

    def to_frame(self) -> pd.DataFrame:
        return self.runs

    def scores(self) -> pd.DataFrame:
        return self.score_rows

    def curve(self, model, image, task, kind="psnr_smooth", seed=None):
        key = str(model), image, task
        seeds = (0, 1) if seed is None else (seed,)
        return np.mean([self.curves[kind][*key, s] for s in seeds], axis=0)

    def curve_iterations(self, model, image, task, seed=None):
        return np.arange(ITERATIONS)

    def query(self, model, image, task, by="best_psnr_smooth", seed=None):
        kind, seeds = by.removeprefix("best_"), (0, 1) if seed is None else (seed,)
        curves = [self.curves[kind][str(model), image, task, s] for s in seeds]
        best, places = [curve.max() for curve in curves], [curve.argmax() for curve in curves]
        return SimpleNamespace(psnr=float(np.mean(best)), iteration=int(np.median(places)))

    def query_many(self, models, image, task, by=None, seed=None, stopping=None):
        rows = []
        for model in map(str, self.genotypes if models is None else models):
            key = model, image, task, seed
            at = by
            if stopping is not None:
                at = STOPPING[stopping]({kind: self.curves[kind][key] for kind in self.curves})
            psnr = self.curves["psnr_smooth"][key]
            rows.append({"model": model, "psnr": psnr[-1 if at is None else at]})
        return pd.DataFrame(rows)


def make_benchmark(models=40, images=("camera", "coins"), tasks=("denoising-25",), seed=0):
    rng = np.random.default_rng(seed)
    genotypes = tuple(sorted(ISNAS522[:models]))
    ability = {str(g): rng.normal(0, 1) - 2 * (g.primitive == "nearest") for g in genotypes}
    runs, scores, curves, variances = [], [], {}, {}
    for image in images:
        for task in tasks:
            for model, base in ability.items():
                mine = base + rng.normal(0, 0.5)
                for run_seed in (0, 1):
                    height = 26 + mine + rng.normal(0, 0.3)
                    peak = int(rng.integers(50, ITERATIONS))
                    steps = np.arange(ITERATIONS)
                    curve = height - 12 * np.exp(-steps / 15) - 0.0004 * (steps - peak) ** 2
                    curves[model, image, task, run_seed] = curve.astype(np.float32)
                    variances[model, image, task, run_seed] = (steps - peak) ** 2 + 1.0
                    best = int(np.argmax(curve))
                    runs.append(
                        {
                            "model": model,
                            "image": image,
                            "task": task,
                            "seed": run_seed,
                            "status": "finished",
                            "length": ITERATIONS,
                            "best_psnr": curve.max() + 0.1,
                            "best_psnr_iteration": best,
                            "best_psnr_smooth": curve.max(),
                            "best_psnr_smooth_iteration": best,
                            "final_psnr": curve[-1] + 0.1,
                            "final_psnr_smooth": curve[-1],
                        }
                    )
                for name, strength in zip(SCORES, (1.0, 0.6, 0.0), strict=True):
                    for initialisation in range(3):
                        value = -strength * mine + rng.normal(0, 1)
                        scores.append((model, image, task, name, initialisation, value, "search"))
    frame = pd.DataFrame(runs).astype({"seed": "Int64"})
    columns = ["model", "image", "task", "score", "initialisation", "value", "how"]
    return MemoryBenchmark(
        images,
        tasks,
        genotypes,
        frame,
        pd.DataFrame(scores, columns=columns),
        {"psnr_smooth": curves, "variance": variances, "loss": variances},
    )


@pytest.fixture
def bench():
    return make_benchmark()


@pytest.fixture
def make_bench():
    return make_benchmark
