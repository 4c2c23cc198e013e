"""What stopping costs: the figures against the curves, and what cannot be replayed."""

import numpy as np
import pandas as pd
import pytest

import dipbench
from dipbench.analysis.early_stops import _quantiles, stopping_losses
from dipbench.benchmark import Benchmark
from dipbench.benchmark.building import finish
from dipbench.benchmark.parts import write_part
from dipbench.benchmark.pictures import read_observation
from dipbench.benchmark.plan import freeze_plan, make_plan
from dipbench.benchmark.schema import Run
from dipbench.benchmark.store import file_of
from dipbench.data import load_images, parse_task
from dipbench.errors import ProtocolError, QueryError
from dipbench.evaluate.protocol import PeakStop, get_protocol
from dipbench.evaluate.stopping import STOPPING
from dipbench.genotypes import ISNAS522

MODELS = tuple(str(genotype) for genotype in ISNAS522[:7])
LENGTH = 120


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two seeds; one run diverged, one is too short to be replayed; of coins no variance."""
    made = tmp_path_factory.mktemp("stores") / "stops"
    made.mkdir()
    pictures = load_images("camera,coins", size=64)
    protocol = get_protocol("quick").with_iterations(LENGTH)
    plan = make_plan("stops", MODELS, pictures, ["denoising-25"], [0, 1], protocol)
    freeze_plan(made, plan, pictures)
    rng = np.random.default_rng(0)
    steps, runs = np.arange(LENGTH), []
    for number, key in enumerate(plan.run_keys()):
        peak, calm, length = rng.integers(60, 110), rng.integers(50, 90), LENGTH
        status = ("finished", "")
        if number == 3:
            status = ("diverged", "the loss is no finite number")
        if key == plan.run_keys()[0]:
            status, length = ("stopped", "early"), 30
        psnr = (25 - 0.002 * (steps - peak) ** 2).astype(np.float32)[:length]
        curves = {"psnr": psnr, "psnr_smooth": psnr - 1, "loss": 10 ** (-psnr / 10)}
        curves["psnr_observed"] = psnr - np.float32(3)
        if key.image == "camera":
            curves["variance"] = (1e-4 + 1e-6 * (steps - calm) ** 2).astype(np.float32)[:length]
        runs.append(Run(key, *status, curves, {"parameters": 1000, "seconds": 1.0}))
    write_part(made / "parts", runs)
    finish(made)
    return made


@pytest.fixture(scope="module")
def bench(folder):
    return dipbench.load(folder)


def by_hand(bench, image, name):
    """Losses by model, the mean over the seeds that can be replayed; iterations by run."""
    losses, kept = [], []
    runs = bench.to_frame()
    pair = image, "denoising-25"
    observation = read_observation(file_of(bench.folder, bench.manifest, "images"), pair)
    noise = parse_task(pair[1]).mean_squared_noise(observation)
    for model in MODELS:
        mine = []
        usable = runs[(runs["model"] == model) & (runs["image"] == image)]
        for seed in usable[usable["status"] != "diverged"]["seed"]:
            curves = {
                kind: bench.curve(model, image, "denoising-25", kind=kind, seed=int(seed))
                for kind in ("psnr_smooth", STOPPING[name].curve)
            }
            try:
                at = STOPPING[name](curves, noise)
            except ProtocolError:
                continue
            smooth = curves["psnr_smooth"]
            kept.append(len(smooth) - 1 if at is None else at)
            mine.append(float(smooth.max() - smooth[kept[-1]]))
        if mine:
            losses.append(np.mean(mine))
    return np.array(losses), np.array(kept)


@pytest.mark.parametrize(
    "name", ["variance_scaled", "discrepancy", "loss_scaled", "fixed_1200", "last"]
)
def test_losses_are_those_of_the_curves(bench, name):
    row = stopping_losses(bench, "camera", "denoising", [name]).iloc[0]
    losses, kept = by_hand(bench, "camera", name)
    assert row["n"] == len(losses)
    assert row["lost"] == pytest.approx(np.median(losses), abs=1e-4)
    assert row["lost_most"] == pytest.approx(losses.max(), abs=1e-4)
    assert row["lost_quartile_1"] == pytest.approx(np.quantile(losses, 0.25), abs=1e-4)
    assert row["iteration"] == np.sort(kept)[(len(kept) - 1) // 2]
    assert row["left_out"] == (1 if name == "variance_scaled" else 0)


def test_the_oracle_loses_nothing_and_the_last_output_is_at_the_end(bench):
    frame = stopping_losses(bench, "camera", criteria=["oracle", "last"]).set_index("criterion")
    assert frame.loc["oracle", "lost_most"] == pytest.approx(0, abs=1e-6)
    assert (frame.loc["last", "at_end"], frame.loc["last", "lost"] > 0) == (1, True)


def test_a_seed_to_which_a_criterion_is_not_applicable_does_not_hide_the_other(bench, monkeypatch):
    alone = stopping_losses(bench, "camera", criteria=["last"]).iloc[0]

    def query_many(models, image, task, seed=None, stopping=None):
        if stopping == "last" and seed == 1:
            raise QueryError("last is not applicable")
        return Benchmark.query_many(bench, models, image, task, seed=seed, stopping=stopping)

    monkeypatch.setattr(bench, "query_many", query_many)
    row = stopping_losses(bench, "camera", criteria=["last"]).iloc[0]
    assert row["n"] >= len(MODELS) - 1
    assert row["left_out"] in (len(MODELS) - 1, len(MODELS))
    assert alone["left_out"] == 0


@pytest.mark.parametrize("cut", [1, 4])
def test_runs_that_the_truth_has_cut_before_a_criterion_count_as_the_worst(bench, monkeypatch, cut):
    whole = stopping_losses(bench, "camera", criteria=["last"]).iloc[0]
    best, last = (
        bench.query_many(None, "camera", "denoising", stopping=stopping)["psnr"]
        for stopping in (None, "last")
    )
    order = np.argsort(best - last)

    def query_many(models, image, task, seed=None, stopping=None):
        found = Benchmark.query_many(bench, models, image, task, seed=seed, stopping=stopping)
        unknown = np.isin(np.arange(len(found)), order[-cut:]) & (stopping == "last")
        return found.assign(
            psnr=found["psnr"].mask(unknown), iteration=found["iteration"].mask(unknown)
        )

    monkeypatch.setattr(bench, "query_many", query_many)
    monkeypatch.setattr(bench, "protocol", bench.protocol.replace(stop=PeakStop(5)))
    frame = stopping_losses(bench, "camera", criteria=["last", "discrepancy"])
    row, other = (frame.iloc[place] for place in (0, 1))
    words = f"{row['left_out']} of 13 runs end before, by a rule that knows the truth"
    assert row["left_out"] == {1: 1, 4: 7}[cut]  # one of their runs diverged
    assert row["reason"].startswith(words)
    assert np.isnan(row["lost_most"])
    if cut == 1:  # the median of seven is known still, and the same; of four cut ones it is not
        assert row["n"] == len(MODELS)
        assert row["lost"] == pytest.approx(whole["lost"])
        assert row["reason"].endswith("they count as those that lose most")
    else:
        assert (row["n"], np.isnan(row["lost"])) == (0, True)
        assert row["reason"].endswith(words)
    assert (other["n"], pd.isna(other["reason"])) == (len(MODELS), True)


def test_a_seed_that_the_truth_has_cut_as_a_whole_counts_too(bench, monkeypatch):
    def query_many(models, image, task, seed=None, stopping=None):
        if stopping == "last" and seed == 1:
            raise QueryError("last is not applicable")
        return Benchmark.query_many(bench, models, image, task, seed=seed, stopping=stopping)

    monkeypatch.setattr(bench, "query_many", query_many)
    monkeypatch.setattr(bench, "protocol", bench.protocol.replace(stop=PeakStop(5)))
    row = stopping_losses(bench, "camera", criteria=["last"]).iloc[0]
    assert (row["n"], np.isnan(row["lost"])) == (0, True)
    assert row["reason"].endswith("runs end before, by a rule that knows the truth")


def test_a_criterion_that_cannot_be_replayed_is_told_where_the_truth_has_cut_runs(
    bench, monkeypatch
):
    asked = bench, "coins", "denoising", ["variance_scaled"]
    monkeypatch.setattr(bench, "protocol", bench.protocol.replace(stop=PeakStop(5)))
    row = stopping_losses(*asked).iloc[0]
    assert row["n"] == 0
    with pytest.raises(QueryError) as refused:
        bench.query_many(None, *asked[1:3], seed=1, stopping="variance_scaled")
    assert row["reason"] == str(refused.value)


def test_a_quantile_beside_what_is_unknown_is_missing():
    found = _quantiles(np.array([1.0, 2.0, 3.0, 4.0, np.inf]), [0.25, 0.5, 0.75, 0.8, 1])
    np.testing.assert_array_equal(found, [2, 3, 4, np.nan, np.nan])


def test_what_cannot_be_replayed_is_told(bench):
    frame = stopping_losses(bench).set_index(["image", "criterion"])
    assert "oracle" not in frame.index.get_level_values("criterion")
    for where in (("camera", "variance"), ("coins", "variance_scaled")):
        # Of two seeds of seven models one run diverged, on camera or coins.
        assert frame.loc[where, "n"] == 0
        assert frame.loc[where, "left_out"] in (13, 14)
        assert frame.loc[where, "reason"]
    assert frame.loc[("coins", "loss_scaled"), "n"] == len(MODELS)
    with pytest.raises(ProtocolError, match="did you mean"):
        stopping_losses(bench, criteria=["varianse"])
    with pytest.raises(QueryError, match="unknown image"):
        stopping_losses(bench, "lena")


def test_an_image_whose_runs_all_failed_leaves_the_others_their_rows(bench, monkeypatch):
    runs = bench.to_frame()
    whole = stopping_losses(bench, criteria=["last"]).set_index("image")
    status = runs["status"].mask(runs["image"] == "coins", "failed")
    monkeypatch.setattr(bench, "to_frame", lambda: runs.assign(status=status))
    frame = stopping_losses(bench, criteria=["last"]).set_index("image")
    other = [table.loc["camera"].drop("reason") for table in (frame, whole)]
    pd.testing.assert_series_equal(*other)
    assert (frame.loc["coins", "n"], bool(frame.loc["coins", "reason"])) == (0, True)


def test_seeds_that_cannot_be_compared_are_told(bench, monkeypatch):
    runs = bench.to_frame().astype({"seed": "Int64"})
    first, later = runs["model"] == MODELS[0], runs["seed"] == 1
    for changed, reason in (
        (
            runs[~(first & later)].assign(seed=lambda kept: kept["seed"] + 7 * first),
            "share no seed",
        ),
        (runs.assign(seed=runs["seed"].mask(~later)), "unknown seeds stand beside runs of known"),
    ):
        monkeypatch.setattr(bench, "to_frame", lambda changed=changed: changed)
        row = stopping_losses(bench, criteria=["last"]).iloc[0]
        assert row["n"] == 0
        assert reason in row["reason"]
