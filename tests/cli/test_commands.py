"""The command line as a whole: help texts, and the way from nothing to an answer."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from typer.main import get_command

from dipbench import load
from dipbench.benchmark.parts import write_part
from dipbench.benchmark.pictures import read_observation
from dipbench.benchmark.plan import read_plan
from dipbench.benchmark.schema import Run
from dipbench.benchmark.store import file_of
from dipbench.cli import app

COMMANDS = get_command(app).commands


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_help_text_has_an_example_of_its_own(name):
    text = COMMANDS[name].help
    assert text is not None
    assert f"`dipbench {name} " in text.partition("Example:")[2]


@pytest.mark.parametrize("name", ["query", "curve", "info", "coverage", "list", "stopping"])
def test_the_examples_of_queries_run(dipbench, name):
    example = COMMANDS[name].help.partition("Example: `dipbench ")[2].partition("`")[0]
    words = shlex.split(example.partition(">")[0].replace("demo-store", "pilot"))
    answer = dipbench(*words)
    assert (answer.status, answer.err) == (0, "")


def test_help_loads_neither_torch_nor_matplotlib():
    code = (
        "import sys; sys.argv = ['dipbench', '--help']\n"
        "from dipbench.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        (["bst"], "no such command 'bst'. Did you mean 'best'? See dipbench --help."),
        (["best", "camera"], "missing argument 'task'. See dipbench best --help."),
        (["best", "camera", "denoising", "--sed", 0], "(Possible options: --seed, --store). See"),
        (["best", "camera", "denoising", "--seed", "x"], "invalid value for '--seed': "),
        (["best", "camera", "denoising", "--seed"], "option '--seed' requires an argument."),
        (["top", "camera", "denoising", "-k", 0], "invalid value for '-k': "),
        (["best", "camera", "denoising", "demo"], "A benchmark is named by --store: dipbench best"),
        (["report", "--store", "x"], "The benchmark stands without --store: dipbench report NAME."),
    ],
)
def test_a_mistaken_command_line_is_one_line(dipbench, mistake, says):
    answer = dipbench(*mistake)
    assert (answer.status, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert answer.err.startswith("dipbench: ")
    assert says in answer.err


def test_without_arguments_there_is_the_help(dipbench):
    answer = dipbench()
    assert (answer.status, answer.err) == (2, "")
    assert "Ask a benchmark" in answer.out


def test_a_reader_who_has_heard_enough_is_no_error():
    command = f"{sys.executable} -m dipbench curve 70 camera denoising | head -n 1"
    script = f"set -o pipefail; {command}; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.splitlines()[0] == "iteration,psnr_smooth"


def test_an_encoding_without_all_signs_is_no_error():
    command = [sys.executable, "-m", "dipbench", "top", "camera", "denoising", "-k", "1"]
    command += ["--store", "pilot"]  # of two seeds, whose spread stands behind ±
    ascii_alone = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONWARNINGS": "error"}
    done = subprocess.run(command, capture_output=True, text=True, env=ascii_alone)
    assert (done.returncode, done.stderr) == (0, "")
    assert " ? " in done.stdout


def test_what_a_download_would_pass_over_is_refused(dipbench):
    answer = dipbench("download", "--no-import", "--outputs")
    assert (answer.status, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert "leave out one" in answer.err


def test_from_nothing_to_an_answer(dipbench, tmp_path, monkeypatch):
    monkeypatch.setattr("dipbench.cli.training.TOLD_SECONDS", 0.0)
    folder = tmp_path / "a-store"
    plan = ["--images", "camera", "--tasks", "denoising", "--models", "0,9,21", "--seeds", "0"]
    plan += ["--protocol", "quick", "--iterations", "2", "--out", folder]
    first = dipbench("train", *plan)
    assert first.status == 0, first.err
    assert "3 finished" in first.err
    assert re.findall(r"(?m)^(\d of 3) runs, about .+ left$", first.err)[-1] == "2 of 3"
    again = dipbench("train", "--out", folder)
    assert "nothing to do" in again.err
    progress = json.loads(dipbench("status", folder, "--json").out)
    assert (progress["planned"], progress["done"], progress["remaining"]) == (3, 3, 0)
    scored = dipbench("score", folder, "--names", "psd_99_per_bw", "--initialisations", 1)
    assert "3 values" in scored.err
    best = json.loads(dipbench("best", "camera", "denoising", "--store", folder, "--json").out)
    assert best["n"] == 1
    few = dipbench("kendall", "camera", "denoising", "--store", folder)
    assert few.status == 2
    assert "5" in few.err


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (["--models", "999"], "0..521"),
        (["--models", "pixel_shuffle-identity-none/" + "0" * 25], "cannot"),
        (["--images", "camra"], "camera"),
        (["--tasks", "denoising-x"], "unknown task"),
        (["--seeds", "one"], "whole numbers"),
        (["--protocol", "fast"], "unknown protocol"),
        (["--size", "32"], "invalid value for '--size'"),
        (["--shard", "3/2"], "i/n"),
        (["--device", "tpu"], "auto, cpu"),
    ],
)
def test_a_bad_plan_is_refused_before_anything_is_written(dipbench, tmp_path, changed, says):
    folder = tmp_path / "store"
    plan = {"--images": "camera", "--models": "0", "--protocol": "quick", "--iterations": "1"}
    plan |= dict([changed])
    answer = dipbench("train", *[word for pair in plan.items() for word in pair], "--out", folder)
    assert answer.status == 2
    assert says in answer.err
    assert answer.err.count("\n") == 1
    assert not folder.exists()


def test_a_dry_run_counts_and_starts_nothing(dipbench, tmp_path):
    folder = tmp_path / "store"
    plan = ["--images", "camera", "--models", "0,9", "--protocol", "quick", "--seeds", "0,1"]
    answer = dipbench("train", *plan, "--out", folder, "--dry-run")
    assert answer.status == 0, answer.err
    assert answer.out.startswith("4 runs")
    assert not folder.exists()


def test_a_dry_run_counts_what_a_shard_has_left(dipbench, store, tmp_path, monkeypatch):
    monkeypatch.setattr("dipbench.benchmark.estimating._seconds", lambda *asked: 3600.0)
    folder = shutil.copytree(store, tmp_path / "copy")
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps({**plan, "seeds": [0, 1, 2]}))
    key = next(key for key in read_plan(folder).run_keys() if key.seed == 2)
    write_part(folder / "parts", [Run(key, "failed", "no reason")])
    damaged = folder / "parts" / "00000000-0000000000000000.parquet"
    damaged.write_bytes(b"no part")
    before = sorted(folder.rglob("*"))

    def runs(*options):
        told = dipbench("train", "--out", folder, "--dry-run", "--json", *options)
        return json.loads(told.out)["runs"]

    assert (runs(), runs("--retry-failed")) == (15, 16)
    assert runs("--shard", "1/2") + runs("--shard", "2/2") == 15
    shown = dipbench("train", "--out", folder, "--dry-run", "--workers", 3)
    assert shown.out.startswith("15 of 48 runs, about ")
    assert sorted(folder.rglob("*")) == before
    nothing = dipbench("train", "--out", store, "--dry-run")
    assert nothing.out.startswith("0 of 32 runs, about 0.0 minutes")
    assert "timing" not in nothing.err


def test_failed_runs_are_told_until_they_are_taken_up(dipbench, tmp_path):
    plan = ["--images", "camera", "--models", "deep-decoder", "--protocol", "quick"]
    plan += ["--iterations", "2", "--seeds", "0,1", "--out", tmp_path]
    assert dipbench("train", *plan, "--shard", "1/2").status == 0
    failing = read_plan(tmp_path).run_keys()[1]
    write_part(tmp_path / "parts", [Run(failing, "failed", "no reason")])
    again = dipbench("train", "--out", tmp_path)
    assert again.status == 1
    assert f"1 failed: `dipbench train --out {tmp_path} --retry-failed`" in again.err
    retried = dipbench("train", "--out", tmp_path, "--retry-failed", "--json")
    assert retried.status == 0, retried.err
    assert json.loads(retried.out)["made"] == {"finished": 1}


def test_a_dry_run_of_a_plan_that_is_there_needs_its_folder_alone(dipbench, tmp_path):
    plan = ["--images", "camera", "--models", "deep-decoder", "--protocol", "quick"]
    plan += ["--iterations", "2", "--seeds", "0,1", "--shard", "1/2"]
    assert dipbench("train", *plan, "--out", tmp_path / "a").status == 0
    told = json.loads(dipbench("train", "--out", tmp_path / "a", "--dry-run", "--json").out)
    assert told["runs"] == 1
    assert 0 < told["hours"] < 0.1


@pytest.mark.slow
def test_demo(dipbench, tmp_path):
    folder = tmp_path / "demo"
    answer = dipbench("demo", "--out", folder)
    assert answer.status == 0, answer.err
    assert (folder / "curves.png").stat().st_size > 10_000
    best = json.loads(dipbench("best", "camera", "inpainting", "--store", folder, "--json").out)
    assert 15 < best["psnr"] < 40


def test_images_from_another_benchmark_are_trained_on_as_they_are(dipbench, store, tmp_path):
    folder = tmp_path / "again"
    plan = ["--images-from", store, "--models", "deep-decoder", "--iterations", "2"]
    made = dipbench("train", "--preset", "isnas", *plan, "--out", folder)
    assert made.status == 0, made.err
    theirs, ours = (load(place) for place in (store, folder))
    pair = "camera", "denoising-25"
    path = file_of(ours.folder, ours.manifest, "images")
    kept = read_observation(path, pair)
    assert kept == read_observation(file_of(theirs.folder, theirs.manifest, "images"), pair)
    assert set(ours.to_frame()["observation_sha256"]) == {kept.sha256}
    missing = dipbench("train", *plan, "--tasks", "sr-4", "--out", tmp_path / "other")
    assert missing.status == 2
    assert "among camera denoising-25, camera inpainting-50" in missing.err


@pytest.mark.parametrize(
    ("arguments", "status", "closed"),
    [
        ("best camera denoising", 0, ">&-"),
        ("best camera denoising --json", 0, ">&-"),
        ("best camra denoising", 2, "2>&-"),
    ],
)
def test_closed_streams_are_no_mistake(arguments, status, closed):
    command = f"{sys.executable} -P -m dipbench {arguments} {closed}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")


@pytest.mark.parametrize("columns", [40, 60, 79])
def test_names_of_options_are_whole_in_narrow_terminals(dipbench, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    said = dipbench("train", "--help").out
    assert "…" not in said
    assert {"--images", "--images-from", "--observation-seed"} <= set(said.split())
