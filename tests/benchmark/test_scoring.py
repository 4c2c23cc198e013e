"""Scoring a benchmark: resumed after an interruption, missing values kept and counted."""

import errno
import json
import runpy
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dipbench.benchmark import load, scorefiles, scoring
from dipbench.benchmark.building import finish
from dipbench.benchmark.locking import COMMITTING, builder_lock
from dipbench.benchmark.scoring import score_store
from dipbench.benchmark.store import commit, file_of, read_manifest
from dipbench.data import load_image
from dipbench.errors import QueryError, ScoreError, StoreError
from dipbench.evaluate import SCORES, register_score
from dipbench.evaluate.scoring import score_models
from dipbench.genotypes import ISNAS522
from dipbench.genotypes.network import count_genotype_macs

FIXTURES = Path(__file__).parents[1] / "analysis/reporting/conftest.py"
PLACE = ["model", "image", "task", "score", "initialisation"]


@pytest.fixture
def make_store(tmp_path):
    made = runpy.run_path(str(FIXTURES))

    def make(name):
        models = [str(genotype) for genotype in sorted(ISNAS522, key=count_genotype_macs)[:10]]
        options = {"images": "camera", "models": models, "tasks": ("denoising-25",), "seeds": (0,)}
        return made["make_store"](tmp_path / name, scores=(), **options).folder

    return make


def values(folder):
    return load(folder).scores().sort_values(PLACE).reset_index(drop=True)


@pytest.mark.parametrize(("seconds", "remaining"), [(np.inf, 2), (0, 7)])
def test_an_interrupted_scoring_goes_on_to_the_same_values(
    make_store, monkeypatch, seconds, remaining
):
    monkeypatch.setattr(scoring, "SECONDS_PER_PART", seconds)
    whole, broken = make_store("whole"), make_store("broken")
    score_store(whole, ["psd_99_per_bw"], initialisations=2)
    seen = []

    def stop_early():
        seen.append(1)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_store(broken, ["psd_99_per_bw"], initialisations=2, on_model=stop_early)
    left = []
    done = score_store(broken, ["psd_99_per_bw"], initialisations=2, on_start=left.append)
    assert left == [remaining], "a part of eight models was written, or three parts of one"
    assert (done.values, done.missing) == (20, 0)
    pd.testing.assert_frame_equal(values(whole), values(broken))


def test_scores_are_added_beside_those_that_are_there(make_store):
    folder = make_store("store")
    score_store(folder, ["psd_99_per_bw"], initialisations=1)
    before = values(folder)
    again = []
    score_store(folder, ["psd_99_per_bw"], initialisations=1, on_start=again.append)
    assert again == [0]
    score_store(folder, ["psd_db_mse"], initialisations=1)
    after = values(folder)
    pd.testing.assert_frame_equal(
        after[after["score"] == "psd_99_per_bw"].reset_index(drop=True), before
    )
    assert set(after["score"]) == {"psd_99_per_bw", "psd_db_mse"}


def test_a_score_that_fails_is_missing_and_counted(make_store):
    folder = make_store("store")
    register_score("always_nan", inputs="output")(lambda output: float("nan"))
    try:
        done = score_store(folder, ["always_nan", "psd_99_per_bw"], initialisations=2)
    finally:
        SCORES.pop("always_nan")
    assert (done.values, done.missing) == (40, 20)
    rows = values(folder)
    missing = rows[rows["score"] == "always_nan"]
    assert len(missing) == 20
    assert np.isnan(missing["value"].to_numpy(np.float64, na_value=np.nan)).all()


def test_a_score_that_fails_again_is_missing_for_the_latest_reason(make_store):
    folder = make_store("store")

    def reasons(error, **wishes):
        def failing(output):
            raise error

        register_score("failing", inputs="output")(failing)
        try:
            score_store(folder, ["failing"], initialisations=1, **wishes)
        finally:
            SCORES.pop("failing")
        return set(values(folder)["reason"])

    assert reasons(ValueError("the first")) == {"ValueError: the first"}
    assert reasons(ValueError("not tried")) == {"ValueError: the first"}
    assert reasons(KeyError("then"), retry_failed=True) == {"KeyError: 'then'"}


def test_two_ways_of_making_outputs_are_kept_apart(make_store):
    folder = make_store("store")
    score_store(folder, ["psd_99_per_bw"], "table", initialisations=1)
    score_store(folder, ["psd_99_per_bw"], "search", initialisations=2)
    frame = values(folder)
    assert frame["how"].value_counts().to_dict() == {"search": 20, "table": 10}
    bench = load(folder)
    asked = bench.models[0], "camera", "denoising-25"
    own = frame[(frame["model"] == asked[0]) & (frame["how"] == "search")]["value"]
    assert bench.score(*asked, "psd_99_per_bw:search") == pytest.approx(own.mean())
    with pytest.raises(QueryError, match="name psd_99_per_bw:search or psd_99_per_bw:table"):
        bench.score(*asked, "psd_99_per_bw")


