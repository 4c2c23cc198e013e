"""The shipped benchmark is built in sittings: what is lost, kept, shipped, and taken up again."""

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from shutil import copytree, rmtree
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dipbench
from dipbench.analysis.agreeing import agreement
from dipbench.analysis.association import kendall_tau
from dipbench.benchmark import scoring
from dipbench.benchmark.adding import add
from dipbench.benchmark.building import finish, read_progress
from dipbench.benchmark.cutting import cut
from dipbench.benchmark.executors import Outcome, Unit
from dipbench.benchmark.parts import write_part
from dipbench.benchmark.pictures import read_images, read_observation
from dipbench.benchmark.plan import PLAN_PICTURES, Plan
from dipbench.benchmark.schema import Run
from dipbench.benchmark.scoring import score_store
from dipbench.benchmark.store import PARTS, read_manifest
from dipbench.benchmark.verifying import verify
from dipbench.errors import DipbenchError
from dipbench.evaluate.protocol import PeakStop
from dipbench.seeds import generator

ROOT = Path(__file__).parents[2]
DRIVER = ROOT / "benchmark" / "mini" / "build.py"
LENGTH, PATIENCE = 40, 5


class Executor:
    """Makes so many runs in this process, each from its key alone, and is then interrupted."""

    def __init__(self, left: int = 1000) -> None:
        self.left = left
        self.made = 0

    def run(self, folder: Path, plan: Plan, units: Sequence[Unit]) -> Iterator[Outcome]:
        for unit in units:
            if not self.left:
                raise KeyboardInterrupt
            self.left, self.made = self.left - 1, self.made + 1
            (key,) = unit.keys
            draws = generator(*key)
            fallen = np.maximum(np.arange(LENGTH) - draws.integers(20, 40), 0)
            smooth = (20 + draws.random(LENGTH).cumsum() / 4 - fallen).astype(np.float32)
            curves = {"psnr": smooth + draws.random(LENGTH, dtype=np.float32)}
            curves |= dict.fromkeys(plan.protocol.smooth_kinds, smooth)
            curves |= {"loss": 10 ** (-smooth / 10), "variance": 10 ** (-smooth / 20)}
            pair = key.image, key.task
            facts = {
                "observation_sha256": read_observation(folder / PLAN_PICTURES, pair).sha256,
                "seconds": 1.0,
                "device": "x",
            }
            run = Run(key, "finished", "", curves, facts)
            if isinstance(plan.protocol.stop, PeakStop):
                run = cut(run, plan.protocol.stop)
            write_part(folder / PARTS, [run])
            yield [(key, run.status)]


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mini_build", DRIVER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, for three models, of which one makes the pilot, and three sweeps."""
    module = load_script()
    monkeypatch.setattr(module, "MODELS", "stratified:3")
    monkeypatch.setattr(module, "SAMPLES", ("stratified:2",))
    short = module.PROTOCOL.with_iterations(LENGTH)
    monkeypatch.setattr(module, "PROTOCOL", short.replace(stop=PeakStop(PATIENCE)))
    monkeypatch.setattr(module, "PILOT_PROTOCOL", short.replace(name="mini64-pilot", stop=None))
    monkeypatch.setattr(module, "PILOT_MODELS", "stratified:1")
    sweeps = (
        ("camera", "denoising-25", 0),
        ("camera", "denoising-25", 1),
        ("astronaut", "sr-2", 0),
    )
    monkeypatch.setattr(module, "SWEEPS", sweeps)
    return module


