"""JSON for programs: what is not finite is null, wherever it stands."""

import json
from dataclasses import dataclass
from math import inf, nan

from dipbench.cli.output import print_json


@dataclass(frozen=True)
class Found:
    psnr: float
    tried: tuple[float, ...]


def test_what_is_not_finite_is_null(capsys):
    print_json({"best": Found(inf, (1.5, -inf)), "others": [(nan, Found(nan, ()))]})
    best = {"psnr": None, "tried": [1.5, None]}
    others = [[None, {"psnr": None, "tried": []}]]
    assert json.loads(capsys.readouterr().out) == {"best": best, "others": others}
