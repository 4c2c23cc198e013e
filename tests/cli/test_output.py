"""JSON for programs: what is not finite is null, wherever it stands."""

import io
import json
from dataclasses import dataclass
from math import inf, nan

from dipbench.cli.output import console, print_json, table


@dataclass(frozen=True)
class Found:
    psnr: float
    tried: tuple[float, ...]


def test_what_is_not_finite_is_null(capsys):
    print_json({"best": Found(inf, (1.5, -inf)), "others": [(nan, Found(nan, ()))]})
    best = {"psnr": None, "tried": [1.5, None]}
    others = [[None, {"psnr": None, "tried": []}]]
    assert json.loads(capsys.readouterr().out) == {"best": best, "others": others}


def test_a_table_too_wide_for_the_terminal_runs_over_its_edge_whole():
    made = table(["criterion", ">lost dB", ">most"], [("variance_scaled", "123.45", "5.94")], "t")
    for width, lines in ((60, 1), (25, 1)):
        text = io.StringIO()
        type(console)(file=text, width=width).print(made)
        rows = [line for line in text.getvalue().splitlines() if "123.45" in line]
        assert len(rows) == lines
        assert rows[0].split() == ["variance_scaled", "123.45", "5.94"]
