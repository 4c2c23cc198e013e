"""The 324 upsample codes against the published table of all of them."""

import csv
from pathlib import Path

from dipbench.genotypes import upsample

TABLE = Path(__file__).parents[1] / "reference" / "upsample_codes.csv"
WORDS = {"none": "none", "ReLU": "relu", "LeakyReLU": "leaky_relu"}
ORDERS = {"resize-first": "resize_first", "op-first": "op_first"}


def published_rows():
    with TABLE.open() as file:
        return list(csv.DictReader(file))


def test_decodes_every_published_code():
    rows = published_rows()
    assert [int(row["upsample"]) for row in rows] == list(range(upsample.CODE_COUNT))
    for row in rows:
        block = upsample.decode(int(row["upsample"]))
        transposed = row["primitive"] == "trans_conv"
        identity = row["operation"] == "identity" and not transposed
        assert block == (
            row["primitive"],
            None if transposed else row["operation"],
            None if identity else int(row["kernel"][0]),
            WORDS[row["activation"]],
            None if transposed else ORDERS[row["order"]],
        )


def test_refuses_exactly_the_27_invalid_codes():
    valid = tuple(int(row["upsample"]) for row in published_rows() if row["valid"] == "1")
    assert valid == upsample.VALID_UPSAMPLE_CODES
    assert len(valid) == 297


def test_block_names_are_distinct():
    assert len(upsample.codes_by_name()) == upsample.CODE_COUNT


def test_code_neighbours_are_valid_symmetric_and_never_itself():
    around = {code: set(upsample.code_neighbours(code)) for code in upsample.VALID_UPSAMPLE_CODES}
    for code, others in around.items():
        assert others
        assert code not in others
        assert others <= around.keys()
        assert all(code in around[other] for other in others)


def test_no_two_blocks_agree_in_all_they_share():
    codes = upsample.VALID_UPSAMPLE_CODES
    assert all(upsample._differences(a, b) > 0 for a in codes for b in codes if a != b)


def test_neighbours_of_one_block_by_hand():
    code = upsample.codes_by_name()["pixel_shuffle-conv-3x3-relu-op_first"]
    names = {str(upsample.decode(other)) for other in upsample.code_neighbours(code)}
    assert names == {
        "trans_conv-3x3-relu",
        "pixel_shuffle-trans_conv-3x3-relu-op_first",
        "pixel_shuffle-split_stack_sum-3x3-relu-op_first",
        "pixel_shuffle-sep_conv-3x3-relu-op_first",
        "pixel_shuffle-conv-1x1-relu-op_first",
        "pixel_shuffle-conv-5x5-relu-op_first",
        "pixel_shuffle-conv-7x7-relu-op_first",
        "pixel_shuffle-conv-3x3-none-op_first",
        "pixel_shuffle-conv-3x3-leaky_relu-op_first",
        "pixel_shuffle-conv-3x3-relu",
    }
