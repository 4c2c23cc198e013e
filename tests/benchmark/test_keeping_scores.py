"""Scores kept between sittings: none is lost or made twice, and nothing foreign is taken up."""

import runpy
from collections.abc import Callable
from pathlib import Path
from shutil import rmtree

import pyarrow as pa
import pytest

from dipbench.benchmark import load
from dipbench.benchmark.building import build
from dipbench.benchmark.keeping import keep, restore
from dipbench.benchmark.keeping_scores import drop_scores, keep_scores, restore_scores, scores_of
from dipbench.benchmark.plan import Plan
from dipbench.benchmark.scorefiles import SCORES_SCHEMA, commit_scores, committed_scores
from dipbench.benchmark.scoring import score_store
from dipbench.errors import StoreError

Freeze = Callable[..., Plan]
Few = runpy.run_path(str(Path(__file__).with_name("test_keeping.py")))["Few"]
SCORES = ("parameters_used", "macs")
CAMERA = ("camera", "denoising-25")


@pytest.fixture
def built(tmp_path: Path, frozen_plan: Freeze) -> Callable[..., Path]:
    def make(name: str, models: tuple[int, ...], seeds: tuple[int, ...] = (0,)) -> Path:
        frozen_plan(tmp_path / name, models, CAMERA[1:], seeds)
        build(tmp_path / name, Few(100))
        return tmp_path / name

    return make


def rows(folder: Path) -> list[list[object]]:
    return load(folder).scores().to_numpy().tolist()


def test_scores_of_some_models_are_good_for_more_and_for_other_seeds(built, tmp_path):
    kept, few, more = (
        tmp_path / "kept",
        built("few", (49, 273)),
        built("more", (49, 273, 124), (1,)),
    )
    score_store(few, SCORES)
    assert keep_scores(few, kept) == 4
    assert keep_scores(few, kept) == 0
    assert restore_scores(kept, more) == 4
    assert restore_scores(kept, more) == 0
    assert rows(more) == rows(few)
    left = []
    score_store(more, SCORES, on_start=left.append)
    assert left == [1]
    assert keep_scores(more, kept) == 2
    assert restore_scores(kept, few) == 0, "of a model that it does not have"


def test_what_a_killed_scoring_has_made_is_kept(built, tmp_path, monkeypatch):
    monkeypatch.setattr("dipbench.benchmark.scoring.MODELS_PER_PART", 1)
    folder = built("store", (49, 273, 124))

    def killed():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_store(folder, SCORES, on_model=killed)
    assert keep_scores(folder, tmp_path / "kept") == 2


def test_runs_and_scores_are_kept_in_one_place(built, tmp_path, frozen_plan):
    kept, folder = tmp_path / "kept", built("store", (49, 273))
    score_store(folder, SCORES)
    keep_scores(folder, kept)
    assert keep(folder, kept) == 2
    assert keep(folder, kept) == 0
    rmtree(folder)
    frozen_plan(folder, (49, 273), CAMERA[1:])
    assert restore(kept, folder) == 2


def test_nothing_kept_gives_nothing(built, tmp_path):
    assert restore_scores(tmp_path / "kept", built("store", (49,))) == 0


def test_what_is_foreign_or_damaged_is_refused(built, tmp_path):
    kept, folder = tmp_path / "kept", built("store", (49,))
    score_store(folder, SCORES)
    keep_scores(folder, kept)
    scores_of(kept, CAMERA).write_bytes(b"PAR1")
    for act in (lambda: keep_scores(folder, kept), lambda: restore_scores(kept, folder)):
        with pytest.raises(StoreError, match=r"is damaged .*: restore it from a copy"):
            act()
    record = kept / "kept.json"
    record.write_text(record.read_text().replace('"size": 64', '"size": 96'))
    for act in (lambda: keep_scores(folder, kept), lambda: restore_scores(kept, folder)):
        with pytest.raises(StoreError, match="holds runs of another protocol"):
            act()


def test_a_kept_value_stands_in_for_a_failure(built, tmp_path):
    kept, folder = tmp_path / "kept", built("store", (49,))
    score_store(folder, SCORES[:1])
    made = rows(folder)
    keep_scores(folder, kept)
    [row] = committed_scores(folder).to_pylist()
    failed = row | {"value": None, "reason": "out of memory"}
    commit_scores(folder, pa.Table.from_pylist([failed], schema=SCORES_SCHEMA))
    assert restore_scores(kept, folder) == 1
    assert rows(folder) == made


def test_a_kept_value_outlives_a_failure_that_is_shipped(built, tmp_path):
    kept, folder = tmp_path / "kept", built("store", (49, 273))
    score_store(folder, ("macs",))
    keep_scores(folder, kept)
    made = committed_scores(folder)
    failed = [{**row, "value": None, "reason": "failed"} for row in made.to_pylist()]
    commit_scores(folder, pa.Table.from_pylist(failed, schema=SCORES_SCHEMA))
    drop_scores(kept, folder, CAMERA)
    assert restore_scores(kept, folder) == 2
    drop_scores(kept, folder, CAMERA)
    assert not scores_of(kept, CAMERA).exists()
