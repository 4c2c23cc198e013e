"""HDF5 files on disks that may be full or damaged: a clear error instead of a crash."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

import h5py

from ..files import published
from .store import unreadable


@contextmanager
def published_hdf5(path: Path) -> Iterator[h5py.File]:
    """Yield a new HDF5 file that is published under `path` on leaving without an error.

    Raises:
        OSError: if the disk does not take it; nothing is left behind.
    """
    with published(path) as temporary, _PatientFile(temporary) as disk:
        try:
            with h5py.File(disk, "w", libver="latest") as file:
                yield file
        finally:
            if disk.error is not None:
                raise disk.error


@contextmanager
def opened_hdf5(path: Path) -> Iterator[h5py.File]:
    """Yield an HDF5 file to read from.

    Raises:
        StoreError: if it is missing, or damaged where it is read.
    """
    try:
        with open_to_read(path) as file:
            yield file
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise unreadable(path, error) from error


def open_to_read(path: Path) -> h5py.File:
    """An HDF5 file to read from, without a lock where the disk has none.

    Published by rename, it is never written to. Not without one everywhere: within a process all
    who open a file must agree on it.

    Raises:
        OSError: if it cannot be opened.
    """
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if error.errno != errno.ENOLCK and "lock" not in str(error):
            raise
        return h5py.File(path, "r", locking=False)


class _PatientFile(FileIO):
    """A file that takes what no longer fits on the disk, and keeps the error for later.

    The HDF5 library ends the whole process where a write fails, so that it must not learn of it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        try:
            while rest and self.error is None:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        return len(data)
