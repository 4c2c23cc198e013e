"""Plans: which models a text means, and that a plan once frozen stays as it is."""

import json
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dipbench.benchmark.choosing import parse_models
from dipbench.benchmark.pictures import read_image, read_images, read_observation
from dipbench.benchmark.plan import (
    PLAN,
    PLAN_PICTURES,
    freeze_plan,
    make_plan,
    read_plan,
)
from dipbench.data import Image, MaskInpainting, parse_task
from dipbench.errors import DipbenchError, GenotypeError, StoreError, TaskError
from dipbench.evaluate.protocol import get_protocol
from dipbench.genotypes import ISNAS522, sample, stratified

QUICK = get_protocol("quick")


def test_every_form_of_models() -> None:
    texts = [str(genotype) for genotype in ISNAS522]
    assert parse_models("isnas522") == tuple(texts)
    assert parse_models("9, 0,9,,0") == (texts[9], texts[0])
    assert parse_models(f"{texts[3]},{ISNAS522[3].short_name}") == (texts[3],)
    assert parse_models("random:3:7") == tuple(str(genotype) for genotype in sample(3, 7))
    assert parse_models("random:3") == parse_models("random:3:0") != parse_models("random:3:1")
    assert parse_models("dip,0") == ("dip", texts[0])
    assert parse_models("stratified:3:7") == tuple(map(str, stratified(3, 7)))
    assert parse_models("stratified:3") == tuple(map(str, stratified(3)))


def test_a_file_of_models(tmp_path: Path) -> None:
    file = tmp_path / "models.txt"
    file.write_text(f"# the best ones\n\n  12  # one more\nrandom:2:1\n{ISNAS522[12]}\n")
    expected = [str(ISNAS522[5]), str(ISNAS522[12]), *map(str, sample(2, 1))]
    assert parse_models(f"5,{file}") == tuple(expected)
    file.write_text(str(file))  # a file is not looked for in a file
    with pytest.raises(GenotypeError):
        parse_models(str(file))
    plain = tmp_path / "best"
    plain.write_text("12\n")
    with chdir(tmp_path):  # without a suffix or a folder it is a file's name all the same
        assert parse_models("best,5") == (str(ISNAS522[12]), str(ISNAS522[5]))
    file.write_text("\ufeff12\n", encoding="utf-8")  # with the mark that some editors begin with
    assert parse_models(str(file)) == (str(ISNAS522[12]),)
    file.write_text("12\n\nfoo\n")
    with pytest.raises(GenotypeError, match=r"models\.txt, line 3: unknown model 'foo'"):
        parse_models(str(file))
    file.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(GenotypeError, match="is no readable list of models"):
        parse_models(str(file))


@pytest.mark.parametrize(
    "text",
    ["", " , ", "522", "-1", "no-model", "random:x", "random:-1:0", "random:1:2:3"]
    + [f"stratified:{rest}" for rest in ("", "523", "2:x")]
    + ["random:1000001", "isnas"],
)
def test_what_names_no_model_is_refused(text: str) -> None:
    with pytest.raises(GenotypeError):
        parse_models(text)


def test_a_wrong_choice_is_told_the_right_ones() -> None:
    with pytest.raises(GenotypeError, match="or isnas522, stratified:32, random:32:7, or a file"):
        parse_models("ISNAS522")


def planned(image: Image, **changes: Any) -> Any:
    settings = {
        "models": ["9", "0"], "tasks": ["denoising", "denoising-25", "sr-4"], "seeds": [0, 1, 0],
        "protocol": QUICK, "observation_seed": 3,
    }  # fmt: skip
    return make_plan("small", images=[image], **{**settings, **changes})


def test_a_plan_holds_each_run_once(camera: Image) -> None:
    plan = planned(camera)
    assert plan.models == (str(ISNAS522[9]), str(ISNAS522[0]))
    assert plan.tasks == ("denoising-25", "sr-4")
    assert plan.seeds == (0, 1)
    keys = plan.run_keys()
    assert len(keys) == len(set(keys)) == 8
    # In the order of rows: task before model, genotype order before seed.
    first = min(ISNAS522[9], ISNAS522[0])
    assert keys[0] == (str(first), "camera", "denoising-25", 0)
    assert [key.task for key in keys] == 4 * ["denoising-25"] + 4 * ["sr-4"]


