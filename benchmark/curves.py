"""The curves of a benchmark: one HDF5 group an (image, task), read from disk when asked for."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np

from ..errors import QueryError, StoreError, one_line, unknown
from .hdf5 import open_to_read
from .schema import Pair
from .store import unreadable
from .thinning import DECIBEL_SUFFIX, ITERATIONS, LENGTH, dataset_name, restored, rounded

CHUNK_VALUES = 4096
"""Curves shorter than this share a chunk: every chunk costs an entry in the file's index."""


def write_curves(
    file: h5py.File, image: str, task: str, runs: Sequence[Mapping[str, np.ndarray]]
) -> None:
    """Write the group `image/task` of a curves file, its runs in the order of their rows.

    It holds a float32 dataset (runs, iterations) a kind, NaN past a run's length, chunked by run
    (by several short ones), with checksums, and the lengths.
    """
    lengths = [max((len(curve) for curve in run.values()), default=0) for run in runs]
    group = file.create_group(f"{image}/{task}")
    group.create_dataset(LENGTH, data=np.array(lengths, np.int32), fletcher32=True)
    width = max(lengths, default=0)
    if width == 0:
        return
    for kind in dict.fromkeys(kind for run in runs for kind in run):
        table = np.full((len(runs), width), np.nan, np.float32)
        for row, run in enumerate(runs):
            if kind in run:
                table[row, : len(run[kind])] = run[kind]
        group.create_dataset(
            kind,
            data=table,
            chunks=(min(len(runs), max(1, CHUNK_VALUES // width)), width),
            compression="gzip",
            compression_opts=4,
            shuffle=True,
            fletcher32=True,
        )


class CurvesReader:
    """Reads curves from a file of `write_curves` or `write_thinned_curves`, opened at first use.

    Args:
        path: of the curves file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._groups: dict[Pair, h5py.Group] = {}
        # Finding a dataset in the file takes as long as reading a curve of it.
        self._datasets: dict[tuple[str, str, str], h5py.Dataset] = {}
        self._kinds: dict[Pair, tuple[str, ...]] = {}
        self._lengths: dict[Pair, np.ndarray] = {}
        self._thinned: dict[Pair, np.ndarray | None] = {}

    def __reduce__(self) -> tuple[type["CurvesReader"], tuple[Path]]:
        """Each process, and each copy, opens the file for itself."""
        return CurvesReader, (self._path,)

    def kinds(self, image: str, task: str) -> tuple[str, ...]:
        """The kinds of curves that the runs of a pair have."""
        pair = image, task
        if pair not in self._kinds:
            try:
                names = [name for name in self._group(*pair) if name not in (LENGTH, ITERATIONS)]
            except (OSError, RuntimeError) as error:
                raise self._damaged("/".join(pair), error) from error
            self._kinds[pair] = tuple(name.removesuffix(DECIBEL_SUFFIX) for name in names)
        return self._kinds[pair]

    def lengths(self, image: str, task: str) -> np.ndarray:
        """int32 (runs,): iterations of each run, in the order of rows."""
        if (image, task) not in self._lengths:
            self._lengths[image, task] = self._read(image, task, LENGTH, ())
        return self._lengths[image, task]

    def thinned(self, image: str, task: str) -> bool:
        """Whether the curves of a pair are kept at a stride, see `thinning`."""
        return self._kept(image, task) is not None

    def iterations(self, image: str, task: str) -> np.ndarray:
        """int32 (points,): which iteration each value of the pair's curves is of, from 0."""
        kept = self._kept(image, task)
        if kept is None:
            kept = np.arange(self.lengths(image, task).max(initial=0), dtype=np.int32)
        return kept

    def points(self, image: str, task: str, row: int) -> int:
        """How many values one run's curves have.

        Raises:
            StoreError: if there is no such run in the file.
        """
        lengths = self.lengths(image, task)
        if row >= len(lengths):
            raise self._damaged(f"{image}/{task}", f"it ends before row {row}")
        length = int(lengths[row])
        kept = self._kept(image, task)
        return length if kept is None else int(kept.searchsorted(length))

    def curve(self, image: str, task: str, kind: str, row: int) -> np.ndarray:
        """One run's curve, float32 (points,).

        Raises:
            QueryError: if the pair's runs have no such curve.
            StoreError: if the file is damaged there.
        """
        self._check_kind(image, task, kind)
        values = self._read(image, task, kind, (row, slice(self.points(image, task, row))))
        return restored(kind, values) if self.thinned(image, task) else values

    def curves(self, image: str, task: str, kind: str) -> np.ndarray:
        """All runs of a pair: float32 (runs, points), NaN past a run's length.

        Raises:
            QueryError: if the pair's runs have no such curve.
            StoreError: if the file is damaged there.
        """
        self._check_kind(image, task, kind)
        table = self._read(image, task, kind, ())
        if not self.thinned(image, task):
            return table
        ended = self.iterations(image, task) >= self.lengths(image, task)[:, None]
        return np.where(ended, np.float32(np.nan), restored(kind, table))

    def stored(self, image: str, task: str) -> dict[str, np.ndarray]:
        """What a pair's thinned curves are stored as, (runs, points) by dataset, see `thinning`."""
        names = map(dataset_name, self.kinds(image, task))
        return {name: rounded(self._read(image, task, name, ())) for name in names}

    def of_run(self, image: str, task: str, row: int) -> dict[str, np.ndarray]:
        """The curves that one run has, by kind."""
        curves = {kind: self.curve(image, task, kind, row) for kind in self.kinds(image, task)}
        return {kind: curve for kind, curve in curves.items() if not np.isnan(curve).all()}

    def close(self) -> None:
        """Close the file if it was opened."""
        if "_file" in vars(self):
            self._file.close()
            del self._file
        self._groups.clear()
        self._datasets.clear()
        self._kinds.clear()
        self._lengths.clear()
        self._thinned.clear()

    @cached_property
    def _file(self) -> h5py.File:
        try:
            return open_to_read(self._path)
        except FileNotFoundError as error:
            raise StoreError(
                f"{self._path} is not there: if the benchmark has grown since it was opened, load "
                "it again; else restore the file from a copy"
            ) from error
        except OSError as error:
            raise unreadable(self._path, error) from error

    def _group(self, image: str, task: str) -> h5py.Group:
        pair = image, task
        if pair not in self._groups:
            try:
                self._groups[pair] = self._file[f"{image}/{task}"]
            except KeyError as error:
                raise QueryError(f"there are no curves of {image}, {task}") from error
            except (OSError, RuntimeError) as error:
                raise self._damaged(f"{image}/{task}", error) from error
        return self._groups[pair]

    def _kept(self, image: str, task: str) -> np.ndarray | None:
        """The iterations that thinned curves are of; None where every one is there."""
        if (image, task) not in self._thinned:
            try:
                there = ITERATIONS in self._group(image, task)
            except (OSError, RuntimeError) as error:
                raise self._damaged(f"{image}/{task}", error) from error
            self._thinned[image, task] = self._read(image, task, ITERATIONS, ()) if there else None
        return self._thinned[image, task]

    def _read(self, image: str, task: str, kind: str, where: object) -> np.ndarray:
        try:
            values: np.ndarray = self._dataset(image, task, kind)[where]
        except (OSError, RuntimeError, KeyError, TypeError, ValueError, IndexError) as error:
            raise self._damaged(f"{image}/{task}/{kind}", error) from error
        return values

    def _check_kind(self, image: str, task: str, kind: str) -> None:
        if kind not in self.kinds(image, task):
            raise QueryError(unknown("kind of curve", kind, self.kinds(image, task)))

    def _dataset(self, image: str, task: str, kind: str) -> h5py.Dataset:
        name = image, task, kind
        if name not in self._datasets:
            group = self._group(image, task)
            self._datasets[name] = group[
                dataset_name(kind) if dataset_name(kind) in group else kind
            ]
        return self._datasets[name]

    def _damaged(self, where: str, error: object) -> StoreError:
        return StoreError(
            f"{self._path}: {where} is damaged ({one_line(error)}): restore it from a copy"
        )
