"""Every two colours of a figure differ to the eye, with or without a colour-vision deficiency."""

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

import dipbench
from dipbench.analysis.plots_style import PALETTE

# Machado, Oliveira, Fernandes, IEEE Trans. Visualization and Computer Graphics 2009, severity 1.
VISIONS = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
    "normal": np.eye(3).tolist(),
}
PAGE = Path(dipbench.__file__).parent / "analysis" / "templates" / "page.css"


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def seen(colour: str, vision: str) -> np.ndarray:
    """CIE L*a*b* of a colour as someone of that vision sees it."""
    values = np.clip(VISIONS[vision] @ linear(colour), 0, 1)
    return rgb2lab(
        np.where(values <= 0.0031308, 12.92 * values, 1.055 * values ** (1 / 2.4) - 0.055)
    )


def contrast(one: str, other: str) -> float:
    """As the Web Content Accessibility Guidelines 2.1 define it."""
    light = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (light[1] + 0.05) / (light[0] + 0.05)


def themes() -> dict[str, tuple[str, list[str]]]:
    """The paper and the colours of each theme of the report, and of the figures."""
    found = {}
    for name, rules in zip(("light", "dark"), PAGE.read_text().split("--paper:")[1:], strict=False):
        paper = re.search("#[0-9a-f]{6}", rules)
        assert paper
        found[name] = paper[0], re.findall(r"--c\d: (#[0-9a-f]{6})", rules)
    return found


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("name", ["light", "dark", "figures"])
def test_colours_are_told_apart(name: str, vision: str) -> None:
    _, colours = {**themes(), "figures": ("#ffffff", [*PALETTE])}[name]
    assert len(colours) >= 7
    for one, other in combinations(colours, 2):
        assert deltaE_ciede2000(seen(one, vision), seen(other, vision)) > 10, (one, other)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_colours_stand_out_from_the_page(name: str) -> None:
    paper, colours = themes()[name]
    assert min(contrast(colour, paper) for colour in colours) >= 3
