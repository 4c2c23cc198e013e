"""The published search on one picture: what it trains, that it can be killed, what it refuses."""

import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from dipbench.analysis.search.isnas import search
from dipbench.analysis.search.isnas_stages import HOPELESS
from dipbench.analysis.search.journal import Journal
from dipbench.analysis.search.listed import ScoreGuided
from dipbench.data import Observation, load_image, parse_task
from dipbench.errors import (
    DeviceError,
    DivergenceError,
    ImageError,
    ProtocolError,
    QueryError,
    ScoreError,
    StoreError,
)
from dipbench.evaluate import fitting, restoring
from dipbench.evaluate.memory import TooLittleMemoryError
from dipbench.evaluate.reducing import reduce_observation
from dipbench.evaluate.scores_network_probe import Probe
from dipbench.evaluate.selecting import nearest_to_average, nearest_to_noise
from dipbench.evaluate.stopping import STOPPING
from dipbench.genotypes import sample

TASK = parse_task("denoising-25")
CAMERA = load_image("camera", size=64)
NOISY = TASK.observe(CAMERA, 0)
OPTIONS = {"models": 4, "keep": 2, "iterations": 2, "threads": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("search")


@pytest.fixture(scope="module")
def found(folder):
    return search(NOISY, TASK, folder=folder, truth=CAMERA, **OPTIONS)


def test_the_best_scores_are_trained_and_the_nearest_is_selected(found, folder):
    assert set(found.scores) == {str(genotype) for genotype in sample(4, 0)}
    trained = [candidate.model for candidate in found.candidates]
    assert trained == sorted(found.scores, key=found.scores.__getitem__)[:2]
    journal = Journal(folder, {})
    outputs = [journal.output(model) for model in trained]
    index, distances = nearest_to_average(outputs, [c.score for c in found.candidates])
    assert found.selected == trained[index]
    assert [c.distance for c in found.candidates] == distances.tolist()


def test_the_discrepancy_selects_among_the_same_candidates(found, folder):
    other = search(NOISY, TASK, folder=folder, selection="discrepancy", **OPTIONS)
    assert [c.model for c in other.candidates] == [c.model for c in found.candidates]
    outputs = [Journal(folder, {}).output(c.model) for c in other.candidates]
    index, discrepancies = nearest_to_noise(outputs, NOISY.observed, TASK.mean_squared_noise(NOISY))
    assert other.selected == other.candidates[index].model
    assert [c.distance for c in other.candidates] == discrepancies.tolist()


def test_the_discrepancy_knows_what_clipping_and_averaging_leave_of_the_noise(tmp_path):
    task = parse_task("denoising-50")
    large = task.observe(load_image("camera", size=128), 0)
    small = reduce_observation(large, 64).observation
    options = OPTIONS | {"iterations": 1, "folder": tmp_path, "small_side": 64}
    made = search(large, task, selection="discrepancy", **options)
    outputs = [Journal(tmp_path, {}).output(c.model) for c in made.candidates]
    _, expected = nearest_to_noise(outputs, small.observed, task.mean_squared_noise(large) / 4)
    assert [c.distance for c in made.candidates] == pytest.approx(expected.tolist())


def test_the_liveliest_of_those_as_near_as_the_noise_is_selected(monkeypatch):
    task = parse_task("denoising-200")  # such noise is reached soon
    noisy = task.observe(CAMERA, 0)
    restore, trained = restoring.restore, {}

    def seen(*args, **options):
        made = restore(*args, **options)
        trained.setdefault(made.model, made.fit.curves)  # as a candidate, which comes first
        return made

    monkeypatch.setattr(restoring, "restore", seen)
    options = OPTIONS | {"iterations": 20}
    made = search(noisy, task, selection="discrepancy_variance", **options)
    for one in made.candidates:
        curves = trained[one.model]
        stop = STOPPING["discrepancy"](curves, task.mean_squared_noise(noisy))
        assert one.distance == (None if stop is None else curves["variance"][stop])
    variances = {c.model: c.distance for c in made.candidates if c.distance is not None}
    assert variances
    assert made.selected == max(variances, key=variances.__getitem__)


@pytest.mark.parametrize(
    ("task", "selection", "told"),
    [("sr-2", "discrepancy", "noise of sr-2 is not known"), (TASK, "best", "unknown selection")],
)
def test_a_selection_that_cannot_be(task, selection, told):
    with pytest.raises(QueryError, match=told):
        search(parse_task(task).observe(CAMERA, 0), task, selection=selection, **OPTIONS)


def test_an_output_that_cannot_be_is_refused_before_any_scoring(tmp_path):
    half = parse_task("sr-2")
    with pytest.raises(ProtocolError, match="noise of this observation is not known"):
        search(half.observe(CAMERA, 0), half, output="discrepancy", folder=tmp_path, **OPTIONS)
    assert list(tmp_path.iterdir()) == []


def test_the_selected_model_is_the_one_trained_from_fresh_weights(found, folder):
    assert found.restoration.model == found.selected
    before = Journal(folder, {}).output(found.selected)
    assert found.restoration.fit.seed != 0
    assert not np.array_equal(found.restoration.fit.outputs["smooth"], before)
    assert found.restoration.quality["psnr"] > 0


def test_a_killed_search_goes_on_and_finds_the_same(found, tmp_path):
    def kill(stage, done, total):
        if (stage, done) == ("training candidates", 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(NOISY, TASK, folder=tmp_path, progress=kill, **OPTIONS)
    with (tmp_path / "trained.jsonl").open("a") as file:
        file.write('{"model": "cut sho')
    stages = []
    again = search(
        NOISY, TASK, folder=tmp_path, progress=lambda *step: stages.append(step), **OPTIONS
    )
    assert stages[0] == ("scoring", 4, 4)
    assert again.selected == found.selected
    assert np.array_equal(again.restoration.image, found.restoration.image)
    lines = (tmp_path / "trained.jsonl").read_text().splitlines()
    assert len([line for line in lines if line.endswith("}")]) == 2


def test_scores_that_memory_did_not_do_for_are_tried_again(found, tmp_path, monkeypatch):
    def fails(*_):
        raise RuntimeError("DefaultCPUAllocator:\ncan't allocate memory")

    with monkeypatch.context() as patched:
        patched.setattr(Probe, "output", fails)
        with pytest.raises(QueryError, match="Allocator: can't allocate memory"):
            search(NOISY, TASK, folder=tmp_path, **OPTIONS)
    again = search(NOISY, TASK, folder=tmp_path, **OPTIONS)
    assert again.scores == found.scores


def test_what_has_no_score_is_known_to_have_none(tmp_path, monkeypatch):
    def fails(*_):
        raise ScoreError("score psd is nan: it has no finite value here")

    for _ in range(2):
        with monkeypatch.context() as patched:
            patched.setattr(Probe, "output", fails)
            with pytest.raises(QueryError, match="no finite value"):
                search(NOISY, TASK, folder=tmp_path, **OPTIONS)
    assert len(Journal(tmp_path, {}).records("scores")) == OPTIONS["models"]


def test_a_picture_that_no_model_has_the_score_of_ends_the_scoring(tmp_path):
    tiny = TASK.observe(load_image("camera", size=64), 0)
    tiny = Observation(tiny.observed[:, :8, :8], zoom=8)
    with pytest.raises(QueryError, match="no model has a psd_db_strip_mse here"):
        search(tiny, "sr-8", models=5000, keep=1, iterations=1, threads=1, folder=tmp_path)
    assert HOPELESS <= len(Journal(tmp_path, {}).records("scores")) < 2 * HOPELESS


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TooLittleMemoryError("too little memory on cpu for one run"), "failed"),
        (DivergenceError("the training of a diverged: its loss is nan"), "diverged"),
    ],
)
def test_a_candidate_that_cannot_be_trained_does_not_end_the_search(
    found, tmp_path, monkeypatch, error, status
):
    first, other = (candidate.model for candidate in found.candidates)
    fit = restoring.fit

    def one_fails(model, *given, **more):
        if model == first:
            raise error
        return fit(model, *given, **more)

    with monkeypatch.context() as patched:
        patched.setattr(restoring, "fit", one_fails)
        made = search(NOISY, TASK, folder=tmp_path, **OPTIONS)
    assert [candidate.model for candidate in made.candidates] == [made.selected] == [other]
    records = Journal(tmp_path, {}).records("trained")
    assert [record["status"] for record in records] == [status, "finished"]
    # Memory may be there another time; a training that diverged diverges again.
    again = search(NOISY, TASK, folder=tmp_path, **OPTIONS)
    assert len(again.candidates) == (2 if status == "failed" else 1)


