"""JSON for programs: what is not finite is null, wherever it stands."""

import errno
import io
import json
import pickle
from dataclasses import dataclass
from math import inf, nan

from dipbench.cli.misuse import exit_status
from dipbench.cli.output import console, model_cell, print_json, score_cell, table
from dipbench.errors import StoreError


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
    cells = ("variance_scaled", "123.45", "5.94 ± 0.12")
    made = table(["criterion", ">lost dB", ">most"], [cells], "t")
    for width in (60, 45, 40, 25):
        rows = [line for line in shown(made, width) if "123.45" in line]
        assert [row.split() for row in rows] == [" ".join(cells).split()]


def test_a_genotype_is_broken_after_its_hyphens_and_rows_alone():
    bits = "1101010000100100001100001"
    for block in (
        "pixel_shuffle-split_stack_sum-5x5-leaky_relu-op_first",
        "bilinear-conv-1x1-relu",
    ):
        made = table(["model", ">PSNR dB"], [(model_cell(f"{block}/{bits}"), "27.18 ± 0.01")])
        for width in range(34, 90):
            lines = [line.split()[0] for line in shown(made, width)[3:] if line.strip()]
            assert max(map(len, shown(made, width))) <= width
            assert "".join(lines) == f"{block}/{bits}"
            assert all(len(line.strip("-/")) > 2 for line in lines)
            assert next(line for line in lines if line.isdecimal()) in (bits, bits[:20], bits[:15])


def test_a_name_of_ones_own_stays_on_one_line():
    made = table(
        ["model", ">PSNR dB"], [(model_cell(name), "1.00") for name in ("a/b", "像網", "x")]
    )
    names = [line.split()[0] for line in shown(made, 40)[3:6]]
    assert names == ["a/b", "像網", "x"]


def test_a_score_is_broken_before_the_way_it_was_made_in():
    made = table(["score", ">tau"], [(score_cell("psd_db_mse:table-512"), "+0.1"), ("x", "+0.2")])
    assert [line.split() for line in shown(made, 30)[3:5]] == [
        ["psd_db_mse:table-512", "+0.1"],
        ["x", "+0.2"],
    ]
    assert [line.split() for line in shown(made, 20)[3:5]] == [
        ["psd_db_mse", "+0.1"],
        [":table-512"],
    ]


def shown(made, width):
    text = io.StringIO()
    type(console)(file=text, width=width).print(made)
    return text.getvalue().splitlines()


def test_a_failing_disk_is_told_from_a_mistake_between_processes_too():
    told = StoreError("cannot write")
    told.errno = errno.ENOSPC
    assert exit_status(pickle.loads(pickle.dumps(told))) == 1
    assert exit_status(StoreError("cannot write")) == 2
    assert exit_status(OSError(errno.ESTALE, "Stale file handle")) == 1