def test_a_frozen_plan_comes_back(tmp_path: Path, camera: Image) -> None:
    plan = planned(camera, protocol=QUICK.replace(ema=(0.9, 0.5)), outputs=True)
    freeze_plan(tmp_path, plan, [camera])
    assert read_plan(tmp_path) == plan
    before = (tmp_path / PLAN).stat().st_mtime_ns
    freeze_plan(tmp_path, plan, [camera])
    assert (tmp_path / PLAN).stat().st_mtime_ns == before


def test_another_order_is_no_other_plan(tmp_path: Path, camera: Image) -> None:
    plan = planned(camera)
    freeze_plan(tmp_path, plan, [camera])
    turned = planned(camera, models=["0", "9"], tasks=["sr-4", "denoising"], seeds=[1, 0])
    assert turned.run_keys() == plan.run_keys()
    freeze_plan(tmp_path, turned, [camera])
    assert read_plan(tmp_path) == plan


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"models": ["0"]}, "models"),
        ({"seeds": [0]}, "seeds"),
        ({"tasks": ["sr-4"], "observation_seed": 0}, "tasks, observation_seed"),
        ({"protocol": QUICK.with_iterations(7)}, "protocol"),
        ({"outputs": True}, "outputs"),
    ],
)
def test_another_plan_is_refused_by_what_differs(
    tmp_path: Path, camera: Image, changes: dict[str, Any], named: str
) -> None:
    freeze_plan(tmp_path, planned(camera), [camera])
    content = (tmp_path / PLAN).read_bytes()
    with pytest.raises(StoreError, match=f"was planned with other {named}: resume it with"):
        freeze_plan(tmp_path, planned(camera, **changes), [camera])
    assert (tmp_path / PLAN).read_bytes() == content


def test_other_observations_are_another_plan(tmp_path: Path, camera: Image) -> None:
    task = parse_task("denoising-25")
    drawn = [{("camera", "denoising-25"): task.observe(camera, seed)} for seed in (1, 2)]
    asked = ["0"], [camera], ["denoising-25"], [0], get_protocol("quick")
    plan = make_plan("x", *asked, observation_seed=None)
    freeze_plan(tmp_path, plan, [camera], drawn[0])
    freeze_plan(tmp_path, plan, [camera], drawn[0])
    with pytest.raises(StoreError, match="other observations of camera denoising-25"):
        freeze_plan(tmp_path, plan, [camera], drawn[1])


def test_images_differ_by_content(tmp_path: Path, camera: Image) -> None:
    freeze_plan(tmp_path, planned(camera), [camera])
    other = Image("camera", camera.array[:, ::-1])
    with pytest.raises(StoreError, match="was planned with other images"):
        freeze_plan(tmp_path, planned(other), [other])
    same = Image("camera", camera.array.copy())
    freeze_plan(tmp_path, planned(same), [same])


def test_images_and_observations_are_kept_as_trained_on(tmp_path: Path, camera: Image) -> None:
    plan = planned(camera, tasks=["denoising-25", "inpainting-50", "sr-4"])
    freeze_plan(tmp_path, plan, [camera])
    assert read_images(tmp_path / PLAN_PICTURES) == {"camera": camera}
    assert read_image(tmp_path / PLAN_PICTURES, "camera") == camera
    with pytest.raises(StoreError, match="holds no image coins"):
        read_image(tmp_path / PLAN_PICTURES, "coins")
    for task in plan.tasks:
        drawn = parse_task(task).observe(camera, 3)
        kept = read_observation(tmp_path / PLAN_PICTURES, ("camera", task))
        assert kept == drawn
        assert np.array_equal(kept.observed, drawn.observed)
        assert (kept.mask is None) == (drawn.mask is None)
        assert kept.zoom == drawn.zoom
    with pytest.raises(StoreError, match="holds no observation of camera, sr-2"):
        read_observation(tmp_path / PLAN_PICTURES, ("camera", "sr-2"))


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"name": 1}', "null"])
def test_a_damaged_plan_is_one_error(tmp_path: Path, content: str) -> None:
    (tmp_path / PLAN).write_text(content)
    with pytest.raises(StoreError, match=r"plan\.json is damaged .*restore it from a copy"):
        read_plan(tmp_path)


