"""An audit agrees with what is right and finds what is not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dipbench.benchmark import auditing, training
from dipbench.benchmark.auditing import audit_runs, compare
from dipbench.benchmark.building import finish
from dipbench.benchmark.compacting import compact
from dipbench.benchmark.merging import Generation
from dipbench.benchmark.parts import write_part
from dipbench.benchmark.plan import Plan
from dipbench.benchmark.schema import Run
from dipbench.benchmark.store import PARTS
from dipbench.benchmark.training import train_unit
from dipbench.errors import DeviceError, StoreError
from dipbench.evaluate import fitting
from dipbench.evaluate.memory import too_little_memory

Freeze = Callable[..., Plan]


def trained(folder: Path, frozen_plan: Freeze, seeds: tuple[int, ...] = (0, 1)) -> Generation:
    plan = frozen_plan(
        folder, ("deep-decoder",), ("denoising-25", "inpainting-50"), seeds, iterations=3
    )
    train_unit(folder, plan, tuple(plan.run_keys()), "cpu")
    finish(folder)
    return Generation(folder)


def test_runs_of_this_machine_agree_to_the_bit(tmp_path: Path, frozen_plan: Freeze) -> None:
    trained(tmp_path / "store", frozen_plan)
    told: list[object] = []
    found = audit_runs(tmp_path / "store", 3, device="cpu", on_finding=told.append)
    assert found == told
    assert len(found) == 3
    assert all(one.agrees and one.tolerance == 0 and one.stored == one.made for one in found)
    assert str(found[0]).endswith("agrees to the bit")
    # The sample is drawn by its seed.
    assert [one.key for one in audit_runs(tmp_path / "store", 1, 5, "cpu")] == [
        one.key for one in audit_runs(tmp_path / "store", 1, 5, "cpu")
    ]


def test_a_compact_benchmark_is_audited_by_what_it_keeps(
    tmp_path: Path, frozen_plan: Freeze
) -> None:
    trained(tmp_path / "store", frozen_plan)
    compact(tmp_path / "store", tmp_path / "compact", stride=2)
    found = audit_runs(tmp_path / "compact", 4, device="cpu")
    full = audit_runs(tmp_path / "store", 4, device="cpu")
    assert found == full
    generation = Generation(tmp_path / "compact")
    stored, made = (Generation(tmp_path / name) for name in ("compact", "store"))
    run, again = (one.run(generation.entries[0][0]) for one in (stored, made))
    assert compare(run, again, 0.0, stride=2).agrees
    off = {kind: curve + np.float32(0.002) for kind, curve in again.curves.items()}
    assert "the curves differ" in compare(run, replace(again, curves=off), 0.0, stride=2).reason
    higher = replace(run, facts={**run.facts, "best_psnr_smooth": 1.0})
    assert "1.00 in it" in compare(higher, again, 0.0, stride=2).reason


def test_runs_of_other_versions_agree_within_the_seeds_spread(
    tmp_path: Path, frozen_plan: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(tmp_path / "several", frozen_plan)
    trained(tmp_path / "single", frozen_plan, (0,))
    monkeypatch.setattr(auditing, "environment", lambda: {"torch": "another"})
    for name, trainings in (("several", [1, 2]), ("single", [1, 2, 3, 4])):
        told: list[tuple[int, int]] = []
        found = audit_runs(
            tmp_path / name, 2, device="cpu", on_training=lambda *made, told=told: told.append(made)
        )
        assert [made for made, _ in told] == trainings
        assert {of for made, of in told if made > 1} == {trainings[-1]}
        assert all(one.agrees for one in found)
        assert len({one.tolerance for one in found}) == 1
        assert found[0].tolerance > 0


def round_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have runs made again come out a little other, as by changed code."""
    made = auditing.make_run

    def rounded(*args: Any) -> Run:
        run = made(*args)
        curves = {kind: curve + np.float32(1e-5) for kind, curve in run.curves.items()}
        return replace(run, curves=curves)

    monkeypatch.setattr(auditing, "make_run", rounded)


