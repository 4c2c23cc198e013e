"""What `train` and its like refuse: in one line, before anything is trained or written."""

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import h5py
import numpy as np
import pytest

from dipbench.data import save_image

Call = Callable[..., Any]

PLAN = ["--images", "camera", "--models", "deep-decoder", "--protocol", "quick", "--size", "64"]


def refused(answer: Any, said: str) -> None:
    assert (answer.status, answer.out, answer.err.count("\n")) == (2, "", 1), answer.err
    assert said in answer.err


@pytest.fixture
def copy(store: Path, tmp_path: Path) -> Path:
    return Path(copytree(store, tmp_path / "copy"))


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_runs_of_another_kind_are_not_mixed_with_those_that_are_there(
    dipbench: Call, copy: Path, more: list[str]
) -> None:
    refused(dipbench("train", *PLAN, "--out", copy, *more), "was planned with other")
    (copy / "plan.json").unlink()
    before = sorted(copy.rglob("*"))
    answer = dipbench("train", *PLAN, "--observation-seed", 3, "--out", copy, *more)
    refused(answer, "holds runs of another protocol (iterations), observation seed (0 and")
    assert sorted(copy.rglob("*")) == before


@pytest.mark.parametrize("more", [["--seeds", 1], ["--tasks", "sr-4", "--dry-run"]])
def test_what_a_plan_that_is_there_would_pass_over_is_refused(
    dipbench: Call, copy: Path, more: list[Any]
) -> None:
    answer = dipbench("train", "--out", copy, *more)
    refused(answer, f"is planned already, and {more[0]} would be passed over")
    assert f"`dipbench add {copy} OTHER`" in answer.err
    other = dipbench("train", "--out", copy, "--iterations", 7)
    refused(other, "is planned already, and --iterations would be passed over")
    assert "dipbench add" not in other.err, "which would refuse the runs of another protocol"
    assert dipbench("train", "--out", copy, "--workers", 1).status == 0


def test_no_images_are_no_pictures_of_the_folder(
    dipbench: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_image(tmp_path / "private.png", np.full((64, 64), 0.5))
    refused(dipbench("train", "--images", "", "--out", tmp_path / "s"), "no images given")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["score", "pilot"], "to add scores to it, give a copy of its folder, /"),
        (
            ["add", "pilot", "x"],
            "`dipbench compact` puts benchmarks of one protocol into a new one",
        ),
        (["finish", "pilot"], "pilot is finished already: ask it with --store pilot"),
        (["status", "pilot"], "pilot is complete: `dipbench info --store pilot` tells what it"),
    ],
)
def test_a_benchmark_of_the_package_is_not_changed_by_its_name(
    dipbench: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(dipbench(*command), said)


def test_a_compact_benchmark_takes_no_runs(dipbench: Call, store: Path, tmp_path: Path) -> None:
    assert dipbench("compact", store, "--out", tmp_path / "small").status == 0
    refused(dipbench("train", *PLAN, "--out", tmp_path / "small"), "is a compact benchmark")
    assert not (tmp_path / "small" / "plan.json").exists()
    whole = f"{tmp_path / 'small'} is complete: `dipbench info --store {tmp_path / 'small'}` tells"
    for command in (["status"], ["status", "--watch"], ["train", "--out"]):
        answer = dipbench(*command, tmp_path / "small")
        refused(answer, whole)
        assert "give another folder" in answer.err


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_observations_that_are_not_there_are_missed_before_a_folder_is_made(
    dipbench: Call, store: Path, tmp_path: Path, more: list[str]
) -> None:
    plan = ["--images-from", store, "--models", "deep-decoder", "--tasks", "denoising-50"]
    answer = dipbench("train", *plan, "--out", tmp_path / "new", *more)
    refused(answer, "there are no observations of camera denoising-50")
    assert not (tmp_path / "new").exists()


def test_images_can_be_chosen_of_those_of_a_benchmark(
    dipbench: Call, store: Path, tmp_path: Path
) -> None:
    plan = ["--images-from", store, "--models", "deep-decoder", "--protocol", "isnas"]
    plan += ["--dry-run", "--out", tmp_path / "new"]
    refused(dipbench("train", *plan, "--images", "no"), f"unknown image of {store} 'no'")
    answer = dipbench("train", *plan, "--images", "camera")
    assert answer.status == 0, answer.err
    assert answer.out.startswith("1 run"), answer.out


def test_images_from_a_benchmark_go_with_a_protocol_of_their_size(
    dipbench: Call, tmp_path: Path
) -> None:
    plan = ["--images-from", "mini", "--models", 3, "--dry-run", "--out", tmp_path / "new"]
    assert dipbench("train", *plan, "--protocol", "mini64").status == 0
    answer = dipbench("train", *plan, "--protocol", "mini64", "--size", 96)
    refused(answer, "camera is not 96x96: choose a protocol of its size, or one without")


@pytest.mark.parametrize("mistyped", ["-h", "--hlep", "-V"])
def test_an_option_before_any_command_is_answered(dipbench: Call, mistyped: str) -> None:
    refused(dipbench(mistyped), f"no such option: {mistyped}")


def test_no_option_is_passed_over_beside_images_from(
    dipbench: Call, store: Path, tmp_path: Path
) -> None:
    plan = ["--images-from", store, "--models", "deep-decoder", "--observation-seed", 0]
    refused(dipbench("train", *plan, "--out", tmp_path / "new"), "leave out --observation-seed")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (["--seeds", "9" * 23], "is out of range: choose 0 to 9007199254740992"),
        (["--seeds", "²"], "are no whole numbers"),
        (["--seeds", "9" * 5000], "are no whole numbers"),
        (["--seeds", ","], "are no whole numbers"),
        (["--shard", "1/²"], "is no shard"),
        (["--models", "random:²"], "is no random choice"),
        (["--models", "nosuch.txt"], "there is no file nosuch.txt"),
        (["--models", "lists/nosuch"], "there is no file lists/nosuch"),
        (["--models", "n" * 300], "unknown model"),
        (["--threads", 99_999], "invalid value for '--threads'"),
    ],
)
def test_what_is_no_plan_makes_no_folder(
    dipbench: Call, tmp_path: Path, changed: list[str], said: str
) -> None:
    refused(dipbench("train", *PLAN, *changed, "--out", tmp_path / "new"), said)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("command", [["train", "--dry-run"], ["train"]])