def test_scores_in_another_size_are_a_way_of_their_own(make_store):
    folder = make_store("store")
    score_store(folder, ["psd_db_mse"], initialisations=1)
    score_store(folder, ["psd_db_mse", "macs"], initialisations=1, size=96)
    left = []
    score_store(folder, ["psd_db_mse", "macs"], initialisations=1, size=96, on_start=left.append)
    assert left == [0]
    frame = values(folder)
    assert frame["how"].value_counts().to_dict() == {"search-96": 10, "table": 10, "table-96": 10}
    expected = score_models(
        frame["model"].unique()[:1], "camera", "denoising-25", ["psd_db_mse"], "table",
        initialisations=1, size=96, protocol=load(folder).protocol,
    )  # fmt: skip
    (first,) = frame[frame["how"] == "table-96"]["value"].iloc[:1]
    assert first == next(expected)["value"]
    # The bare name stays that of the runs' own size; of another alone there is none.
    bench, asked = load(folder), (frame["model"].iloc[0], "camera", "denoising-25")
    assert bench.score(*asked, "psd_db_mse:table-96") == first
    assert bench.score(*asked, "psd_db_mse") == frame[frame["how"] == "table"]["value"].iloc[0]
    with pytest.raises(QueryError, match="name macs:search-96"):
        bench.score(*asked, "macs")


def test_another_size_of_a_picture_that_is_not_packaged_is_refused(make_store, monkeypatch):
    folder = make_store("store")
    other = load_image("coins", size=64)
    monkeypatch.setattr(scoring, "load_image", lambda *_: other)
    with pytest.raises(StoreError, match=r"^camera of .*only packaged pictures are known"):
        score_store(folder, ["psd_db_mse"], size=96)


def test_a_sample_of_the_models_can_be_scored(make_store):
    folder = make_store("store")
    score_store(folder, ["psd_99_per_bw"], initialisations=1, sample=4)
    chosen = set(values(folder)["model"])
    assert len(chosen) == 4
    score_store(folder, ["psd_db_mse"], initialisations=1, sample=4)
    assert set(values(folder)["model"]) == chosen


def test_initialisations_are_filled_up_and_none_is_made_twice(make_store):
    folder, whole = make_store("store"), make_store("whole")
    score_store(folder, ["psd_99_per_bw"], initialisations=2, seed=7, sample=6)
    before = values(folder)
    left = []
    score_store(folder, ["psd_99_per_bw"], initialisations=3, seed=1, on_start=left.append)
    score_store(folder, ["psd_99_per_bw"], initialisations=3, on_start=left.append)
    score_store(folder, ["psd_99_per_bw"], initialisations=1, on_start=left.append)
    assert left == [10, 0, 0]
    after = values(folder)
    assert not after.duplicated(PLACE).any()
    assert len(after) == 30
    score_store(whole, ["psd_99_per_bw"], initialisations=3, seed=1)
    expected = values(whole).set_index(PLACE)["value"]
    expected.update(before.set_index(PLACE)["value"])
    pd.testing.assert_series_equal(after.set_index(PLACE)["value"], expected)


def test_of_a_costly_score_more_initialisations_are_added_and_those_there_not_made_again(
    make_store,
):
    folder, made = make_store("store"), []
    register_score("costly", inputs="network", cost=(1, 1))(
        lambda probe: made.append(probe.seed) or float(len(made))
    )
    counts = []
    try:
        for asked in (1, 3, 9, 9):
            score_store(folder, ["costly"], initialisations=asked, threads=1)
            counts.append(len(made))
    finally:
        SCORES.pop("costly")
    assert counts == [10, 30, 40, 40]
    assert len(set(made)) == 4
    assert sorted(values(folder)["value"]) == list(range(1, 41))


def test_a_score_of_fewer_initialisations_is_not_made_for_ever(make_store):
    folder = make_store("store")
    register_score("counted", inputs="network", cost=(0, 0))(lambda probe: 1.0)
    register_score("costly", inputs="network", cost=(1, 1))(lambda probe: 2.0)
    left = []
    try:
        for _ in range(2):
            score_store(folder, ["counted", "costly"], initialisations=9, on_start=left.append)
    finally:
        SCORES.pop("counted")
        SCORES.pop("costly")
    assert left == [10, 0]
    assert values(folder)["score"].value_counts().to_dict() == {"costly": 40, "counted": 10}


