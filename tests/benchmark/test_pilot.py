"""The pilot's report: peaks, the share that comes too late, orders, hours."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from dipbench.benchmark import Benchmark
from dipbench.benchmark.building import finish
from dipbench.benchmark.parts import write_part
from dipbench.benchmark.plan import Plan, freeze_plan, make_plan
from dipbench.benchmark.schema import Run
from dipbench.benchmark.store import PARTS
from dipbench.data import Image
from dipbench.evaluate.protocol import get_protocol

SCRIPT = Path(__file__).parents[1] / "performance" / "pilot.py"
PEAKS = (100, 290, 310, 330)


@pytest.fixture
def pilot() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pilot", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def store(tmp_path: Path, camera: Image) -> Path:
    """Four runs of 340 iterations; the order of the models is the other way round under EMA 0.9."""
    folder = tmp_path / "pilot"
    folder.mkdir()
    protocol = get_protocol("mini64").replace(stop=None).with_iterations(340)
    models = ["0", "1", "2", "3"]
    plan: Plan = make_plan("pilot", models, [camera], ["denoising-25"], [0], protocol)
    freeze_plan(folder, plan, [camera])
    steps = np.arange(340, dtype=np.float32)
    runs = []
    for number, (key, peak) in enumerate(zip(plan.run_keys(), PEAKS, strict=True)):
        curve = 20 + number - abs(steps - peak) / 100
        curves = {"psnr": curve, "psnr_smooth": curve, "psnr_smooth_0.99": curve}
        curves["psnr_smooth_0.9"] = curve - 2 * number
        runs.append(Run(key, "finished", "", curves, {"seconds": 34.0 * (number + 1)}))
    write_part(folder / PARTS, runs)
    finish(folder)
    return folder


def test_the_share_of_late_peaks_is_that_of_the_cut_curves(pilot: ModuleType, store: Path) -> None:
    bench = Benchmark(store)
    curves = pilot.curves_of(bench, ("camera", "denoising-25"), "psnr_smooth")
    assert sorted(int(curve.argmax()) for curve in curves) == list(PEAKS)
    # Cut at 300, the last 5 % begin at 285, and two curves still rise.
    assert pilot.share(curves, 300) == 0.75
    assert pilot.share(curves, 340) == 0.25
    assert pilot.share(curves, 400) == 0.25


def test_the_report_has_every_part(pilot: ModuleType, store: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", SCRIPT, store, "--models", "100", "--workers", "4"],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert "## camera, denoising-25: 4 runs" in lines
    assert "| EMA 0.95 | 100 | 128 | 242 | 300 | 315 | 327 | 330 |" in lines
    assert "| 300 | 75.0 % | 75.0 % | 75.0 % | 75.0 % |" in lines
    assert "| 340 | 25.0 % | 25.0 % | 25.0 % | 25.0 % |" in lines
    assert "| 400 " not in done.stdout
    assert "| raw | EMA 0.95 | +1.000 | 0 |" in lines
    assert "| EMA 0.95 | EMA 0.9 | -1.000 | 6 |" in lines
    # 0.25 s an iteration on average: 100 models, 340 iterations.
    assert "median 0.2500, mean 0.2500, most 0.4000" in done.stdout
    assert "| 340 | 2.4 | 0.6 |" in lines
    # The first ends after 151 iterations of a tenth of a second, the others go on to the end.
    assert "| 50 | 293 | 6% | 0 | 0.000 |" in lines


def test_a_compact_benchmark_is_refused(
    pilot: ModuleType, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Benchmark(store)
    monkeypatch.setitem(bench.manifest.further, "curve_stride", 4)  # type: ignore[arg-type]
    with pytest.raises(pilot.StoreError, match="is compact"):
        pilot.report(bench, 522, 2)
    done = subprocess.run([sys.executable, "-P", SCRIPT, tmp_path], capture_output=True, text=True)
    assert (done.returncode, "holds no benchmark.json" in done.stderr) == (2, True)
