"""The commands that ask a benchmark."""

import json
import re

import numpy as np
import pandas as pd
import pytest

import dipbench as package
from dipbench.genotypes import ISNAS522


def runs_of(store):
    [file] = sorted(store.glob("runs-*.parquet"))[-1:]
    return pd.read_parquet(file)


def test_best_is_what_the_runs_file_says(dipbench, store):
    answer = dipbench("best", "camera", "denoising", "--store", store, "--json")
    found = json.loads(answer.out)
    runs = runs_of(store).query("task == 'denoising-25'")
    means = runs.groupby("model")["best_psnr_smooth"].mean()
    assert answer.status == 0
    assert found["model"] == means.idxmax()
    assert found["psnr"] == pytest.approx(means.max(), abs=1e-5)
    assert found["seeds"] == [0, 1]
    iterations = runs[runs["model"] == found["model"]]["best_psnr_smooth_iteration"]
    assert found["iteration"] == min(iterations)


def test_names_are_listed_with_what_they_stand_for(dipbench):
    for what, name in (
        ("scores", "psd_db_strip_mse"), ("networks", "deep-decoder"), ("protocols", "mini64"),
        ("images", "camera"), ("benchmarks", "pilot"), ("tasks", "inpainting-hole-25"),
    ):  # fmt: skip
        assert name in dipbench("list", what).out
        names = [row["name"] for row in json.loads(dipbench("list", what, "--json").out)]
        assert name in names
    answer = dipbench("list", "models")
    assert answer.status == 2
    assert "There are: scores, tasks, networks, protocols, images, benchmarks" in answer.err


def test_benchmarks_are_listed_with_what_they_hold(dipbench, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path.parent))
    monkeypatch.setenv("DIPBENCH_HOME", f"~/{tmp_path.name}")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "benchmark.json").write_text("{")
    broken, mini, _ = json.loads(dipbench("list", "benchmarks", "--json").out)
    assert broken["name"] == "broken"
    assert str(tmp_path / "broken") in broken["summary"]
    assert mini == {
        "name": "mini",
        "models": 522,
        "images": "camera",
        "tasks": "denoising-25",
        "runs": 1044,
    }
    assert "images: astronaut, camera" in dipbench("list", "benchmarks").out


def test_a_curve_tells_the_names_that_it_is_of(dipbench, store):
    answer = dipbench("curve", 0, "camera", "denoising", "--store", store, "--json")
    found = json.loads(answer.out)
    assert (found["model"], found["task"]) == (str(ISNAS522[0]), "denoising-25")


def test_top_is_ordered_and_as_long_as_asked(dipbench, store):
    answer = dipbench("top", "camera", "inpainting-50", "-k", 3, "--store", store, "--json")
    found = [result["psnr"] for result in json.loads(answer.out)]
    assert found == sorted(found, reverse=True)
    assert len(found) == 3


def test_query_tells_rank_and_regret(dipbench, store):
    best = package.load(store).best("camera", "denoising").model
    answer = dipbench("query", best, "camera", "denoising", "--store", store, "--json")
    found = json.loads(answer.out)
    assert (found["rank"], found["ranked"], found["regret"]) == (1, 8, 0.0)
    third = package.load(store).top("camera", "denoising", 3)[2]
    limits = ("--where", f"best_psnr_smooth > {third.psnr - 1}")
    asked = ("query", third.model, "camera", "denoising", "--store", store)
    assert "rank 3 of 8, " in dipbench(*asked).out
    place = package.load(store).rank(third.model, "camera", "denoising", where=limits[1])
    ranked = package.load(store).top("camera", "denoising", 8, where=limits[1])
    answer = dipbench(*asked, *limits)
    assert f"rank {place} of {len(ranked)}, " in answer.out
    assert answer.out.splitlines()[5].split()[0] == str(place)