def test_published_values_are_not_mixed_with_ones_own(make_store):
    folder = make_store("store")
    score_store(folder, ["psd_99_per_bw"], initialisations=1, sample=6)
    before = values(folder)
    path = folder / "benchmark.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "imported_from": ["a.zip"]}))
    left = []
    score_store(folder, ["psd_99_per_bw"], initialisations=2, on_start=left.append)
    score_store(folder, ["psd_99_per_bw"], initialisations=2, on_start=left.append)
    assert left == [4, 0]
    after = values(folder)
    pd.testing.assert_frame_equal(
        after[after["model"].isin(before["model"])].reset_index(drop=True), before
    )
    assert len(after) == 6 + 2 * 4


# Beside other processes


def test_runs_and_scores_are_not_committed_at_once(make_store, monkeypatch):
    folder = make_store("store")
    write, tried = scorefiles.write_table, []

    def meanwhile(table, path):
        with pytest.raises(StoreError, match="is being built by process"):
            finish(folder)
        tried.append(path.name)
        write(table, path)

    monkeypatch.setattr(scorefiles, "write_table", meanwhile)
    score_store(folder, ["psd_99_per_bw"], initialisations=1)
    assert [name[:9] for name in tried] == ["scores-2-"]


def test_scores_wait_for_a_merge(make_store):
    folder = make_store("store")
    held, ready = threading.Event(), threading.Event()

    def hold():
        with builder_lock(folder, COMMITTING):
            held.set()
            ready.wait(30)
            time.sleep(0.2)

    merging = threading.Thread(target=hold)
    merging.start()
    assert held.wait(10)
    done = score_store(folder, ["psd_99_per_bw"], initialisations=1, on_model=ready.set)
    merging.join()
    assert done.manifest.generation == 2


def test_runs_may_be_merged_twice_meanwhile(make_store):
    folder = make_store("store")

    def merge_twice(count):
        for generation in (2, 3):
            manifest = read_manifest(folder)
            pictures = file_of(folder, manifest, "images")
            moved = pictures.with_name(f"images-{generation}.h5")
            moved.write_bytes(pictures.read_bytes())
            roles = {role: file_of(folder, manifest, role) for role in manifest.files}
            changed = replace(manifest, generation=generation)
            commit(folder, changed, roles | {"images": moved})

    first = file_of(folder, read_manifest(folder), "images")
    done = score_store(folder, ["psd_99_per_bw"], initialisations=1, on_start=merge_twice)
    assert not first.exists()
    assert (done.manifest.generation, done.values, done.missing) == (4, 10, 0)


def test_a_generation_made_from_an_older_one_is_refused(make_store):
    folder = make_store("store")
    old = read_manifest(folder)
    roles = {role: file_of(folder, old, role) for role in old.files}
    score_store(folder, ["psd_99_per_bw"], initialisations=1)
    with pytest.raises(StoreError, match=r"has generation 2 where 1 was read.*run this again$"):
        commit(folder, old, roles, after=old.generation)
    assert read_manifest(folder).generation == 2


def test_a_damaged_part_of_the_scores_is_set_aside_with_a_warning(make_store, monkeypatch):
    folder = make_store("store")

    def interrupt():
        raise KeyboardInterrupt

    def failing(path):
        raise OSError(errno.EIO, "Input/output error", str(path))

    with pytest.raises(KeyboardInterrupt):
        score_store(folder, ["psd_99_per_bw"], initialisations=1, on_model=interrupt)
    (part,) = (folder / scoring.SCORE_PARTS).glob("*.parquet")
    content = part.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", failing)
        with pytest.raises(StoreError, match="Input/output error"):
            score_store(folder, ["psd_99_per_bw"], initialisations=1)
    assert part.read_bytes() == content
    part.write_bytes(content[:-9])
    with pytest.warns(UserWarning, match=r"set aside as .*\.corrupt: `dipbench score"):
        done = score_store(folder, ["psd_99_per_bw"], initialisations=1)
    assert (done.values, done.missing) == (10, 0)


def test_a_full_disk_is_one_line(make_store, monkeypatch):
    folder = make_store("store")

    def full(*given):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(scoring, "write_table", full)
    with pytest.raises(StoreError, match=r"No space left on device.*then give the same"):
        score_store(folder, ["psd_99_per_bw"], initialisations=1)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"initialisations": 0}, "0 initialisations score nothing"),
        ({"initialisations": 2.5}, "2.5 initialisations score nothing"),
        ({"seed": 1.0}, "seed 1.0 is no whole number"),
        ({"sample": 0}, "a sample of 0 models"),
    ],
)
def test_numbers_that_score_nothing_are_refused(make_store, asked, why):
    with pytest.raises(ScoreError, match=why):
        score_store(make_store("store"), ["macs"], **asked)


def test_one_name_in_place_of_a_list_is_told(make_store):
    with pytest.raises(QueryError, match="give a list of scores"):
        score_store(make_store("store"), "macs")
