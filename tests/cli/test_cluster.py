"""The commands for clusters, for those who watch and for those who audit."""

import builtins
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from dipbench.benchmark.locking import Builder, builder_lock
from dipbench.benchmark.roster import Worker

Call = Callable[..., Any]


def test_status_tells_people_and_programs(dipbench: Call, store: Path) -> None:
    shown = dipbench("status", store)
    assert shown.status == 0, shown.err
    assert shown.out.split()[:4] == ["planned", "32", "done", "32"]
    told = json.loads(dipbench("status", store, "--json").out)
    assert (told["remaining"], told["runs_per_hour"], told["workers"]) == (0, None, [])
    # All runs are made, so that watching ends at once.
    assert "expected end" in dipbench("status", store, "--watch").out


def test_every_field_of_status_is_documented(dipbench: Call, store: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text(encoding="utf-8")
    told = json.loads(dipbench("status", store, "--json").out)
    parts = [field.name for kind in (Builder, Worker) for field in fields(kind)]
    assert [name for name in (*told, *parts) if f"`{name}`" not in page] == []


def test_an_audit_of_what_was_made_up_fails(dipbench: Call, store: Path) -> None:
    answer = dipbench("audit", store, "--sample", 1, "--device", "cpu", "--json")
    assert answer.status == 1
    (finding,) = json.loads(answer.out)
    assert not finding["agrees"]
    assert finding["reason"].startswith("1,000 parameters in the benchmark, ")
    assert "DISAGREES" in answer.err


def test_a_script_for_slurm_passes_arguments_on(dipbench: Call, tmp_path: Path) -> None:
    answer = dipbench(
        *("slurm-script", "--out", tmp_path / "s", "--form", "array", "--count", 8),
        *("--images", "camera"),
    )
    assert answer.status == 0, answer.err
    assert "#SBATCH --array=1-8" in answer.out
    assert "--device cpu --images camera &" in answer.out


def test_a_script_for_slurm_goes_on_with_a_plan(dipbench: Call, store: Path) -> None:
    answer = dipbench("slurm-script", "--out", store, "--timeout", 5)
    assert answer.status == 0, answer.err
    assert answer.out.endswith("--device cpu --timeout 5 &\nwait $!\n")
    other = dipbench("slurm-script", "--out", store, "--tasks", "sr-4")
    assert (other.status, other.out, other.err.count("\n")) == (2, "", 1)
    assert "is planned already, and --tasks would be passed over" in other.err
    another = dipbench("slurm-script", "--out", store, "--images", "camera", "--models", "dip")
    assert (another.status, another.out) == (2, "")
    assert "was planned with other models" in another.err


@pytest.mark.parametrize(
    ("further", "said"),
    [
        (["--gpu", 4], "no such option: --gpu"),
        (["--imagess", "camera"], "no such option: --imagess"),
        (["--workers", "x"], "invalid value for '--workers'"),
        (["--images"], "requires an argument"),
        (["camera"], "unexpected extra argument"),
        (["--device", "cuda"], "--device is given by the script itself"),
        (["--executor", "ray", "--address", "auto"], "--executor, --address is given by"),
        (["--shard", "1/2"], "--shard is given by"),
        (["--", "--out", "other"], "--out is given by"),
        (["--images", "camera", "--dry-run"], "every job would train nothing"),
        (["--form", "array", "--images", "camera", "--timeout", 5], "--timeout is for Ray"),
        ([], "holds no plan to go by"),
        (["--models", "0"], "holds no plan to go by"),
        (["--images", "camra"], "camra"),
        (["--images", "camera", "--models", "bogus"], "bogus"),
        (["--images", "camera", "--tasks", "xx"], "xx"),
        (["--images", "camera", "--seeds", "one"], "seeds 'one' are no whole numbers"),
        (["--images", "camera", "--protocol", "slow"], "slow"),
        (["--images", "camera", "--precision", "fp8"], "precision"),
        (["--images", "camera", "--size", 64, "--tasks", "sr-3"], "multiples of 3"),
        (["--images", "camera", "--size", 64, "--models", "dip-transposed"], "65 pixels or more"),
        (["--images", "camera", "--threads", 9], "9 threads, more than the 8 CPUs of a machine"),
        (["--images-from", "mini", "--tasks", "denoising-30"], "no observations of camera"),
        (["--images", "camera", "--partition", "a b"], "write gpu, or several"),
    ],
)
def test_a_script_for_slurm_passes_on_what_train_takes(
    dipbench: Call, tmp_path: Path, further: list[Any], said: str
) -> None:
    answer = dipbench("slurm-script", "--out", tmp_path / "s", *further)
    assert (answer.status, answer.out, answer.err.count("\n")) == (2, "", 1), answer.err
    assert said in answer.err


@pytest.fixture
def half(store: Path, tmp_path: Path) -> Path:
    """A benchmark of whose plan a third of the runs are not made."""
    folder = Path(shutil.copytree(store, tmp_path / "half made"))
    plan = json.loads((folder / "plan.json").read_text())
    plan["seeds"].append(2)
    (folder / "plan.json").write_text(json.dumps(plan))
    return folder


def test_watching_ends_where_no_one_builds(dipbench: Call, half: Path) -> None:
    answer = dipbench("status", half, "--watch")
    assert answer.status == 0, answer.err
    said = " ".join(answer.out.split())
    assert "16 of 48 runs remain and no builder is at work: `dipbench train --out '" in said
    assert "half made' goes on" in said.replace("`", "")


def test_who_scores_is_no_builder(
    dipbench: Call, half: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_again(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dipbench.cli.watching.time.sleep", look_again)
    with builder_lock(half, "scoring"):
        watched = dipbench("status", half, "--watch")
        assert "16 of 48 runs remain and no builder is at work" in " ".join(watched.out.split())
        shown = dipbench("status", half).out
        assert "\nalso at work, scoring: process " in shown
        assert "nothing is under way" in shown
        with builder_lock(half, "2of3"):
            shown = dipbench("status", half).out
            assert "\nshard 2of3: process " in shown
            assert "not known yet" in shown
            assert dipbench("status", half, "--watch").status == 130


def test_mistakes_are_one_line(dipbench: Call, store: Path, monkeypatch: Any) -> None:
    refused = dipbench("slurm-script", "--out", "s", "--form", "pbs")
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    both = dipbench("status", store, "--watch", "--json")
    assert (both.status, both.out, both.err.count("\n")) == (2, "", 1)
    alone = dipbench("train", "--out", store, "--address", "auto")
    assert alone.status == 2
    assert alone.err == "dipbench: --address and --timeout are for --executor ray\n"


def test_without_ray_the_extra_is_named(
    dipbench: Call, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def no_ray(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "ray":
            raise ModuleNotFoundError("No module named 'ray'", name="ray")
        return real(name, *args, **kwargs)

    for module in [name for name in sys.modules if "executors.ray" in name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(builtins, "__import__", no_ray)
    answer = dipbench("train", "--out", store, "--executor", "ray")
    assert answer.status == 2
    assert 'pip install "dipbench[cluster]"' in answer.err
    assert answer.err.count("\n") == 1


def test_a_store_without_a_plan_is_no_build(dipbench: Call, store: Path, tmp_path: Path) -> None:
    shutil.copytree(store, tmp_path / "bare")
    (tmp_path / "bare" / "plan.json").unlink()
    answer = dipbench("status", tmp_path / "bare")
    assert answer.status == 2
    assert "holds no plan" in answer.err
