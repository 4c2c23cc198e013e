"""`dipbench correlate` and `dipbench report`."""

import csv
import io
import json
import os

import pytest

from dipbench.benchmark import load


def test_correlate_prints_a_table_that_fits_a_terminal(dipbench, store, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    answer = dipbench("correlate", "--store", store, "--resamples", 200)
    assert answer.status == 0, answer.err
    assert "psd_db_strip_mse" in answer.out
    table = [line for line in answer.out.splitlines() if "(psd" not in line]
    assert max(map(len, table)) <= 80
    assert "no picks: k = 15 of 8 models" in answer.out


def test_correlate_gives_programs_every_column(dipbench, store):
    asked = ("correlate", "--store", store, "--task", "denoising", "--resamples", 200)
    rows = json.loads(dipbench(*asked, "--json").out)["rows"]
    assert [(row["task"], row["score"]) for row in rows] == [("denoising-25", "psd_db_strip_mse")]
    read = list(csv.DictReader(io.StringIO(dipbench(*asked, "--csv").out)))
    assert float(read[0]["tau"]) == rows[0]["tau"]
    assert rows[0]["regret"] is None
    assert read[0]["regret"] == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--image", "camra"), "camera"),
        (("--score", "nothing"), "psd_db_strip_mse"),
        (("--json", "--csv"), "exclude"),
        (("--by", "worst"), "best_psnr_smooth"),
    ],
)
def test_correlate_names_a_mistake_in_one_line(dipbench, store, arguments, says):
    answer = dipbench("correlate", "--store", store, "--resamples", 200, *arguments)
    assert answer.status == 2
    assert says in answer.err
    assert answer.err.count("\n") == 1


def test_report_writes_the_page_and_the_figures(dipbench, store, tmp_path):
    page, figures = tmp_path / "report.html", tmp_path / "figures"
    answer = dipbench("report", store, "--html", page, "--svg", figures, "--resamples", 200)
    assert answer.status == 0, answer.err
    assert "report.html: 0." in answer.out.replace("\n", "")
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    names = {path.name for path in figures.iterdir()}
    assert {f"curves--{image}--{task}.svg" for image, task in load(store).pairs} <= names
    assert "not drawn: truth-over-images--denoising-25" in answer.err


def test_a_report_of_nothing_that_can_be_judged_is_not_written(dipbench, store, tmp_path):
    page = tmp_path / "report.html"
    answer = dipbench("report", store, "--html", page, "--by", 10**6, "--resamples", 200)
    assert answer.status == 2
    assert "nothing to report: iteration 1000000 is outside" in answer.err
    assert not page.exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "--html"),
        (("--html", "no-such-folder/report.html"), "there is no folder no-such-folder"),
        (("--html", "folder"), "--html folder is a folder: name a file"),
        (("--png", "file"), "--png file: file is a file; name a folder"),
        (("--svg", "file/figures"), "/file is a file; name a folder"),
        (("--html", "same", "--png", "same"), "--png same is --html too"),
    ],
)
def test_report_without_a_place_to_write_is_refused(
    dipbench, tmp_path, monkeypatch, arguments, says
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    answer = dipbench("report", "looked-at-later", *arguments)
    assert (answer.status, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert says in answer.err


def test_a_folder_that_takes_no_figures_is_refused(dipbench, tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    answer = dipbench("report", "looked-at-later", "--png", tmp_path / "a" / "b")
    assert (answer.status, answer.err.count("\n")) == (2, 1)
    assert f"{tmp_path} is not writable" in answer.err


def test_a_target_that_is_no_regular_file_is_left_alone(dipbench, store, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    answer = dipbench("report", store, "--html", tmp_path / "pipe")
    assert (answer.status, answer.err.count("\n")) == (2, 1)
    assert "is no regular file" in answer.err
    assert (tmp_path / "pipe").is_fifo()


def test_figures_are_written_for_print_too(dipbench, store, tmp_path):
    answer = dipbench("report", store, "--pdf", tmp_path, "--by", "stop:oracle", "--resamples", 200)
    assert answer.status == 0, answer.err
    written = [path.name for path in tmp_path.iterdir()]
    assert "scatters--camera--denoising-25--stop-oracle.pdf" in written
    assert not [name for name in written if ":" in name]