def test_a_search_of_which_no_candidate_can_be_trained_says_why(monkeypatch):
    def fails(*given, **more):
        raise TooLittleMemoryError("too little memory on cpu for one run")

    monkeypatch.setattr(restoring, "fit", fails)
    with pytest.raises(QueryError, match=r"none of 2 candidates .*too little memory on cpu"):
        search(NOISY, TASK, **OPTIONS)


def test_an_output_that_is_lost_meanwhile_is_told(tmp_path, monkeypatch):
    def loses(searcher, outcome):
        next(tmp_path.glob("*.npy")).unlink()

    monkeypatch.setattr(ScoreGuided, "tell", loses)
    with pytest.raises(StoreError, match="lost the output"):
        search(NOISY, TASK, folder=tmp_path, **OPTIONS)


def test_a_folder_of_another_search_is_refused(found, folder):
    with pytest.raises(StoreError, match="another seed"):
        search(NOISY, TASK, folder=folder, seed=3, **OPTIONS)
    assert json.loads((folder / "search.json").read_text())["seed"] == 0


def test_the_trainings_have_the_precision_asked_for(tmp_path):
    try:
        made = search(NOISY, TASK, folder=tmp_path, precision="bf16", **OPTIONS | {"keep": 1})
    except DeviceError as error:
        pytest.skip(str(error))
    assert made.restoration.protocol.precision == "bf16"
    assert json.loads((tmp_path / "search.json").read_text())["protocol"]["precision"] == "bf16"