def test_a_plan_without_its_pictures_is_one_line(
    dipbench: Call, copy: Path, command: list[str]
) -> None:
    with h5py.File(copy / "plan-images.h5", "r+") as file:
        file.move("images/camera", "images/other")
    refused(dipbench(*command, "--out", copy), "does not hold the image camera of the plan")


@pytest.mark.parametrize("name", ["plan.json", "benchmark.json"])
def test_deep_nesting_is_damage(dipbench: Call, copy: Path, name: str) -> None:
    (copy / name).write_text("[" * 100_000)
    commands: list[list[Any]] = [["train", "--out", copy], ["status", copy]]
    if name == "benchmark.json":
        commands += [["finish", copy], ["info", "--store", copy]]
        assert "is damaged (RecursionError" in dipbench("verify", copy).out
    for command in commands:
        refused(dipbench(*command), f"{name} is damaged")


def test_what_is_refused_leaves_no_folder(dipbench: Call, store: Path, tmp_path: Path) -> None:
    refused(dipbench("add", tmp_path / "none", store), "there is no such folder")
    (tmp_path / "empty").mkdir()
    refused(dipbench("finish", tmp_path / "empty"), "holds no finished runs yet")
    refused(dipbench("train", "--out", tmp_path / "none"), "holds no plan")
    (tmp_path / "text").write_text("no archive")
    for name in ("empty", "text"):
        answer = dipbench("import", tmp_path / name, "--out", tmp_path / "none")
        refused(answer, f"nothing that could be imported was found in {tmp_path / name}: expected")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "text"]
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_plan_of_the_runs_that_are_there_goes_on(dipbench: Call, tmp_path: Path) -> None:
    plan = [*PLAN, "--iterations", 2, "--out", tmp_path / "a"]
    assert dipbench("train", *plan).status == 0
    (tmp_path / "a" / "plan.json").unlink()
    again = dipbench("train", *plan, "--seeds", "0,1", "--json")
    assert again.status == 0, again.err
    assert json.loads(again.out)["made"] == {"finished": 1}


def test_a_dry_run_refuses_a_place_that_cannot_be_trained_into(
    dipbench: Call, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "store"):
        refused(dipbench("train", *PLAN, "--out", place, "--dry-run"), "is a file; name a folder")
    assert dipbench("train", *PLAN, "--out", tmp_path / "a" / "b", "--dry-run").status == 0
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (["--models", "0,dip-transposed"], "dip-transposed cannot make an image 64 pixels wide"),
        (["--tasks", "denoising-25,sr-3"], "sr-3 needs sides that are multiples of 3"),
        (["--size", 10**6], "size 1000000 is too large"),
    ],
)
def test_what_cannot_be_had_of_a_picture_is_refused_before_a_folder_is_made(
    dipbench: Call, tmp_path: Path, wanted: list[Any], said: str, more: list[str]
) -> None:
    refused(dipbench("train", *PLAN, *wanted, "--out", tmp_path / "new", *more), said)
    assert not (tmp_path / "new").exists()


def test_blanks_in_a_list_of_tasks_are_none(dipbench: Call, tmp_path: Path) -> None:
    shared = ["train", *PLAN, "--iterations", 1, "--out", tmp_path / "s", "--dry-run"]
    answer = dipbench(*shared, "--tasks", "denoising, sr-2,")
    assert answer.out.startswith("2 runs"), answer.err


def test_a_failure_is_told_with_its_reason(dipbench: Call, tmp_path: Path) -> None:
    store = tmp_path / "s"
    assert dipbench("train", *PLAN, "--iterations", 1, "--out", store, "--workers", 1).status == 0
    # As plans were before what cannot be had was refused.
    plan = (store / "plan.json").read_text()
    (store / "plan.json").write_text(plan.replace("deep-decoder", "dip-transposed"))
    answer = dipbench("train", "--out", store, "--workers", 1)
    assert answer.status == 1
    said = (
        "1 failed: `dipbench train --out {} --retry-failed` tries again; dip-transposed on camera"
    )
    assert said.format(store) in answer.err
    assert "65 pixels or more" in answer.err