def test_it_is_built_in_sittings_of_which_each_begins_with_nothing(
    driver: ModuleType, tmp_path: Path
) -> None:
    work, kept, shipped = tmp_path / "work", tmp_path / "kept", tmp_path / "shipped" / "mini"
    piloted = tmp_path / "piloted"
    card = DRIVER.with_name("card.md")

    def sitting(runs: int) -> Executor:
        executor = Executor(runs)
        with suppress(KeyboardInterrupt):
            driver.train(work, kept, piloted, shipped, executor)
        driver.keep_all(work, kept, piloted, shipped)
        return executor

    with suppress(KeyboardInterrupt):
        driver.pilot(work, piloted, shipped, Executor(1))
    rmtree(work)  # the first sweep's was kept at its end
    sitting(1)
    assert read_progress(driver.folder_of(work, driver.SWEEPS[0])).done == 2
    with pytest.raises(DipbenchError, match="holds no complete sweep"):
        driver.ship(work, kept, shipped, card)
    rmtree(work)
    sitting(3)  # the last of seed 0, and two of seed 1
    driver.ship(work, kept, shipped, card)
    assert driver.shipped_sweeps(shipped) == {driver.SWEEPS[0]}
    assert not (kept / "camera" / "denoising-25" / "seed-0").exists()
    assert driver.keep_all(work, kept, piloted, shipped) == 0
    rmtree(work)
    assert sitting(1000).made == 4
    driver.ship(work, kept, shipped, card)
    driver.status(work, kept, shipped)
    assert driver.shipped_sweeps(shipped) == set(driver.SWEEPS)
    assert list(kept.rglob("*.parquet")) == []
    assert verify(shipped) == []
    bench = dipbench.load(shipped)
    assert bench.manifest.name == "mini"
    assert len(bench.to_frame()) == 9
    assert set(bench.to_frame()["status"]) == {"finished", "stopped"}
    assert bench.to_frame()["length"].min() < LENGTH
    assert [path.name for path in shipped.parent.iterdir()] == ["mini"]
    rmtree(work)
    assert sitting(1000).made == 0
    idle = Executor()
    driver.pilot(work, piloted, shipped, idle)
    assert idle.made == 0

    # The same as of one sitting.
    other = tmp_path / "other" / "mini"
    driver.train(tmp_path / "once", tmp_path / "none", tmp_path / "no", other, Executor())
    driver.ship(tmp_path / "once", tmp_path / "none", other, card)
    assert read_manifest(other).content_sha256 == bench.manifest.content_sha256


def test_a_shipped_pilot_grows_by_sweeps_and_by_scores(driver: ModuleType, tmp_path: Path) -> None:
    work, kept, shipped = tmp_path / "work", tmp_path / "kept", tmp_path / "shipped" / "pilot"
    card = DRIVER.with_name("pilot-card.md")
    first, second = driver.SWEEPS[:2]

    def sitting(runs: int, *names: str) -> None:
        with suppress(KeyboardInterrupt):
            driver.pilot(work, kept, tmp_path / "mini", Executor(runs))
        if names:
            score_store(driver.folder_of(work / driver.PILOT, first), names)
        driver.publish(work / driver.PILOT, shipped, card)

    with pytest.raises(DipbenchError, match="holds no complete sweep"):
        sitting(0)
    sitting(1, "parameters_used")
    runs = dipbench.load(shipped).to_frame()
    sitting(1, "macs")
    bench = dipbench.load(shipped)
    assert bench.manifest.name == "pilot"
    assert driver.shipped_sweeps(shipped) == {first, second}
    assert set(bench.scores()["score"]) == {"parameters_used", "macs"}
    again = bench.to_frame().set_index("seed").loc[[0]].reset_index()
    assert again[runs.columns].equals(runs)
    rmtree(work)
    sitting(1)
    assert driver.shipped_sweeps(shipped) == set(driver.SWEEPS)
    assert set(dipbench.load(shipped).scores()["score"]) == {"parameters_used", "macs"}
    assert len(list(kept.rglob("seed-*"))) == len(driver.SWEEPS)


def test_a_pilot_that_is_interrupted_is_kept(driver: ModuleType, tmp_path: Path) -> None:
    driver.PILOT_MODELS, driver.SAMPLES = "stratified:3", ()
    work, kept, piloted, shipped = (tmp_path / name for name in ("work", "kept", "piloted", "mini"))
    with suppress(KeyboardInterrupt):
        driver.pilot(work, piloted, shipped, Executor(2))
    assert driver.keep_all(work, kept, piloted, shipped) == 2
    rmtree(work)
    with suppress(KeyboardInterrupt):
        driver.train(work, kept, piloted, shipped, Executor(0))
    folder = driver.folder_of(work, driver.SWEEPS[0])
    assert read_progress(folder).done == 2
    driver.status(work, kept, shipped)


