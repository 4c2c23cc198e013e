"""Parts: what goes in comes out, and any damage is found."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipbench.benchmark.parts import finished_keys, list_parts, read_part, set_aside, write_part
from dipbench.benchmark.schema import Run, RunKey, summarise
from dipbench.errors import StoreError

CURVE = np.array([20.0, 22.5, 21.25], np.float32)
RUNS = [
    Run(RunKey("a/1", "camera", "sr-4", 0), "finished", "", {"psnr": CURVE, "loss": CURVE / 100},
        {"seconds": 2.5, "macs": 7}, np.ones((1, 2, 3), np.float16)),
    Run(RunKey("a/2", "camera", "sr-4", 1), "diverged", "no number", {"loss": CURVE[:0]}),
    Run(RunKey("a/3", "camera", "sr-4", None), "failed", "RuntimeError: x"),
]  # fmt: skip


def test_runs_come_back_as_they_were(tmp_path: Path) -> None:
    part = write_part(tmp_path / "parts", RUNS)
    assert list_parts(tmp_path / "parts") == [part]
    for run, back in zip(RUNS, read_part(part), strict=True):
        assert (back.key, back.status, back.reason) == (run.key, run.status, run.reason)
        assert back.curves.keys() == run.curves.keys()
        assert all(np.array_equal(back.curves[kind], run.curves[kind]) for kind in run.curves)
        assert all(back.facts[name] == value for name, value in run.facts.items())
        assert (back.output is None) == (run.output is None)
    first = read_part(part)[0]
    assert first.output is not None
    assert (first.output.dtype, first.output.shape) == (np.float16, (1, 2, 3))
    assert first.facts["best_psnr"] == 22.5


def test_the_same_runs_written_twice_are_two_parts(tmp_path: Path) -> None:
    assert write_part(tmp_path, RUNS) != write_part(tmp_path, RUNS)


@settings(max_examples=60)
@given(data=st.data())
def test_any_flipped_byte_and_any_cut_is_found(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    whole, damaged = write_part(folder, RUNS[:1]), write_part(folder, RUNS[1:])
    content = bytearray(damaged.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[at] ^= data.draw(st.integers(1, 255))
    else:
        del content[at:]
    damaged.write_bytes(content)
    with pytest.raises(StoreError, match="is damaged"):
        read_part(damaged)
    found, aside = finished_keys(list_parts(folder))
    assert found == {whole: [(RUNS[0].key, "finished")]}
    assert aside == [damaged.with_name(damaged.name + ".corrupt")]
    assert aside[0].read_bytes() == content
    assert list_parts(folder) == [whole]


def test_a_damaged_part_that_another_has_just_set_aside_is_no_error(tmp_path: Path) -> None:
    assert set_aside(tmp_path / "gone.parquet").name == "gone.parquet.corrupt"


def test_a_part_that_was_just_merged_is_passed_over(tmp_path: Path) -> None:
    part = write_part(tmp_path, RUNS)
    assert finished_keys([part, tmp_path / "gone-0123456789abcdef.parquet"])[1] == []


def test_summaries_of_curves() -> None:
    assert summarise({}) == {"length": 0}
    found = summarise({"psnr": CURVE, "psnr_smooth": CURVE[::-1]})
    assert found == {
        "length": 3,
        "best_psnr": 22.5, "best_psnr_iteration": 1, "final_psnr": 21.25,
        "best_psnr_smooth": 22.5, "best_psnr_smooth_iteration": 1, "final_psnr_smooth": 20.0,
    }  # fmt: skip


def test_spikes_are_rises_of_the_loss_by_more_than_a_decibel() -> None:
    loss = np.array([0.1, 0.12, 0.16, 0.1, 0.2, 0.0, 0.0, 0.1], np.float32)
    assert summarise({"loss": loss})["spikes"] == 3
