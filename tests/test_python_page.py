"""The page on the Python interface: what it lists is there, and what is public is listed."""

import inspect
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import dipbench

PAGE = Path(__file__).parents[1] / "docs" / "python.md"
ROOMS: list[tuple[str, str]] = re.findall(
    r"^## `([^`]+)`\n(.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.M | re.S
)
ROWS = {
    (room, name): text
    for room, section in ROOMS
    for name, text in re.findall(r"^\| `(.+?)` \| (.+) \|$", section, re.M)
}


@pytest.mark.parametrize(("room", "name"), ROWS)
def test_a_row_is_the_first_line_of_the_docstring(room: str, name: str) -> None:
    if name.startswith("blackbox."):
        pytest.importorskip("syne_tune")
    *modules, last = name.split(".")
    is_class = room == "dipbench.Benchmark"
    home = dipbench.Benchmark if is_class else import_module(".".join([room, *modules]))
    found = getattr(home, last)
    if not isinstance(found, dict | tuple | str):  # these have no docstring of their own
        first = inspect.getdoc(found).splitlines()[0]
        assert ROWS[room, name].replace("\\|", "|") == first


def test_every_public_name_is_listed() -> None:
    listed = {name for _, name in ROWS}
    public = {name for name in vars(dipbench.Benchmark) if not name.startswith("_")}
    for room in {room for room, _ in ROOMS} - {"dipbench.Benchmark"}:
        public |= set(import_module(room).__all__)
    errors = {name for name in public if name.endswith("Error")}
    assert public - errors <= listed


def test_its_script_builds_a_benchmark(
    run_page: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scope = run_page("python.md", __name__="__main__")
    assert scope["best"].model in scope["models"]
    assert scope["table"]["score"].tolist() == ["psd_db_strip_mse"]