def test_larger_pictures_are_trained_on_and_kept_apart(
    driver: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "SIDES_SAMPLES", ("stratified:1", "stratified:3"))
    monkeypatch.setattr(driver, "SIDES", (96, 128))
    monkeypatch.setattr(driver, "SIDES_SWEEPS", 1)
    work, kept = tmp_path / "work", tmp_path / "kept"
    with suppress(KeyboardInterrupt):
        driver.sizes(work, kept, Executor(5))
    # They are shipped never, and kept whatever is.
    monkeypatch.setattr(driver, "missing_sweeps", lambda shipped: [])
    assert driver.keep_all(work, kept, tmp_path / "no", tmp_path / "mini") == 1
    rmtree(work)
    last = Executor()
    driver.sizes(work, kept, last)
    assert last.made == 1
    places = [work / f"side-{side}" / "stratified-3" for side in (96, 128)]
    folders = [driver.folder_of(place, driver.SWEEPS[0]) for place in places]
    for folder, side in zip(folders, (96, 128), strict=True):
        finish(folder)
        bench = dipbench.load(folder)
        assert (bench.protocol.name, bench.protocol.size) == (f"mini{side}", side)
        assert len(bench.to_frame()) == 3
    assert not kept.exists()


def test_larger_pictures_order_the_models_as_the_card_says(tmp_path: Path) -> None:
    build, mini, work, kept = load_script(), dipbench.load("mini"), tmp_path / "w", tmp_path / "k"
    copytree(build.KEPT.with_name("kept-128"), kept.with_name("k-128"))
    with suppress(KeyboardInterrupt):  # of 128x128 nothing is left to make
        build.sizes(work, kept, Executor(0))
    places = {(side, models): place for side, models, place, _ in build.sides(work, kept)}
    first, second = (
        build.folder_of(places[128, "stratified:64"], sweep) for sweep in build.SWEEPS[:2]
    )
    add(first, second)
    larger = dipbench.load(first)

    smooth = "primitive in ('bilinear', 'bicubic', 'nearest')"
    told = {
        ("best_psnr_smooth", None): "64 0.73 0.61 0.82 0.69 0.75 0.06 -0.02 0.15",
        ("best_psnr_smooth_0.9", None): "64 0.73 0.63 0.82 0.68 0.75 0.06 -0.01 0.15",
        ("best_psnr_smooth_0.99", None): "64 0.71 0.61 0.80 0.68 0.79 0.10 0.04 0.18",
        ("best_psnr", None): "64 0.58 0.45 0.70 0.53 0.64 0.12 0.00 0.24",
        ("best_psnr_smooth", smooth): "40 0.76 0.64 0.86 0.69 0.66 -0.03 -0.11 0.06",
        ("best_psnr_smooth", f"not ({smooth})"): "24 0.29 -0.08 0.65 0.27 0.52 0.25 -0.04 0.53",
        ("best_psnr_smooth", "not peak_censored"): "59 0.77 0.69 0.85 0.74 0.77 0.03 -0.04 0.10",
        ("best_psnr_smooth_0.99", "not peak_censored"): (
            "59 0.77 0.69 0.83 0.73 0.80 0.07 0.02 0.12"
        ),
        ("best_psnr", "not peak_censored"): "59 0.66 0.57 0.75 0.62 0.67 0.06 -0.04 0.14",
    }
    names = [
        *("tau", "tau_low", "tau_high", "seed_tau", "attainable_tau"),
        *("shortfall", "shortfall_low", "shortfall_high"),
    ]
    for (by, where), expected in told.items():
        [row] = agreement(larger, mini, by=by, where=where).to_dict("records")
        assert (row["seeds"], row["other_seeds"]) == (2, 2)
        assert " ".join([str(row["n"]), *(f"{row[name]:.2f}" for name in names)]) == expected
    [row] = agreement(larger, mini).to_dict("records")
    assert round(row["transfer_regret"], 2) == 0.32

    there, here = (by_seed(bench, "best_psnr_smooth") for bench in (larger, mini))
    here = here.loc[there.index]
    assert [round(tau_of_seeds(frame), 2) for frame in (here, there)] == [0.72, 0.78]
    begun = there.index.isin(map(str, build.parse_models("stratified:32")))
    assert begun.sum() == 32
    taus = [tau_of(here[of].mean(axis=1), there[of].mean(axis=1)) for of in (begun, ~begun)]
    assert np.round(taus, 2).tolist() == [0.84, 0.60]
    interpolating = there.index.str.startswith(("bilinear", "bicubic", "nearest"))
    apart = [
        of[interpolating].mean(axis=None) - of[~interpolating].mean(axis=None)
        for of in (here, there)
    ]
    assert np.round(apart, 1).tolist() == [0.9, 1.1]
    peaks = [by_seed(bench, "best_psnr_smooth_iteration") for bench in (larger, mini)]
    later = peaks[0].mean(axis=1) / peaks[1].loc[there.index].mean(axis=1)
    assert round(later.median(), 1) == 1.6
    runs = larger.to_frame()
    censored = by_seed(larger, "peak_censored").astype(bool)
    assert (censored[0] == censored[1]).all()
    slow = [dipbench.Genotype.parse(model) for model in there.index[censored[0]]]
    assert len(slow) == 5
    assert {(one.activation, one.kernel) for one in slow} == {("none", 5), ("none", 7)}
    assert peaks[1].loc[there.index[censored[0]]].max(axis=None) < 3700
    assert round(runs["seconds"].sum() / 3600, 1) == 34.8
    assert runs["device"].str.split(",").str[0].value_counts().to_dict() == {
        "Intel(R) Xeon(R) Processor": 114,
        "AMD EPYC": 14,
    }
    assert runs["device"].str.endswith("AMX").sum() == 49


