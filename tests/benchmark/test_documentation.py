"""The Python of the pages on queries runs, and gives what the page says."""

from collections.abc import Callable
from typing import Any

import pytest

import dipbench


def test_the_page_on_queries(run_page: Callable[..., dict[str, Any]]) -> None:
    bench = dipbench.load("mini")
    scope = run_page("queries.md", bench=bench)
    assert scope["best"] == bench.top("camera", "denoising", 1)[0]
    assert scope["place"] == 1 + [r.model for r in bench.top("camera", "denoising", 522)].index(
        scope["one"].model
    )
    assert len(scope["table"]) == len(bench.models)
    assert scope["quick"].iteration < 40
    assert scope["blind"].iteration == 622
    assert "conv" in scope["named"].model
    assert set(scope["wide"]) == set(scope["names"])
    assert len(scope["joined"]) == len(bench.models)


def test_the_page_on_searches(
    run_page: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    scope = run_page("search-replay.md")
    assert len(scope["trace"].steps) == 8
    printed = capsys.readouterr().out
    assert "halving" in printed
    assert "random" in printed
