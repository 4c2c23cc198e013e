"""The commands that the README and the pages of documentation show, and what they print."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from dipbench.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = get_command(app).commands
BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)
SESSION = re.compile(r"^\$ (dipbench .*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
"""A command after a prompt, and the lines up to the next one."""


def blocks() -> list[str]:
    return [block for page in PAGES for block in BLOCK.findall(page.read_text(encoding="utf-8"))]


def shown() -> list[str]:
    lines = "\n".join(blocks()).replace("\\\n", " ").splitlines()
    commands = [part.strip().removeprefix("$ ") for line in lines for part in line.split("&&")]
    return sorted({command for command in commands if command.startswith("dipbench ")})


def sessions() -> dict[str, list[str]]:
    """The outputs that the pages show of each command, which `…` may cut."""
    found: dict[str, list[str]] = {}
    for block in blocks():
        for command, output in SESSION.findall(block):
            found.setdefault(command, []).append(output)
    return found


def stripped(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip("\n").splitlines() if line.strip()]


def as_pattern(output: str) -> str:
    """An expression for the lines shown, in which a line of `…` stands for some that are not."""
    lines = stripped(output)
    return "".join(
        r"(?:.*\n)+?" if line.strip() == "…" else re.escape(line + "\n") for line in lines
    )


@pytest.mark.parametrize("line", shown())
def test_a_command_shown_is_one_that_there_is(line: str) -> None:
    words = shlex.split(line.split(" > ")[0], comments=True)
    assert words[1] in COMMANDS
    COMMANDS[words[1]].make_context(words[1], words[2:])


@pytest.mark.parametrize("command", sessions())
def test_a_command_prints_what_is_shown(
    command: str, dipbench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    answer = dipbench(*shlex.split(command)[1:])
    assert answer.status == 0, answer.err
    printed = "".join(line + "\n" for line in stripped(answer.out))
    for output in sessions()[command]:
        assert re.fullmatch(as_pattern(output), printed), f"{output}\nis shown of\n{printed}"


def test_every_output_shown_is_found() -> None:
    prompts = sum(page.read_text(encoding="utf-8").count("\n$ dipbench ") for page in PAGES)
    assert prompts == sum(map(len, sessions().values())) > 0