def by_seed(bench: dipbench.Benchmark, column: str) -> pd.DataFrame:
    """A row a model, a column a seed."""
    runs = bench.to_frame().set_index(["model", "seed"])
    return runs[column].astype(float).unstack()


def tau_of(one: pd.Series, other: pd.Series) -> float:
    return kendall_tau(one, other).value


def tau_of_seeds(frame: pd.DataFrame) -> float:
    return tau_of(frame[0], frame[1])


def test_what_is_complete_is_scored_in_two_sizes(
    driver: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {"psd_99_per_bw", "psd_db_strip_mse"} < set(driver.SCORED_LARGE) < set(driver.SCORED)
    assert {"epsilon", "grad_norm", "macs"} < set(driver.SCORED) - set(driver.SCORED_LARGE)
    assert {"psd_99_per_bw", "macs"} < set(driver.SCORED_FIRST) < set(driver.SCORED)
    monkeypatch.setattr(driver, "SCORED", ("psd_99_per_bw", "macs"))
    monkeypatch.setattr(driver, "SCORED_FIRST", ("psd_99_per_bw",))
    monkeypatch.setattr(driver, "SCORED_LARGE", ("psd_99_per_bw",))
    monkeypatch.setattr(driver, "MADE_INITIALISATIONS", 2)
    monkeypatch.setattr(driver, "LARGE", 96)
    work, kept, shipped = tmp_path / "work", tmp_path / "kept", tmp_path / "mini"

    def sitting(runs: int) -> None:
        with suppress(KeyboardInterrupt):
            driver.train(work, kept, tmp_path / "no", shipped, Executor(runs))
        driver.keep_all(work, kept, tmp_path / "no", shipped)

    sitting(2)  # a sample, of which the scores are good for the whole, and for another seed
    driver.score(work, kept, shipped)
    made: list[int] = []
    score_models = scoring.score_models

    def counted(models: Sequence[str], *rest: Any, **options: Any) -> Any:
        made.append(len(models))
        return score_models(models, *rest, **options)

    monkeypatch.setattr(scoring, "score_models", counted)
    rmtree(work)
    sitting(2)
    driver.score(work, kept, shipped)
    assert made == [1, 1, 1, 1]  # of the larger size one initialisation, then the other
    driver.keep_all(work, kept, tmp_path / "no", shipped)
    rmtree(work)
    sitting(2)
    begun = driver.folder_of(work, driver.SWEEPS[0])
    finish(begun)
    score_store(begun, ("parameters_used",), sample=2)
    score_store(begun, ("psd_99_per_bw",), sample=2, initialisations=3)
    driver.keep_scores(begun, kept)
    driver.ship(work, kept, shipped, DRIVER.with_name("card.md"))
    scores = dipbench.load(shipped).scores()
    assert len(scores) == 3 * (2 + 2 + 1)
    assert scores["value"].notna().all()
    assert set(scores["how"]) == {"table", "table-96", "search"}
    [left] = kept.rglob("*.parquet")  # what not all models have is not shipped, and not lost
    assert numbered(left) == {("parameters_used", 0): 2, ("psd_99_per_bw", 2): 2}

    # What is shipped is scored further, and no run of it made again.
    rmtree(work)
    made.clear()
    monkeypatch.setattr(driver, "SCORED", ("psd_99_per_bw", "macs", "parameters_used"))
    monkeypatch.setattr(driver, "SCORED_FIRST", ("psd_db_strip_mse",))
    driver.score(work, kept, shipped)
    assert made == [3, 1]
    driver.keep_all(work, kept, tmp_path / "no", shipped)
    scored = {**{("psd_db_strip_mse", index): 3 for index in (0, 1)}, ("parameters_used", 0): 3}
    assert numbered(left) == {**scored, ("psd_99_per_bw", 2): 2}
    rmtree(work)
    driver.ship(work, kept, shipped, DRIVER.with_name("card.md"))
    more = dipbench.load(shipped).scores()
    assert len(more) == 3 * (2 + 2 + 1) + 3 * (2 + 1)
    assert verify(shipped) == []
    assert numbered(left) == {("psd_99_per_bw", 2): 2}


def numbered(kept: Path) -> dict[Any, int]:
    """How many models each initialisation of each score is kept of."""
    return pd.read_parquet(kept)[["score", "initialisation"]].value_counts().to_dict()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_publishing_that_ends_between_two_renames_loses_nothing(
    driver: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    work, shipped = tmp_path / "work", tmp_path / "shipped" / "mini"
    card = DRIVER.with_name("card.md")
    with suppress(KeyboardInterrupt):
        driver.train(work, tmp_path / "k", tmp_path / "p", shipped, Executor(3))
    driver.publish(work, shipped, card)
    first = read_manifest(shipped).content_sha256
    replace = Path.replace

    def ended(self: Path, target: Path) -> Path:
        if when == "before" and target == shipped and self.name == "mini":
            raise KeyboardInterrupt
        moved = replace(self, target)
        if when == "after" and target.name == "old":
            raise KeyboardInterrupt
        return moved

    monkeypatch.setattr(Path, "replace", ended)
    with pytest.raises(KeyboardInterrupt):
        driver.publish(work, shipped, card)
    monkeypatch.undo()
    assert read_manifest(shipped).content_sha256 == first
    # Killed there, it can put nothing back; the next one does.
    (shipped.parent / ".new-mini").mkdir()
    shipped.replace(shipped.parent / ".new-mini" / "old")
    driver.publish(tmp_path / "nothing", shipped, card)
    assert read_manifest(shipped).content_sha256 == first


def test_what_is_shipped_says_how_it_was_made(driver: ModuleType, tmp_path: Path) -> None:
    shipped = tmp_path / "mini"
    driver.train(tmp_path / "work", tmp_path / "kept", tmp_path / "no", shipped, Executor())
    driver.ship(tmp_path / "work", tmp_path / "kept", shipped, DRIVER.with_name("card.md"))
    manifest = read_manifest(shipped)
    assert manifest.further["licence"] == "CC-BY-4.0"
    assert manifest.stride == driver.STRIDE
    text = (shipped / "README.md").read_text()
    heads = ["How it was made", "Columns of the runs", "Curves", "Known limits", "Repeatability"]
    for head in [*heads, "Rights in the pictures", "How to cite", "Licence"]:
        assert f"\n## {head}\n" in text
    images = read_images(shipped / str(manifest.files["images"]["name"]))
    assert {name: image.shape for name, image in images.items()} == {
        "camera": (1, 64, 64),
        "astronaut": (1, 64, 64),
    }


def test_the_build_is_that_of_the_full_benchmark() -> None:
    module = load_script()
    assert (module.MODELS, module.PROTOCOL.name, module.PROTOCOL.size) == (
        "isnas522", "mini64", 64
    )  # fmt: skip
    assert module.PROTOCOL.ema == (0.95, 0.9, 0.99)
    assert module.SWEEPS[:2] == (("camera", "denoising-25", 0), ("camera", "denoising-25", 1))
    assert module.SHIPPED == ROOT / "benchmark" / "shipped" / "mini"


def test_a_mistake_is_one_line(
    driver: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["build.py", "train", "--device", "tpux", "--work", str(tmp_path / "w")]
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.setattr(driver, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(driver, "KEPT_PILOT", tmp_path / "kept")
    monkeypatch.setattr(driver, "SHIPPED", tmp_path / "shipped")
    with pytest.raises(SystemExit) as ended:
        driver.main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "tpux" in said
    assert said.count("\n") == 1


def test_what_a_publishing_moved_away_before_it_was_killed_counts(tmp_path: Path) -> None:
    module, shipped = load_script(), tmp_path / "mini"
    moved = tmp_path / ".new-mini" / "old"
    copytree(dipbench.load("mini").folder, moved)
    assert len(module.shipped_sweeps(shipped)) == 2
    assert (shipped / "benchmark.json").is_file()
    assert not moved.exists()
