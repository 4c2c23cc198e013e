"""The Python of the pages on queries runs, and gives what the page says."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dipbench
from dipbench.benchmark import Benchmark
from dipbench.benchmark.schema import Run, RunKey


@pytest.fixture
def bench(models: list[str], make_bench: Callable[..., Benchmark]) -> Benchmark:
    rng = np.random.default_rng(0)
    runs = []
    for number, model in enumerate(models):
        for seed in (0, 1):
            psnr = (25 + rng.normal() - 0.01 * (np.arange(90) - 50) ** 2).astype(np.float32)
            curves = {"psnr": psnr, "psnr_smooth": psnr, "loss": 10 ** (-psnr / 10)}
            facts = {"parameters": 10**6 * (1 + number % 6), "seconds": 9.0, "macs": 10**9}
            runs.append(
                Run(RunKey(model, "camera", "denoising-25", seed), "finished", "", curves, facts)
            )
    return make_bench(runs)


def test_the_page_on_queries(run_page: Callable[..., dict[str, Any]]) -> None:
    bench = dipbench.load("pilot")
    scope = run_page("queries.md", bench=bench)
    assert scope["best"] == bench.top("camera", "denoising", 1)[0]
    assert scope["place"] == 1 + [r.model for r in bench.top("camera", "denoising", 99)].index(
        scope["one"].model
    )
    assert len(scope["table"]) == len(bench.models)
    assert scope["quick"].iteration < 40
    assert scope["blind"].iteration == 577
    assert "conv" in scope["named"].model


def test_the_page_on_searches(
    bench: Benchmark,
    run_page: Callable[..., dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    scope = run_page("search-replay.md", bench=bench)
    assert len(scope["trace"].steps) == 6
    assert "halving" in capsys.readouterr().out
