"""The smaller files of a published tree: tables of scores, arrays, numbers and pictures."""

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .layouts import channels_first
from .refusal import RefusedError
from .unpickling import read_pickle

SCORE_NAMES = (
    *("psd db mse", "psd db strip mse", "nodc psd db mse", "nodc psd strip mse"),
    *("nodc psd db strip mse", "psd db hist emd", "nodc psd hist emd", "nodc psd db hist emd"),
    *("psd strip hist emd", "psd 99_per_bw", "nodc psd 75_per_bw", "nodc psd db 50_db_bw"),
    "psd 70_per_bw",
)
"""The published spelling of the 13 training-free scores."""

MAX_TABLE_BYTES = 4 * 2**20
"""The largest table that is read; a published one has 522 rows, under 300 kB."""

MAX_PIXELS = 2 * 2**20
"""The largest picture that is read; a published one has 512 x 512 pixels."""


@dataclass(frozen=True)
class LegacyScores:
    """One row of a table: a model's published name, its scores, and the bests beside them.

    Names of scores have underscores. `infinite` counts the values that are left out as such.
    """

    model: str
    scores: Mapping[str, float]
    best: Mapping[str, float]
    infinite: int = field(default=0, repr=False)


def read_number(data: bytes) -> float:
    """Read a pickle of one number (`psnr_noisy.pkl`).

    Raises:
        RefusedError: It is anything else.
    """
    value = read_pickle(data)
    if type(value) not in (int, float) or not math.isfinite(value):
        raise RefusedError("the pickle is no finite number")
    return float(value)


def read_array(data: bytes) -> np.ndarray:
    """Read a `.npy` file of finite numbers, its size checked before memory is taken.

    Raises:
        RefusedError: It is damaged, holds objects or records, or a NaN.

    >>> file = io.BytesIO()
    >>> np.save(file, np.eye(2))
    >>> read_array(file.getvalue()).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        else:
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
    except Exception as error:  # a damaged header makes NumPy's parsers raise what they like
        raise RefusedError(f"is no .npy file or damaged ({error})") from error
    content = len(data) - stream.tell()
    if math.prod(shape) > 3 * MAX_PIXELS:
        raise RefusedError(f"has the shape {shape}; at most {3 * MAX_PIXELS} numbers are read")
    if dtype.kind not in "fiub" or dtype.hasobject:
        raise RefusedError(f"holds an array of {dtype}; only numbers are read")
    if math.prod(shape) * dtype.itemsize != content or min(shape, default=0) < 0:
        raise RefusedError(f"holds {content} bytes, which do not fit its shape {shape}")
    array = np.frombuffer(data, dtype, offset=stream.tell())
    array = array.reshape(shape, order="F" if fortran else "C")
    if not np.isfinite(array).all():
        raise RefusedError("holds NaN or infinite values")
    return array


def read_scores(data: bytes) -> list[LegacyScores]:
    r"""Read a table of scores, similarity or low-pass.

    Raises:
        RefusedError: It is no such table, or a value is no number; an infinite one is left out.

    >>> read_scores(b"model name,psd 99_per_bw\n4_01,0.5\n")
    [LegacyScores(model='4_01', scores={'psd_99_per_bw': 0.5}, best={})]
    """
    if len(data) > MAX_TABLE_BYTES:
        raise RefusedError(f"has {len(data)} bytes; a table of at most {MAX_TABLE_BYTES} is read")
    try:
        rows = list(csv.DictReader(io.StringIO(data.decode("utf-8")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise RefusedError(f"is no table of scores ({error})") from error
    return [_scores_row(number, row) for number, row in enumerate(rows, start=2)]


def read_picture(data: bytes) -> np.ndarray:
    """Read a PNG as (C, H, W) float64 in [0, 1].

    Raises:
        RefusedError: It is no PNG, or has more than `MAX_PIXELS`.
    """
    import PIL.Image

    try:
        with PIL.Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
            if math.prod(picture.size) > MAX_PIXELS:
                raise RefusedError(
                    f"has {math.prod(picture.size)} pixels; at most {MAX_PIXELS} are read"
                )
            grey = picture.mode in ("1", "L", "I", "I;16")
            array = np.asarray(picture if grey else picture.convert("RGB"))
            if picture.mode == "I":  # of 16 bits, in Pillow before 11
                array = array.astype(np.uint16)
    except RefusedError:
        raise
    except Exception as error:  # what a damaged file makes of a parser is not foreseen
        raise RefusedError(f"is no PNG or damaged ({error})") from error
    return channels_first(array, "the picture")


_BEST_COLUMNS = {
    "best psnr": "best_psnr",
    "best iteration": "best_psnr_iteration",
    "best psnr smooth": "best_psnr_smooth",
    "best iteration smooth": "best_psnr_smooth_iteration",
}


def _scores_row(line: int, row: Mapping[Any, Any]) -> LegacyScores:
    if not row.get("model name") or None in row or None in row.values():
        raise RefusedError(f"line {line} has no 'model name' or another number of values")
    numbers = {name: _cell(line, row, name) for name in (*SCORE_NAMES, *_BEST_COLUMNS)}
    infinite = [name for name, value in numbers.items() if value is not None and math.isinf(value)]
    numbers |= dict.fromkeys(infinite)
    return LegacyScores(
        row["model name"],
        {name.replace(" ", "_"): v for name in SCORE_NAMES if (v := numbers[name]) is not None},
        {best: v for name, best in _BEST_COLUMNS.items() if (v := numbers[name]) is not None},
        len(infinite),
    )


def _cell(line: int, row: Mapping[str, str], name: str) -> float | None:
    """A number; None where the table has no such column or leaves the cell empty."""
    text = row.get(name, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise RefusedError(f"line {line}, {name}: {text!r:.40} is no number")
    return value
