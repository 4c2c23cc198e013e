"""The scripts that measure training: they run, and the equivalence study judges as it says."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[1] / "performance"
RUNS = (("denoising-25", 0), ("denoising-25", 1), ("inpainting-50", 0), ("inpainting-50", 1))


def run(script: str, *options: object) -> str:
    command = [sys.executable, SCRIPTS / script, *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    return done.stdout


def write_study(path: Path, shift: float, models: int = 12, length: int = 250) -> None:
    """Runs of a fast way that differs from the plain one by `shift` dB and a little noise."""
    rng = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "task", "seed", "way", "iterations", "status", "best", "final"])
        for model in range(models):
            for task, seed in RUNS:
                plain = 20 + model / 4 + rng.normal(0, 0.2)
                fast = plain + shift + rng.normal(0, 0.05)
                for way, psnr in (("plain", plain), ("bf16", fast)):
                    row = (model, task, seed, way, length, "finished", psnr, psnr - 1)
                    writer.writerow(row)


@pytest.mark.parametrize(("shift", "verdict"), [(0.0, "inside"), (0.3, "NOT inside")])
def test_a_study_is_equivalent_only_inside_the_margin(tmp_path, shift, verdict):
    write_study(tmp_path / "1.csv", shift)
    report = run("equivalence.py", tmp_path / "1.csv", "--report")
    assert re.findall(r"^  (.*) ±0.1 dB$", report, re.MULTILINE) == 4 * [verdict]
    found = [float(each) for each in re.findall(r"fast - plain ([+-][\d.]+) dB", report)]
    assert found == pytest.approx(4 * [shift], abs=0.05)


def test_studies_of_two_lengths_are_not_mixed(tmp_path):
    write_study(tmp_path / "1.csv", 0)
    write_study(tmp_path / "2.csv", 0, length=800)
    with pytest.raises(AssertionError, match="expected runs of one length"):
        run("equivalence.py", tmp_path / "1.csv", tmp_path / "2.csv", "--report")


@pytest.mark.slow
def test_a_study_is_taken_up_where_it_was_ended(tmp_path):
    options = (tmp_path / "new" / "1.csv", "--models", 2, "--iterations", 2, "--shard", "1/2")
    first = run("equivalence.py", *options)
    assert len(first.splitlines()) == 8
    assert run("equivalence.py", *options) == ""


@pytest.mark.slow
def test_the_measuring_scripts_run(tmp_path):
    table = tmp_path / "times.csv"
    shown = run("training.py", "--models", 97, "--rounds", 1, "--csv", table)
    assert "geometric mean of float32" in shown
    with table.open(newline="") as file:
        (row,) = csv.DictReader(file)
    # The floor counts the products that the model counts, forward and twice that backward.
    assert float(row["share_plain"]) == pytest.approx(
        float(row["compute"]) / float(row["plain"]), rel=1e-6
    )
    assert "geometric mean of float32" in run("training_memory.py", "--models", 97)
    options = ("--models", 97, "--rounds", 1, "--seconds", 0.1, "--arrangements", "2x1")
    assert "in its best arrangement" in run("training_together.py", *options)
    options = ("--models", 97, "--rounds", 1, "--iterations", 1)
    assert "kept   ratio" in run("workers.py", *options)
