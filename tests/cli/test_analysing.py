"""`dipbench kendall`: read once, what cannot be judged told, scores of the user's own judged."""

import json
import shutil
from types import SimpleNamespace

import pyarrow as pa
import pytest

from dipbench.benchmark import load
from dipbench.benchmark.query import Benchmark
from dipbench.benchmark.scorefiles import SCORES_SCHEMA, commit_scores, committed_scores
from dipbench.evaluate import SCORES

PLUGIN = """
from dipbench.evaluate import register_score

@register_score("{name}", direction="higher", inputs="output")
def of_ones_own(output):
    return output.std()
"""


NETWORK_PLUGIN = """
from dipbench.evaluate import register_score

@register_score("broken_network", inputs="network")
def broken_network(probe):
    raise ValueError("no luck")
"""


@pytest.fixture
def scored(store, tmp_path):
    """The store with a score of the user's own beside, and one that is constant."""
    folder = shutil.copytree(store, tmp_path / "scored")
    known = load(store)
    records = [
        dict(zip(SCORES_SCHEMA.names, (*place, 0, value, "table", ""), strict=True))
        for number, model in enumerate(known.models)
        for task in known.tasks
        for place, value in (
            ((model, "camera", task, "of_ones_own"), float(number)),
            ((model, "camera", task, "psd_db_mse"), 0.5),
        )
    ]
    commit_scores(folder, pa.Table.from_pylist(records, schema=SCORES_SCHEMA))
    return folder


@pytest.fixture
def plugin(tmp_path):
    path = tmp_path / "my_score.py"
    path.write_text(PLUGIN.format(name="of_ones_own"))
    yield path
    SCORES.pop("of_ones_own", None)


