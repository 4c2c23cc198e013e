"""Curves at a stride: for a benchmark that must be small, such as one shipped in the package.

The rule: of every `stride` iterations the last is kept (the 4th, 8th, … for a stride of 4), so
that what a training shows after a multiple of `stride` iterations is there. PSNR is rounded to
0.001 dB; loss and variance are kept in dB too (10 log10 of the value), under their name with
`_db`. The observed PSNR is left out: it is -10 log10 of the loss plus a constant of the mask.
Summaries of runs are not taken from these curves but from the full ones.
"""

from collections.abc import Mapping, Sequence

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t, h5z

from ..errors import StoreError
from .schema import Run

LENGTH = "length"
ITERATIONS = "iterations"
DECIBEL_SUFFIX = "_db"
LOGARITHMIC = ("loss", "variance")
LEFT_OUT = ("psnr_observed",)
DECIMALS = 3
SMALLEST = 1e-20
"""What a smaller loss or variance is kept as: 0 has no decibels."""

CHUNK_RUNS, CHUNK_POINTS = 16, 125
"""Of a chunk, at most: of a curve's later part, and of its like, few bits differ."""
DEFLATE_LEVEL = 9
"""Of the packed bits: noise stays as large as it is, what is repeated takes next to nothing."""


def thinned_iterations(length: int, stride: int) -> np.ndarray:
    """The iterations that are kept of a run of so many.

    >>> thinned_iterations(14, stride=4)
    array([ 3,  7, 11], dtype=int32)
    """
    return np.arange(stride - 1, length, stride, dtype=np.int32)


def thinned(kind: str, curve: np.ndarray, iterations: np.ndarray) -> np.ndarray:
    """What is stored of a full curve at these iterations: float32 in dB, multiples of 0.001.

    >>> thinned("loss", np.array([0.5, 0.1]), np.array([1])).tolist()
    [-10.0]
    """
    values = curve[iterations].astype(np.float64)
    if kind in LOGARITHMIC:
        values = 10 * np.log10(np.maximum(values, SMALLEST))
    return rounded(values)


def rounded(values: np.ndarray) -> np.ndarray:
    """Float32 nearest to a multiple of 0.001, the same on every platform; no negative zero."""
    return (np.round(values.astype(np.float64), DECIMALS) + 0.0).astype(np.float32)


def restored(kind: str, stored: np.ndarray) -> np.ndarray:
    """The values of a kind of curve, float32, from what is stored of it.

    >>> restored("loss", np.float32([-10.0])), restored("psnr", np.float32([25.1239998]))
    (array([0.1], dtype=float32), array([25.124], dtype=float32))
    """
    values = rounded(stored)
    if kind in LOGARITHMIC:
        values = (10 ** (values.astype(np.float64) / 10)).astype(np.float32)
    return values


def dataset_name(kind: str) -> str:
    """The dataset that a kind of curve is stored in.

    >>> dataset_name("loss"), dataset_name("psnr")
    ('loss_db', 'psnr')
    """
    return kind + DECIBEL_SUFFIX if kind in LOGARITHMIC else kind


def thinned_curves(run: Run, kept: np.ndarray) -> dict[str, np.ndarray]:
    """What is stored of a run's curves by dataset.

    Args:
        run: all of whose curves are of one length.
        kept: places in its curves.

    Raises:
        StoreError: if a curve is shorter than another, or holds no finite number somewhere.
    """
    length = max(map(len, run.curves.values()), default=0)
    for kind, curve in run.curves.items():
        if len(curve) != length or not np.isfinite(curve).all():
            raise StoreError(
                f"{run.key} has no finite {kind} in each of its {length} iterations: such a curve "
                "cannot be packed, so that no compact copy can hold this run"
            )
    return {
        dataset_name(kind): thinned(kind, curve, kept)
        for kind, curve in run.curves.items()
        if kind not in LEFT_OUT
    }


def write_thinned_curves(
    file: h5py.File,
    image: str,
    task: str,
    lengths: Sequence[int],
    stored: Sequence[Mapping[str, np.ndarray]],
    stride: int,
) -> None:
    """Write the group `image/task` of a curves file.

    Beside the lengths of the runs it holds `iterations`, int32 (points,), and a float32 dataset
    (runs, points) a kind. Past the end of a run that was cut its last value is repeated, for the
    filter that packs the bits would turn NaN into numbers.

    Args:
        file: that is written.
        image: its name.
        task: its text form.
        lengths: of the runs in iterations, in the order of their rows.
        stored: `thinned_curves` of the runs.
        stride: of how many iterations one is kept.

    Raises:
        StoreError: if a run lacks a kind of curve that another has, or the stride is longer than
            every run.
    """
    longest = max(lengths, default=0)
    iterations = thinned_iterations(longest, stride)
    if longest and not len(iterations):
        raise StoreError(f"a stride of {stride} keeps no iteration of {image}, {task}: give less")
    group = file.create_group(f"{image}/{task}")
    group.create_dataset(LENGTH, data=np.array(lengths, np.int32), fletcher32=True)
    group.create_dataset(ITERATIONS, data=iterations, fletcher32=longest > 0)
    if not longest:  # all of its runs diverged at once
        return
    for name in dict.fromkeys(name for own in stored for name in own):
        table = np.full((len(stored), len(iterations)), np.nan, np.float32)
        for row, own, length in zip(table, stored, lengths, strict=True):
            if name not in own and len(thinned_iterations(length, stride)):
                raise StoreError(f"a run of {image}, {task} has no curve {name}, others have")
            values = own.get(name, row[:0])
            row[: len(values)] = values
            row[len(values) :] = values[-1] if len(values) else np.nan
        # Rows without any value, of runs that ended at once, get one that takes no more bits.
        table[np.isnan(table)] = np.nanmin(table)
        _write_packed(group, name, table)


def _write_packed(group: h5py.Group, name: str, table: np.ndarray) -> None:
    """A dataset by the scale-offset filter, deflated, and checksums over what that leaves.

    h5py's own function refuses the two together, because it would take them in the other order.
    """
    runs, points = table.shape
    across = -(-points // CHUNK_POINTS)  # evenly, for a chunk that sticks out is stored whole
    how = h5p.create(h5p.DATASET_CREATE)
    how.set_chunk((min(CHUNK_RUNS, runs), -(-points // across)))
    how.set_scaleoffset(h5z.SO_FLOAT_DSCALE, DECIMALS)
    how.set_deflate(DEFLATE_LEVEL)
    how.set_fletcher32()
    how.set_obj_track_times(False)  # the same curves make the same file at any time
    space = h5s.create_simple(table.shape)
    data = h5d.create(group.id, name.encode(), h5t.IEEE_F32LE, space, dcpl=how)
    h5py.Dataset(data)[...] = table