def test_runs_of_other_code_agree_to_the_bit_or_within_the_seeds_spread(
    tmp_path: Path, frozen_plan: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(tmp_path / "store", frozen_plan)
    monkeypatch.setattr(training, "_commit", lambda: "another")
    found = audit_runs(tmp_path / "store", 1, device="cpu")
    assert (found[0].agrees, found[0].tolerance) == (True, 0)
    round_otherwise(monkeypatch)
    found = audit_runs(tmp_path / "store", 1, device="cpu")
    assert found[0].agrees
    assert found[0].tolerance > 0


def test_two_checkouts_with_changes_are_not_the_same_code(
    tmp_path: Path, frozen_plan: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "_commit", lambda: "abc-dirty")
    trained(tmp_path / "store", frozen_plan)
    round_otherwise(monkeypatch)
    [found] = audit_runs(str(tmp_path / "store"), 1, device="cpu")
    assert found.agrees
    assert found.tolerance > 0


def test_what_was_tampered_with_is_found(tmp_path: Path, frozen_plan: Freeze) -> None:
    generation = trained(tmp_path / "store", frozen_plan)
    run = generation.run(generation.entries[0][0])
    made = replace(run)
    assert compare(run, made, 0.0).agrees
    shifted = {kind: curve + np.float32(0.5) for kind, curve in run.curves.items()}
    assert "the curves differ" in compare(replace(run, curves=shifted), made, 0.0).reason
    ended = replace(made, status="diverged", reason="no finite number")
    assert "made again it has diverged: no finite" in compare(run, ended, 0.5).reason
    dishonest = compare(replace(run, curves=shifted), made, 0.2)
    assert "0.20 tolerated" in dishonest.reason
    assert "its row says" in dishonest.reason
    larger = replace(run, facts={**run.facts, "parameters": 1})
    counted = compare(larger, made, 9.0)
    assert not counted.agrees
    assert not counted.parameters_agree
    assert counted.reason.startswith("1 parameters in the benchmark")
    failed = Run(run.key, "failed", "no memory")
    assert "made again: failed no memory" in compare(run, failed, 9.0).reason


def test_a_benchmark_without_usable_runs_is_one_error(
    tmp_path: Path, frozen_plan: Freeze, make_run: Callable[..., Run]
) -> None:
    plan = frozen_plan(tmp_path, ("deep-decoder",))
    write_part(tmp_path / PARTS, [make_run(plan.models[0], status="failed", psnr=())])
    finish(tmp_path)
    with pytest.raises(StoreError, match="holds no usable run to audit"):
        audit_runs(tmp_path, 1)


def test_a_run_that_needs_too_much_memory_is_one_error(
    tmp_path: Path, frozen_plan: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(tmp_path, frozen_plan)

    def too_large(*given: object, **options: object) -> None:
        raise too_little_memory("cuda:0")

    monkeypatch.setattr("dipbench.evaluate.fitting.fit", too_large)
    with pytest.raises(DeviceError, match="too little memory on cuda:0 for one run"):
        audit_runs(tmp_path, 1)


def test_an_interrupted_run_says_nothing_of_the_benchmark(
    tmp_path: Path, frozen_plan: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(tmp_path / "store", frozen_plan)
    fit = fitting.fit

    def interrupted(*args: Any, **settings: Any) -> Any:
        return replace(fit(*args, **settings), status="interrupted")

    monkeypatch.setattr(fitting, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        audit_runs(tmp_path / "store", 1, device="cpu")


def test_a_failure_is_told_in_one_line(
    tmp_path: Path, frozen_plan: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(tmp_path / "store", frozen_plan)

    def fails(*_: Any, **__: Any) -> Any:
        raise RuntimeError("one\ntwo")

    monkeypatch.setattr(fitting, "fit", fails)
    [found] = audit_runs(tmp_path / "store", 1, device="cpu")
    assert "RuntimeError: one two" in found.reason


@pytest.mark.parametrize("sample", [0, -1, 1.5, True])
def test_a_sample_that_is_no_count_is_refused(tmp_path: Path, sample: Any) -> None:
    with pytest.raises(StoreError, match="audits nothing"):
        audit_runs(tmp_path, sample)
