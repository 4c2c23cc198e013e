"""The Python of the page on restoring runs."""

import os
import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "restoring.md"


def test_the_code_of_the_page_runs(monkeypatch):
    # One thread: what is tried here is no work for two.
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S))
    assert code.count("iterations=300") == 2
    code = code.replace("iterations=300", "iterations=1").replace(
        "models=8, keep=3", "models=1, keep=1"
    )
    names = {}
    exec(compile(code, PAGE.name, "exec"), names)
    assert names["restored"].image.shape == (1, 64, 64)
    assert {"psnr", "ssim"} <= set(names["restored"].quality)
    assert names["found"].restoration.image.shape == (1, 64, 64)
    assert len(names["found"].candidates) == 1
