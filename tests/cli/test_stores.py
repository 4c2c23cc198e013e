"""The commands that look after finished benchmarks, and the one that replays searches."""

import json
from shutil import copytree

import pyarrow.compute as pc
import pytest

from dipbench.benchmark import Benchmark
from dipbench.benchmark.building import finish
from dipbench.benchmark.parts import write_part
from dipbench.benchmark.schema import Run, RunKey
from dipbench.benchmark.scorefiles import SCORES_SCHEMA, commit_scores, committed_scores


@pytest.fixture
def copy(store, tmp_path):
    return copytree(store, tmp_path / "copy")


def test_verify_says_sound_and_exits_with_0(dipbench, copy):
    answer = dipbench("verify", copy)
    assert answer.status == 0, answer.out + answer.err
    assert answer.out.rstrip().endswith(": sound")


def test_verify_lists_what_is_wrong_and_exits_with_1(dipbench, copy):
    [curves] = copy.glob("curves-*.h5")
    damaged = bytearray(curves.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    curves.write_bytes(damaged)
    answer = dipbench("verify", copy, "--json")
    assert answer.status == 1
    assert json.loads(answer.out)["problems"] == [f"{curves.name} differs from its SHA-256"]


def test_verify_takes_a_name(dipbench):
    assert dipbench("verify", "pilot").status == 0


def test_verify_of_a_folder_without_a_store_is_a_mistake(dipbench, tmp_path):
    answer = dipbench("verify", tmp_path)
    assert (answer.status, "holds no benchmark.json" in answer.err) == (2, True)


def test_verify_of_a_store_that_lost_its_manifest_exits_with_1(dipbench, copy):
    (copy / "benchmark.json").unlink()
    answer = dipbench("verify", copy)
    assert (answer.status, "without its benchmark.json" in answer.out) == (1, True)


def test_verify_of_what_is_not_there_is_one_line(dipbench, tmp_path):
    answer = dipbench("verify", tmp_path / "none")
    assert answer.status == 2
    assert answer.err.count("\n") == 1
    assert "unknown benchmark" in answer.err


def test_add_counts_what_was_added(dipbench, store, copy):
    found = json.loads(dipbench("add", copy, store, "--json").out)
    assert (found["runs"], found["alike"], found["scores"]) == (0, 32, 0)
    assert found["differing_scores"] == 0


def test_add_tells_of_scores_that_differ(dipbench, store, copy):
    scores, value = committed_scores(copy), SCORES_SCHEMA.field("value")
    commit_scores(copy, scores.set_column(5, value, pc.add(scores["value"], 1.0)))
    answer = dipbench("add", copy, store)
    assert "scores differ from those of" in answer.err
    assert "0 runs and 0 scores added" in answer.out


def test_add_of_no_store_is_one_line(dipbench, copy, tmp_path):
    answer = dipbench("add", copy, tmp_path / "none")
    assert answer.status == 2
    assert answer.err.count("\n") == 1
    assert "unknown benchmark" in answer.err


def test_compact_makes_a_sound_copy_and_says_how_large_it_is(dipbench, store, tmp_path):
    (tmp_path / "card.md").write_text("Not this.\n\n## Known limits\n\nRandom.\n\n## More\nYes.")
    asked = ["--stride", 5, "--card", tmp_path / "card.md", "--licence", "CC0-1.0"]
    found = json.loads(dipbench("compact", store, "--out", tmp_path / "c", *asked, "--json").out)
    assert (found["runs"], found["left_out"]) == (32, [])
    assert found["bytes"] == sum(path.stat().st_size for path in (tmp_path / "c").glob("*-1.*"))
    assert dipbench("verify", tmp_path / "c").status == 0
    card = (tmp_path / "c" / "README.md").read_text()
    assert "## Known limits\n\nRandom.\n\n## More\n\nYes.\n\n## Licence" in card
    assert "Not this" not in card
    told = json.loads(dipbench("info", "--store", tmp_path / "c", "--json").out)
    assert told["curve_stride"] == 5
    assert "every iteration" in dipbench("info", "--store", store).out
    model = Benchmark(store).models[0]
    shown = dipbench("curve", model, "camera", "denoising", "--store", tmp_path / "c").out
    lines = shown.splitlines()
    assert [line.split(",")[0] for line in lines] == ["iteration", "4", "9", "14", "19", "24", "29"]
    asked = ["curve", model, "camera", "denoising", "--store", store, "--json"]
    assert json.loads(dipbench(*asked).out)["iterations"] == list(range(30))


def test_compact_lists_what_is_not_complete(dipbench, store, tmp_path):
    folder = copytree(store, tmp_path / "more")
    key = RunKey(Benchmark(store).models[0], "camera", "denoising-25", 7)
    write_part(folder / "parts", [Run(key, "failed", "x")])
    finish(folder)
    answer = dipbench("compact", folder, "--out", tmp_path / "c")
    assert answer.status == 0, answer.err
    assert "not complete: camera, denoising-25, seed 7" in answer.err
    assert "32 runs in" in answer.out


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--out", "there"], "is there already"),
        (["--out", "c", "--card", "no.md"], "no.md is no readable text"),
        (["--out", "c", "--card", "empty.md"], "has no section"),
        (["--out", "c", "--stride", 31], "keeps no iteration"),
    ],
)
def test_compact_says_in_one_line_what_it_cannot_do(
    dipbench, store, tmp_path, monkeypatch, options, word
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "empty.md").write_text("# Title")
    answer = dipbench("compact", store, *options)
    assert answer.status == 2, answer
    assert word in answer.err
    assert answer.err.count("\n") == 1


def test_search_replay_prints_what_it_found(dipbench, store):
    shared = ("search-replay", "camera", "denoising", "--store", store, "--seeds", 3)
    found = json.loads(dipbench(*shared, "--json").out)
    assert {row["algorithm"] for row in found["rows"]} == {"random", "score", "halving"}
    # Of eight models two are trained: all of them would leave nothing to choose.
    length = Benchmark(store).protocol.iterations.denoising
    assert {row["cost"] for row in found["rows"]} == {2 * length}
    assert "observed_loss" in found["label"]
    assert "regret" in dipbench(*shared, "--algorithms", "random").out


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--algorithms", "evolution"], "complete sub-space"),
        (["--algorithms", "randm"], "random"),
        (["--signal", "los"], "observed_loss"),
        (["--unit", "seconds"], "--budget"),
        (["--unit", "hours", "--budget", 3], "iterations"),
        (["--unit", "macs", "--budget", 3], "macs"),
        (["--budget", -1], "cannot be spent"),
        (["--budget", "inf"], "cannot be spent"),
        (["--surrogate", "--signal", "truth"], "--surrogate takes no --signal"),
        (["--out", "nowhere/a.png"], "there is no folder nowhere"),
        (["--surrogate"], "20 genotypes"),
        (["--algorithms", "random", "--score", "nosuch"], "for the algorithm score"),
        (["--surrogate", "--budget", "inf"], "give a whole --budget, not inf"),
        (["--surrogate", "--budget", "nan"], "give a whole --budget, not nan"),
    ],
)
def test_search_replay_says_in_one_line_what_it_cannot_do(dipbench, store, options, word):
    answer = dipbench("search-replay", "camera", "denoising", "--store", store, *options)
    assert answer.status == 2, answer
    assert word in answer.err
    assert answer.err.count("\n") == 1
