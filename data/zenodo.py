"""What Zenodo says of a record, asked through the `zenodo-get` library.

That library (AGPL-3.0, the extra `download`) is imported in this module alone, and only when a
question is asked.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DownloadError, MissingExtraError
from .catalogue import Dataset
from .transfer import RemoteFile

if TYPE_CHECKING:
    import httpx2

_ALGORITHMS = ("md5", "sha1", "sha256", "sha512")
_METADATA_TIMEOUT = 30.0


@contextmanager
def zenodo_client() -> "Iterator[httpx2.Client]":
    """A client of zenodo-get's, which honours proxies; its retries are left to `fetch`."""
    with _zenodo_get():
        from zenodo_get.downloader import create_configured_client  # type: ignore[import-untyped]
    with create_configured_client(retry_total=0, verbosity=0) as client:
        yield client


@contextmanager
def _zenodo_get() -> Iterator[None]:
    """Import from zenodo-get, which takes over Ctrl-C and logs to standard error by itself."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
        from loguru import logger

        logger.disable("zenodo_get")
    except ImportError as error:
        raise MissingExtraError("download", "downloading a dataset") from error
    except ValueError as error:  # signals are set in the main thread only
        raise DownloadError("downloads must be started from the main thread") from error
    finally:
        if before is not signal.getsignal(signal.SIGINT):
            signal.signal(signal.SIGINT, before)


def list_record(dataset: Dataset) -> list[RemoteFile]:
    """The files of a dataset's record, as Zenodo lists them now.

    Raises:
        DownloadError: The list cannot be had, or names a file in no usable way.
        MissingExtraError: zenodo-get is not installed.
    """
    with _zenodo_get():
        from zenodo_get.downloader import configure_client, get_client
        from zenodo_get.metadata import (  # type: ignore[import-untyped]
            fetch_record_metadata,
            filter_files_from_metadata,
        )
        from zenodo_get.workflow.file_url import file_url  # type: ignore[import-untyped]
    configure_client(retry_total=4, verbosity=0)
    try:
        metadata = fetch_record_metadata(
            dataset.record, False, None, _METADATA_TIMEOUT, True, get_client=get_client
        )
        entries = filter_files_from_metadata(metadata or {}, (), dataset.record)
        pages = "https://zenodo.org/records/"
        files = [
            _remote_file(entry, file_url(entry, dataset.record, pages), dataset)
            for entry in entries
        ]
    except (ConnectionError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DownloadError(
            f"the list of record {dataset.record} could not be had ({error}): try again later, "
            "or --offline for what is here"
        ) from error
    if not files:
        raise DownloadError(f"record {dataset.record} lists no files; see {dataset.doi}")
    return files


def _remote_file(entry: dict[str, Any], url: str, dataset: Dataset) -> RemoteFile:
    name = entry.get("filename") or entry["key"]
    size = entry.get("filesize") or entry["size"]
    algorithm, _, checksum = entry["checksum"].rpartition(":")
    if name != Path(name).name or name.startswith(".") or "\\" in name:
        raise DownloadError(f"record {dataset.record} lists a file {name!r}, no plain file name")
    if algorithm not in _ALGORITHMS or not url.startswith("https://") or type(size) is not int:
        raise DownloadError(f"record {dataset.record} gives no checksum, size or address of {name}")
    return RemoteFile(name, url, size, algorithm, checksum.lower())
