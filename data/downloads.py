"""Downloading a published dataset: what it holds, what is here already, and the rest of it."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from ..errors import DownloadError, one_line
from ..files import data_home, published
from .catalogue import Dataset, find_dataset
from .transfer import RemoteFile, fetch, file_checksum, partial_path
from .zenodo import list_record, zenodo_client

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

RECORD = ".record.json"
"""Beside the files: the list of them, as last seen, for offline use."""


@dataclass(frozen=True)
class FileState:
    """A file of a dataset and how much of it is in a folder.

    Attributes:
        file: The file.
        have: Bytes that are there.
        complete: Whether it was published there with its right size.
    """

    file: RemoteFile
    have: int
    complete: bool


def download_folder(name: str) -> Path:
    """Where the files of a dataset lie by default, in the cache (`DIPBENCH_HOME`)."""
    return data_home() / "downloads" / name


def list_files(name: str, out: Path | str | None = None, offline: bool = False) -> list[FileState]:
    """The files of a dataset, and how much of each is in the folder already.

    Args:
        name: A dataset of the catalogue.
        out: The folder; the cache's by default.
        offline: Ask no one; go by the list of the last download there. So does the environment
            variable `DIPBENCH_OFFLINE` (see `download`).

    Raises:
        QueryError: The dataset is unknown.
        DownloadError: Its list cannot be had.
        MissingExtraError: zenodo-get is not installed.
    """
    dataset, folder = find_dataset(name), _folder(name, out)
    files = _read_list(folder, dataset) if _is_offline(offline) else list_record(dataset)
    return [_state(file, folder) for file in files]


def download(name: str, out: Path | str | None = None, offline: bool = False) -> list[Path]:
    """Fetch what is missing of a published dataset; it can be interrupted and repeated.

    Each file goes on where an earlier attempt ended, is checked against size and checksum, and
    gets its name by a rename. What is complete is checked again and not fetched.

    Args:
        name: A dataset of the catalogue: `isnas-dip`.
        out: The folder; the cache's by default (`DIPBENCH_HOME`).
        offline: Fetch nothing: check what is there, and say what is missing. The environment
            variable `DIPBENCH_OFFLINE` has the same effect, unless it is empty, 0, false or no.

    Returns:
        The files, in the record's order.

    Raises:
        QueryError: The dataset is unknown.
        DownloadError: Another download is at work there, the disk is too small, the server fails,
            or (offline) a file is missing.
        MissingExtraError: zenodo-get is not installed.
    """
    dataset, folder = find_dataset(name), _folder(name, out)
    if _is_offline(offline):
        return _present(_read_list(folder, dataset), folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _sole_download(folder):
            files = list_record(dataset)
            _write_list(folder, files)
            return _fetch_all(files, folder)
    except OSError as error:
        raise DownloadError(
            f"cannot write to {folder} ({one_line(error)}): choose another --out"
        ) from error


def _folder(name: str, out: Path | str | None) -> Path:
    return download_folder(name) if out is None else Path(out)


def _is_offline(offline: bool) -> bool:
    said = os.environ.get("DIPBENCH_OFFLINE", "").strip().lower()
    return offline or said not in ("", "0", "false", "no")


def _state(file: RemoteFile, folder: Path) -> FileState:
    target, part = folder / file.name, partial_path(folder, file)
    if target.is_file() and target.stat().st_size == file.size:
        return FileState(file, file.size, True)
    return FileState(file, part.stat().st_size if part.is_file() else 0, False)


@contextmanager
def _sole_download(folder: Path) -> Iterator[None]:
    lock = FileLock(folder / ".download.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise DownloadError(
            f"another download into {folder} is at work: wait for it, or choose another --out"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _fetch_all(files: list[RemoteFile], folder: Path) -> list[Path]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    missing = [file for file in files if not _is_whole(file, folder)]
    _check_space(missing, folder)
    console = Console(stderr=True)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with (
        Progress(
            TextColumn("{task.description}"),
            *columns,
            console=console,
            disable=not console.is_terminal,
        ) as progress,
        zenodo_client() as client,
    ):
        for file in missing:
            bar = progress.add_task(file.name, total=file.size)
            fetch(client, file, folder, partial(_show, progress, bar))
    return [folder / file.name for file in files]


def _show(progress: "Progress", bar: "TaskID", have: int) -> None:
    progress.update(bar, completed=have)


def _is_whole(file: RemoteFile, folder: Path) -> bool:
    target = folder / file.name
    if not _state(file, folder).complete:
        return False
    return file_checksum(target, file.algorithm) == file.checksum


def _check_space(missing: list[RemoteFile], folder: Path) -> None:
    states = [_state(file, folder) for file in missing]
    # One that is whole by its size and missing all the same is fetched anew, beside it.
    needed = sum(state.file.size - state.have * (not state.complete) for state in states)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DownloadError(
            f"{folder} has {free} bytes free and {needed} are needed: choose another --out"
        )


def _present(files: list[RemoteFile], folder: Path) -> list[Path]:
    missing = [file.name for file in files if not _is_whole(file, folder)]
    if missing:
        raise DownloadError(
            f"offline, and missing or incomplete in {folder}: {', '.join(missing)}; "
            "download again when online"
        )
    return [folder / file.name for file in files]


def _read_list(folder: Path, dataset: Dataset) -> list[RemoteFile]:
    path = folder / RECORD
    if not path.is_file():
        raise DownloadError(
            f"offline, and {dataset.name} was never downloaded to {folder}: all of record "
            f"{dataset.record} ({dataset.doi}) is missing; download it when online"
        )
    try:
        return [RemoteFile(**record) for record in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        raise DownloadError(f"{path} is damaged ({error}): download again when online") from error


def _write_list(folder: Path, files: list[RemoteFile]) -> None:
    with published(folder / RECORD) as temporary:
        temporary.write_text(json.dumps([asdict(file) for file in files], indent=2) + "\n")
