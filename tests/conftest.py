"""What every test relies on: one thread, repeatable examples, no files of the user's touched."""

import os
import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Set before NumPy or torch are imported, which read them once. Workers run side by side, and a
# run is bit-identical only with the same number of threads.
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_variable] = "1"
os.environ["MPLBACKEND"] = "agg"

import hypothesis
import pytest

DOCS = Path(__file__).parents[1] / "docs"

hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(autouse=True, scope="session")
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep downloaded benchmarks of the user's out of the tests, in subprocesses too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIPBENCH_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture
def diverge(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Lets the trainings of a named network give NaN from an iteration on."""

    def patch(name: str, at: int) -> None:
        from dipbench.evaluate.models import build_model

        def build(model: Any, *rest: Any) -> Any:
            built = build_model(model, *rest)
            sound = iter(range(at))

            def spoil(_: Any, __: Any, output: Any) -> Any:
                if output.is_meta or next(sound, None) is not None:  # a meta pass only counts
                    return output
                return output * float("nan")

            if built.name == name:
                built.network.register_forward_hook(spoil)
            return built

        monkeypatch.setattr("dipbench.evaluate.fitting.build_model", build)

    return patch


@pytest.fixture
def run_page() -> Callable[..., dict[str, Any]]:
    """Runs the Python of a page of `docs` from the names given; returns all that it makes."""

    def run(page: str, **names: Any) -> dict[str, Any]:
        text = (DOCS / page).read_text(encoding="utf-8")
        python = "\n".join(re.findall(r"```python\n(.*?)```", text, re.S))
        exec(compile(python, page, "exec"), names)
        return names

    return run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests marked `cuda` where there is no CUDA device."""
    marked = [item for item in items if item.get_closest_marker("cuda")]
    if marked and not _cuda_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


def _cuda_available() -> bool:
    if find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()