def test_a_small_budget_cuts_trainings_short_and_still_restores(tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "CHUNK", 2)
    options = OPTIONS | {"models": 50, "iterations": 5}
    made = search(NOISY, TASK, budget=0.01, folder=tmp_path, **options)
    assert len(made.scores) < 50
    (record,) = Journal(tmp_path, {}).records("trained")
    assert (record["status"], record["iterations"]) == ("stopped", 2)
    assert [candidate.model for candidate in made.candidates] == [made.selected]
    assert (made.restoration.fit.status, made.restoration.fit.length) == ("stopped", 2)
    assert made.restoration.image.std() > 0


def test_a_candidate_cut_short_is_trained_again_given_more_time(found, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "again")
    trained = tmp_path / "again" / "trained.jsonl"
    first = json.loads(trained.read_text().splitlines()[0])
    trained.write_text(json.dumps(first | {"status": "stopped", "seconds": 9.0}) + "\n")
    hasty = search(NOISY, TASK, folder=tmp_path / "again", budget=10, **OPTIONS)
    assert [candidate.model for candidate in hasty.candidates] == [first["model"]]
    assert len(trained.read_text().splitlines()) == 1
    patient = search(NOISY, TASK, folder=tmp_path / "again", **OPTIONS)
    assert patient.selected == found.selected
    lines = [json.loads(line) for line in trained.read_text().splitlines()]
    assert [(line["model"], line["status"]) for line in lines[:2]] == [
        (first["model"], "stopped"),
        (first["model"], "finished"),
    ]


def test_candidates_can_be_trained_on_a_smaller_picture(tmp_path):
    large = TASK.observe(load_image("camera", size=128), 0)
    options = OPTIONS | {"models": 1, "keep": 1, "iterations": 1}
    made = search(large, TASK, folder=tmp_path, small_side=64, **options)
    assert made.effective_sigma == pytest.approx(12.5)
    assert Journal(tmp_path, {}).output(made.selected).shape == (1, 64, 64)
    assert made.restoration.image.shape == (1, 128, 128)
    assert json.loads((tmp_path / "search.json").read_text())["effective_sigma"] == 12.5
    with pytest.raises(StoreError, match="another small_side"):
        search(large, TASK, folder=tmp_path, **options)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"keep": 5}, QueryError),
        ({"keep": 0}, QueryError),
        ({"budget": 0}, QueryError),
        ({"budget": float("nan")}, QueryError),
        ({"small_side": 64}, ImageError),
        ({"output": "best"}, ProtocolError),
        ({"truth": load_image("camera", size=96)}, ImageError),
        ({"score": "psd"}, ScoreError),
        ({"score": "synflow"}, QueryError),
    ],
)
def test_mistakes_are_told(options, error):
    with pytest.raises(error):
        search(NOISY, TASK, **OPTIONS | options)


def test_a_damaged_output_is_named(tmp_path):
    journal = Journal(tmp_path, {"task": "a"})
    journal.save_output("model", np.zeros((1, 2, 2)))
    assert journal.output("model").shape == (1, 2, 2)
    for content in (b"junk", b"", b"PK\x03\x04junk"):
        next(tmp_path.glob("*.npy")).write_bytes(content)
        with pytest.raises(StoreError, match="delete it"):
            journal.output("model")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("search.json", b"[1]"),
        ("search.json", b"\xff{}"),
        ("scores.jsonl", b"\xff\xfe\n"),
        ("scores.jsonl", b'{"model": "a", "score": 1.0}\n'),
        ("scores.jsonl", b"[1]\n"),
        ("trained.jsonl", b'{"model": "a", "seconds": 1.0}\n'),
    ],
)
def test_a_damaged_folder_is_named(found, folder, tmp_path, name, content):
    shutil.copytree(folder, tmp_path / "again")
    (tmp_path / "again" / name).write_bytes(content)
    with pytest.raises(StoreError, match=f"{name} is damaged"):
        search(NOISY, TASK, folder=tmp_path / "again", **OPTIONS)


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    journal = Journal(tmp_path, {"task": "a"})
    monkeypatch.setattr(np, "save", full)
    with pytest.raises(StoreError, match=r"cannot write to .*: No space left"):
        journal.save_output("model", np.zeros((1, 2, 2)))
    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(StoreError, match=r"cannot write to .*: No space left"):
        journal.add("scores", {"model": "a"})


@pytest.mark.parametrize("budget", ["60", float("nan"), 0, True])
def test_a_budget_is_a_number_of_seconds(budget):
    with pytest.raises(QueryError, match="seconds buys nothing"):
        search(NOISY, TASK, **OPTIONS | {"budget": budget})
