"""A small store on disk with known structure, for searches to replay."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dipbench.benchmark import Benchmark
from dipbench.benchmark.merging import merge
from dipbench.benchmark.parts import write_part
from dipbench.benchmark.schema import Run, RunKey
from dipbench.benchmark.store import PARTS, Manifest, commit, file_of, read_manifest, write_table
from dipbench.data import load_image, parse_task
from dipbench.evaluate.protocol import DiscrepancyStop, PeakStop, get_protocol
from dipbench.genotypes import ISNAS522, Genotype

ITERATIONS = 90
TASK = "denoising-25"


@dataclass(frozen=True)
class Ability:
    """What decides a model's curve: its block, its skips, and luck; how far the noise is (dB)."""

    peak: float
    noise: float = 0.0

    def curves(self, rng):
        steps = np.arange(ITERATIONS)
        psnr = self.peak - 10 * np.exp(-steps / 12) - 0.0006 * np.maximum(0, steps - 50) ** 2
        smooth = psnr + 0.1
        observed = 15 - self.noise + self.peak / 2 + steps / 30
        loss = 10 ** (-observed / 10)
        variance = (steps - 50.0) ** 2 / 1e4 + 0.01 / self.peak
        kinds = {"psnr": psnr, "psnr_smooth": smooth, "loss": loss, "variance": variance}
        kinds["psnr_observed"] = observed
        return {kind: curve.astype(np.float32) for kind, curve in kinds.items()}


def write_store(
    folder,
    models,
    images=("camera", "coins"),
    seeds=(0,),
    scored=True,
    stop=None,
    noise=0.0,
    short=0,
):
    """A store; with a stop rule it has ended every run, a third of the way, the `short` first ones
    after 30 iterations."""
    protocol = get_protocol("quick").with_iterations(3 * ITERATIONS if stop else ITERATIONS)
    status = "stopped" if stop else "finished"
    folder.mkdir()
    rng = np.random.default_rng(0)
    pictures = [load_image(name, size=64) for name in images]
    runs, rows = [], []
    for model in models:
        genotype = Genotype.parse(model)
        base = 26 + 2 * (genotype.activation == "relu") - (genotype.primitive == "nearest")
        base += 0.1 * genotype.skip.count("1") + rng.normal(0, 0.3)
        for image in images:
            for seed in seeds:
                curves = Ability(base + rng.normal(0, 0.1), noise).curves(rng)
                if model in models[:short]:
                    curves = {kind: curve[:30] for kind, curve in curves.items()}
                facts = {"seconds": 9.0, "macs": 1000 + genotype.upsample, "parameters": 10**6}
                key = RunKey(str(genotype), image, TASK, seed)
                runs.append(Run(key, status, "", curves, facts))
            value = -base + rng.normal(0, 0.5)
            rows.append((str(genotype), image, TASK, "psd_db_strip_mse", 0, value, "search"))
    write_part(folder / PARTS, runs)
    blank = Manifest(
        name="synthetic",
        generation=0,
        protocol=protocol.replace(stop=stop).to_record(),
        tasks=(TASK,),
        images={picture.name: picture.sha256 for picture in pictures},
        observation_seed=0,
        environment={},
        content_sha256="",
        files={},
    )
    observations = {(p.name, TASK): parse_task(TASK).observe(p, 0) for p in pictures}
    merge(folder, blank, pictures, observations)
    if scored:
        names = ("model", "image", "task", "score", "initialisation", "value", "how")
        table = pa.table(dict(zip(names, zip(*rows, strict=True), strict=True)))
        write_table(table, folder / "scores-1.parquet")
        manifest = read_manifest(folder)
        roles = {role: file_of(folder, manifest, role) for role in manifest.files}
        commit(folder, manifest, {**roles, "scores": folder / "scores-1.parquet"})
    return folder


@pytest.fixture
def uneven(tmp_path):
    """Of six models one failed on the seed that all share, and was longer on another."""
    bench = Benchmark(write_store(tmp_path / "s", ISNAS522[:6], images=("camera",), scored=False))
    frame = bench.to_frame()
    first = frame["model"] == bench.models[0]
    longer = frame[first].assign(seed=1, length=9 * ITERATIONS)
    frame.loc[first, "status"] = "failed"
    bench.to_frame = lambda: pd.concat([frame, longer], ignore_index=True)
    return bench


@pytest.fixture
def apart(tmp_path):
    """Of six models one has seed 1 alone and another seed 0 alone: no seed is shared by all."""
    folder = write_store(tmp_path / "s", ISNAS522[:6], images=("camera",), seeds=(0, 1))
    bench = Benchmark(folder)
    frame = bench.to_frame()
    lacking = [(model, seed) for seed, model in enumerate(bench.models[:2])]
    keys = zip(frame["model"], frame["seed"], strict=True)
    frame = frame[[key not in lacking for key in keys]]
    bench.to_frame = lambda: frame.copy()
    return bench


@pytest.fixture(scope="session")
def listed(tmp_path_factory):
    """60 of the 522: no two are neighbours."""
    return Benchmark(write_store(tmp_path_factory.mktemp("listed") / "s", ISNAS522[:60]))


@pytest.fixture(scope="session")
def complete(tmp_path_factory):
    """All 297 blocks with one skip matrix, one image."""
    from dipbench.genotypes.space import VALID_UPSAMPLE_CODES

    skip = ISNAS522[0].skip
    models = [Genotype(code, skip) for code in VALID_UPSAMPLE_CODES]
    folder = tmp_path_factory.mktemp("complete") / "s"
    return Benchmark(write_store(folder, models, images=("camera",), scored=False))


@pytest.fixture(scope="session")
def few(tmp_path_factory):
    """Five models and one image."""
    folder = tmp_path_factory.mktemp("few") / "s"
    return Benchmark(write_store(folder, ISNAS522[:5], images=("camera",)))


@pytest.fixture(scope="session")
def cut(tmp_path_factory):
    """Runs that a rule which knows the truth has ended, some before the noise was reached."""
    folder = tmp_path_factory.mktemp("cut") / "s"
    how = {"images": ("camera",), "scored": False, "stop": PeakStop(10), "noise": 11.0}
    return Benchmark(write_store(folder, ISNAS522[:12], **how))


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """Runs of full length, some of which never come as near as the noise."""
    folder = tmp_path_factory.mktemp("whole") / "s"
    return Benchmark(
        write_store(folder, ISNAS522[:12], images=("camera",), scored=False, noise=11.0)
    )


@pytest.fixture(scope="session")
def ended(tmp_path_factory):
    """Runs that the noise has ended, three of the twelve models' after 30 iterations."""
    folder = tmp_path_factory.mktemp("ended") / "s"
    return Benchmark(write_store(folder, ISNAS522[:12], stop=DiscrepancyStop(), short=3))