def test_a_long_name_is_broken_at_a_hyphen(dipbench, store, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    table = dipbench("top", "camera", "denoising", "--store", store).out.split("───\n")[-1]
    pieces = re.findall(r"(?<!\S)(?:\S*[-/]\S*|[01]{25})(?!\S)", table)
    assert "/" not in pieces
    for model in package.load(store).models:
        assert model in "".join(pieces)


def test_no_row_of_the_shipped_benchmark_is_wider_than_80_columns(dipbench, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = dipbench("top", "camera", "denoising", "-k", 522).out.splitlines()
    assert max(map(len, lines)) <= 80
    assert {line.strip() for line in lines}.isdisjoint({"-", "/"})


def test_help_tells_what_an_iteration_is_and_which_summaries_there_are(dipbench, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    for command in ("best", "top", "query"):
        told = dipbench(command, "--help").out
        assert "from 0; over seeds, the lower median" in told
        assert "a further average that was recorded (best_psnr_smooth_0.9)" in told


@pytest.mark.parametrize("by", ["²", "9999"])
def test_an_iteration_that_is_none_is_one_line(dipbench, store, by):
    answer = dipbench("best", "camera", "denoising", "--store", store, "--by", by)
    assert (answer.status, answer.err.count("\n")) == (2, 1)


def test_curve_prints_csv(dipbench, store):
    answer = dipbench("curve", 0, "camera", "denoising", "--kind", "psnr", "--store", store)
    lines = answer.out.splitlines()
    expected = package.load(store).curve(0, "camera", "denoising", "psnr")
    assert lines[0] == "iteration,psnr"
    values = [float(line.split(",")[1]) for line in lines[1:]]
    np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_info_names_protocol_and_content(dipbench, store):
    facts = json.loads(dipbench("info", "--store", store, "--json").out)
    assert facts["runs"] == 32
    assert facts["protocol"]["name"] == "quick"
    assert len(facts["content_sha256"]) == 64
    assert facts["scores"] == sorted(set(package.load(store).scores()["score"]))
    shown = dipbench("info", "--store", store).out
    assert "quick" in shown
    assert all(name in shown for name in facts["scores"])
    assert "stop rule: none" in shown


def test_info_calls_scores_made_in_two_ways_as_queries_do(dipbench, store, monkeypatch):
    rows = package.load(store).scores()
    both = pd.concat([rows, rows.assign(how="search")])
    monkeypatch.setattr(package.Benchmark, "scores", lambda bench: both.copy())
    names = json.loads(dipbench("info", "--store", store, "--json").out)["scores"]
    assert names == ["psd_db_strip_mse:search", "psd_db_strip_mse:table"]
    for name in names:
        assert dipbench("kendall", "camera", "denoising", name, "--store", store).status == 0


def test_coverage_counts_runs(dipbench, store):
    rows = json.loads(dipbench("coverage", "--store", store, "--json").out)
    assert [row["finished"] for row in rows] == [16, 16]
    assert [row["missing"] for row in rows] == [0, 0]
    shown = dipbench("coverage", "--store", store).out
    assert "denoising-25" in shown
    assert "finished" in shown
    assert "diverged" not in shown


def test_kendall_equals_the_function(dipbench, store):
    from dipbench.analysis import kendall

    answer = dipbench("kendall", "camera", "denoising", "--store", store, "--json")
    found = json.loads(answer.out)["psd_db_strip_mse"]
    expected = kendall(package.load(store), "camera", "denoising", "psd_db_strip_mse")
    assert found["tau"] == expected.tau
    assert found["n"] == 8


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("best", "camra", "denoising"), "did you mean 'camera'"),
        (("best", "camera", "deblurring"), "There are: denoising-25, inpainting-50"),
        (("best", "camera", "denoising", "--by", "psnr"), "best_psnr_smooth"),
        (
            ("best", "camera", "denoising", "--by", "best_psnr_smooth_0.98", "--store", "mini"),
            "did you mean 'best_psnr_smooth_0.9'",
        ),
        (("best", "camera", "denoising", "--seed", 7), "unknown seed '7'"),
        (("query", "nonsense", "camera", "denoising"), "names no genotype"),
        (("query", 500, "camera", "denoising"), "has no run here"),
        (("kendall", "camera", "denoising", "psd_db_mse"), "psd_db_strip_mse"),
        (("curve", 0, "camera", "denoising", "--kind", "ssim"), "unknown kind of curve"),
        (("info", "--store", "no-such-store"), "unknown benchmark"),
        (("info", "--store", "~no-such-user/x"), "unknown benchmark '~no-such-user/x'"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(dipbench, store, arguments, says):
    given = arguments if "--store" in arguments else (*arguments, "--store", store)
    answer = dipbench(*given)
    assert answer.status == 2
    assert answer.out == ""
    assert says in answer.err
    assert answer.err.count("\n") == 1


def test_a_newer_schema_is_refused(dipbench, store, tmp_path):
    manifest = json.loads((store / "benchmark.json").read_text())
    (tmp_path / "benchmark.json").write_text(json.dumps({**manifest, "schema": 99}))
    answer = dipbench("info", "--store", tmp_path)
    assert answer.status == 2
    assert "update dipbench" in answer.err


def test_limits_reach_the_benchmark_and_what_is_left_out_is_told(dipbench, store):
    bench = package.load(store)
    asked = ("best", "camera", "denoising", "--store", store, "--json")
    found = json.loads(dipbench(*asked, "--stopping", "last").out)
    wanted = bench.best("camera", "denoising", stopping="last")
    assert (found["model"], found["psnr"]) == (wanted.model, wanted.psnr)
    found = json.loads(dipbench(*asked, "--budget-iterations", 2).out)
    assert found["iteration"] <= 1
    answer = dipbench(*asked, "--where", "seed < 1 or seconds < 0")
    assert answer.status == 2
    largest = runs_of(store).query("task == 'denoising-25'")["best_psnr"].max()
    answer = dipbench(*asked, "--where", f"best_psnr < {largest}")
    assert "runs left out" in answer.err
    left_out = json.loads(answer.out)["left_out"]
    assert left_out == bench.left_out("camera", "denoising", where=f"best_psnr < {largest}")
    assert left_out["where"] == 2
    shown = dipbench(*asked[:-1], "--where", f"best_psnr < {largest}").out
    ranked = bench.query_many(None, "camera", "denoising", where=f"best_psnr < {largest}")["rank"]
    among = f"among the {ranked.notna().sum()} of {len(bench.models)} models that count"
    assert among in " ".join(shown.split())
    assert "among" not in dipbench(*asked[:-1]).out
    refused = dipbench(*asked, "--where", "parametres < 1")
    assert refused.status == 2
    assert "parameters" in refused.err