def test_a_plan_with_an_unusable_protocol_is_damaged(tmp_path: Path, camera: Image) -> None:
    freeze_plan(tmp_path, planned(camera), [camera])
    record = json.loads((tmp_path / PLAN).read_text())
    record["protocol"]["threads"] = 0
    (tmp_path / PLAN).write_text(json.dumps(record))
    with pytest.raises(StoreError, match="threads is 0"):
        read_plan(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seeds", ["a"]),
        ("seeds", [0.5]),
        ("seeds", [-1]),
        ("seeds", [2**53 + 1]),
        ("seeds", 0),
        ("observation_seed", "x"),
        ("images", {"camera": 5}),
        ("images", []),
        ("models", [5]),
        ("tasks", "denoising-25"),
        ("outputs", 1),
        ("name", None),
    ],
)
def test_a_field_of_another_kind_is_damage(
    tmp_path: Path, camera: Image, field: str, value: Any
) -> None:
    freeze_plan(tmp_path, planned(camera), [camera])
    record = json.loads((tmp_path / PLAN).read_text())
    (tmp_path / PLAN).write_text(json.dumps({**record, field: value}))
    with pytest.raises(StoreError, match=r"plan\.json is damaged .*restore it from a copy"):
        read_plan(tmp_path)


def test_seeds_are_those_that_a_file_holds(camera: Image) -> None:
    assert planned(camera, seeds=[0, 2**53]).seeds == (0, 2**53)
    for seed in (-1, 2**53 + 1):
        with pytest.raises(DipbenchError, match=f"seed {seed} is out of range: choose 0 to"):
            planned(camera, seeds=[seed])


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_damaged_pictures_are_an_error_or_as_they_were(
    tmp_path: Path, camera: Image, share: float
) -> None:
    freeze_plan(tmp_path, planned(camera), [camera])
    path = tmp_path / PLAN_PICTURES
    content = bytearray(path.read_bytes())
    at = int(share * len(content))
    content[at : at + 64] = bytes(byte ^ 0x5A for byte in content[at : at + 64])
    path.write_bytes(content)
    try:
        assert read_images(path) == {"camera": camera}
        for task in ("denoising-25", "sr-4"):
            assert read_observation(path, ("camera", task)) == parse_task(task).observe(camera, 3)
    except StoreError:
        pass


@pytest.mark.parametrize("task", ["inpainting-mask", MaskInpainting(np.eye(64, dtype=bool))])
def test_a_mask_of_one_picture_is_no_task_of_a_benchmark(task: Any, camera: Image) -> None:
    with pytest.raises(TaskError, match="a task that any picture can have"):
        make_plan("x", ["0"], [camera], [task], [0], QUICK)


@pytest.mark.parametrize("kind", ["models", "images", "tasks", "seeds"])
def test_a_plan_of_nothing_is_refused(kind: str) -> None:
    camera = Image("camera", np.full((1, 64, 64), 0.5, np.float32))
    given: dict[str, Any] = {
        "models": ["dip"],
        "images": [camera],
        "tasks": ["denoising-25"],
        "seeds": [0],
    }
    with pytest.raises(DipbenchError, match=f"no {kind} given"):
        make_plan("none", **{**given, kind: []}, protocol=QUICK)


@pytest.mark.parametrize("seed", [True, 0.5, "0", None])
def test_a_seed_that_is_no_whole_number_is_refused(seed: Any) -> None:
    camera = Image("camera", np.full((1, 64, 64), 0.5, np.float32))
    with pytest.raises(DipbenchError, match="no whole number"):
        make_plan("odd", ["dip"], [camera], ["denoising-25"], [seed], QUICK)


def test_seeds_of_numpy_are_pythons(tmp_path: Path) -> None:
    camera = Image("camera", np.full((1, 64, 64), 0.5, np.float32))
    plan = make_plan("two", ["dip"], [camera], ["denoising-25"], np.arange(2), QUICK)
    freeze_plan(tmp_path, plan, [camera])
    assert read_plan(tmp_path) == plan


def test_an_observation_seed_is_a_whole_number(tmp_path: Path, camera: Image) -> None:
    plan = make_plan("x", ["dip"], [camera], ["denoising-25"], [0], QUICK, np.int64(3))  # type: ignore[arg-type]
    freeze_plan(tmp_path, plan, [camera])
    assert read_plan(tmp_path) == plan
    with pytest.raises(DipbenchError, match=r"seed 1\.0 is no whole number"):
        make_plan("x", ["dip"], [camera], ["denoising-25"], [0], QUICK, 1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [("dip", ["denoising-25"]), (["dip"], "denoising-25")])
def test_one_name_in_place_of_a_list_is_told(camera: Image, given: Any) -> None:
    models, tasks = given
    with pytest.raises(DipbenchError, match="give a list of"):
        make_plan("x", models, [camera], tasks, [0], QUICK)