def test_stopping_tells_what_each_criterion_loses(dipbench, store, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    answer = dipbench("stopping", "--store", store, "--task", "denoising")
    assert answer.status == 0, answer.err
    assert "loss_scaled" in answer.out
    assert "inpainting" not in answer.out + answer.err
    assert "camera, denoising-25, variance: " in answer.err
    rows = json.loads(dipbench("stopping", "--store", store, "--json").out)
    assert {row["task"] for row in rows} == {"denoising-25", "inpainting-50"}
    last = next(row for row in rows if row["criterion"] == "last")
    assert (last["n"], last["left_out"], last["at_end"]) == (8, 0, 1)
    assert dipbench("stopping", "--store", store, "--image", "lena").status == 2


def test_two_benchmarks_are_compared(dipbench, store, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    answer = dipbench("agreement", store, "--store", store, "--task", "denoising")
    assert answer.status == 0, answer.err
    assert "camera, denoising-25" in answer.out
    assert "+1.00" in answer.out
    assert max(map(len, answer.out.splitlines())) <= 80
    [row] = json.loads(
        dipbench("agreement", store, "--store", store, "--task", "denoising", "--json").out
    )
    assert (row["tau"], row["transfer_regret"], row["n"]) == (pytest.approx(1), 0, 8)
    some = dipbench("agreement", "pilot", "--where", "kernel == 3")
    assert "mini and pilot, by best_psnr_smooth, where kernel == 3; regret in dB" in some.out
    assert dipbench("agreement", "pilot", "--store", store, "--image", "page").status == 2
    answer = dipbench("agreement", "pilot", "--by", "final_psnr")
    assert (answer.status, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert "nothing could be compared by final_psnr: 1040 of the 1044 runs were" in answer.err


def test_all_scores_are_read_once_and_a_constant_one_is_told(dipbench, scored, monkeypatch):
    reads = []
    read = Benchmark.scores
    monkeypatch.setattr(Benchmark, "scores", lambda self: reads.append(1) or read(self))
    monkeypatch.setenv("COLUMNS", "80")
    answer = dipbench("kendall", "camera", "denoising", "--store", scored)
    assert answer.status == 0, answer.err
    assert len(reads) == 1
    assert "of_ones_own" in answer.out
    assert max(map(len, answer.out.splitlines())) <= 80
    assert "psd_db_mse on camera denoising-25" in answer.err
    alone = dipbench("kendall", "camera", "denoising", "psd_db_mse", "--store", scored)
    assert alone.status == 2
    assert "equal 0.5" in alone.err


@pytest.mark.parametrize("command", [["kendall", "camera", "denoising"], ["correlate"]])
def test_models_are_judged_that_fulfil_a_condition(dipbench, scored, command):
    fewer = dipbench(*command, "--store", scored, "--where", "kernel == 9")
    assert (fewer.status, fewer.err) == (2, "dipbench: no run fulfils 'kernel == 9'\n")


def test_a_plugin_gives_its_scores_a_direction(dipbench, scored, plugin):
    asked = ("kendall", "camera", "denoising", "of_ones_own", "--store", scored, "--json")
    bare = json.loads(dipbench(*asked).out)["of_ones_own"]
    assert bare["tau_directed"] is None
    known = json.loads(dipbench(*asked, "--plugin", plugin).out)["of_ones_own"]
    assert known["tau_directed"] == known["tau"] == bare["tau"]


def test_values_of_a_plugin_that_are_there_are_told(dipbench, scored, plugin):
    asked = ("score", scored, "--names", "primitive_attenuation", "--initialisations", 1)
    answer = dipbench(*asked, "--plugin", plugin)
    held = committed_scores(scored)["score"].to_pylist().count("of_ones_own")
    assert f"of_ones_own: {held} values are there and stay as they are" in answer.err
    assert "stay as they are" not in dipbench(*asked).err


def test_correlate_takes_a_plugin_and_a_number_of_picks(dipbench, scored, plugin):
    asked = ("correlate", "--store", scored, "--score", "of_ones_own", "--resamples", 200)
    answer = dipbench(*asked, "--plugin", plugin, "--picks", 3, "--json")
    assert answer.status == 0, answer.err
    for row in json.loads(answer.out)["rows"]:
        assert (row["direction"], row["k"]) == ("higher", 3)
        assert row["regret"] >= 0


def test_values_of_another_size_are_not_said_to_stay(dipbench, scored, plugin, monkeypatch):
    scored_already = SimpleNamespace(values=1, missing=0)
    monkeypatch.setattr("dipbench.cli.scoring.run_scoring", lambda *_, **wishes: scored_already)
    asked = ("score", scored, "--names", "macs", "--plugin", plugin)
    assert "stay as they are" in dipbench(*asked).err
    assert "stay as they are" not in dipbench(*asked, "--size", 512).err


def test_scores_are_set_beside_another(dipbench):
    asked = ("compare-scores", "primitive_attenuation", "--score", "psd_99_per_bw")
    shown = dipbench(*asked).out
    assert "beside primitive_attenuation, which has +0.486" in " ".join(shown.split())
    [row] = json.loads(dipbench(*asked, "--json").out)
    assert f"{row['difference']:+.3f}" in shown
    assert f"{row['low']:+.2f} {row['high']:+.2f}" in shown
    unknown = dipbench("compare-scores", "nope")
    assert (unknown.status, unknown.err[:31]) == (2, "dipbench: unknown score of came")
    none = dipbench(*asked, "--by", "stop:last")
    assert none.status == 2
    assert none.err.startswith("dipbench: nothing could be compared: 1040 of the 1044 runs were")


def test_why_scores_have_no_value_is_told(dipbench, scored, tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text(PLUGIN.format(name="broken").replace("output.std()", "float('nan')"))
    answer = dipbench(
        "score", scored, "--names", "macs", "--initialisations", 1, "--plugin", broken
    )
    assert "of them missing" in answer.err
    assert answer.status == 1
    count = committed_scores(scored)["score"].to_pylist().count("broken")
    assert f"broken lacks {count} values: " in answer.err
    assert answer.err.endswith("--retry-failed tries them again, once the cause is mended\n")
    SCORES.pop("broken")  # which another process would not know
    asked = ("score", scored, "--names", "macs", "--initialisations", 1)
    again = dipbench(*asked, "--plugin", broken, "--json")
    assert "stay as they are" not in again.err
    [told] = json.loads(again.out)["lacking"]
    assert (told["score"], told["values"]) == ("broken", count)
    assert dipbench(*asked).status == 0


def test_why_scores_of_the_network_have_no_value_is_told(dipbench, scored, tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text(NETWORK_PLUGIN)
    # They are made in one way, whichever is asked for.
    answer = dipbench("score", scored, "--names", "macs", "--plugin", broken)
    assert "broken_network lacks" in answer.err
    assert "ValueError: no luck" in answer.err
