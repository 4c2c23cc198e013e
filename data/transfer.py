"""Fetching one file over HTTP: the rest of a broken one by range, verified while it streams."""

import hashlib
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DownloadError

if TYPE_CHECKING:
    import httpx2

RETRIED = (408, 429, 500, 502, 503, 504)
"""The statuses after which a server may answer otherwise."""

MAX_ATTEMPTS = 6
"""Requests in a row that bring nothing before a file is given up."""

MAX_WAIT = 600.0
"""Seconds that a server may ask us to wait, by Retry-After."""

_FIRST_WAIT, _LONGEST_BACKOFF = 0.5, 60.0
_BLOCK = 1 << 20


@dataclass(frozen=True)
class RemoteFile:
    """A file that is to be fetched.

    Attributes:
        name: Its name, without folders.
        url: Its https address.
        size: Bytes.
        algorithm: Of the checksum: md5, sha1, sha256 or sha512.
        checksum: In hexadecimal.
    """

    name: str
    url: str
    size: int
    algorithm: str
    checksum: str


def fetch(
    client: "httpx2.Client",
    file: RemoteFile,
    folder: Path,
    on_bytes: Callable[[int], None] = lambda have: None,
) -> Path:
    """Fetch a file into `folder`, going on where an earlier attempt ended.

    The bytes gather in `<name>.part`; once size and checksum are right it is renamed to its name.

    Args:
        client: Does the requests; it follows redirects and does not retry.
        file: What to fetch.
        folder: Exists.
        on_bytes: Told how many bytes are there, at the start and after each block.

    Returns:
        The published file.

    Raises:
        DownloadError: The server refuses, gives up, or sends what does not match the checksum.
    """
    part = partial_path(folder, file)
    # What an earlier attempt left may be to blame for a wrong checksum, so try once afresh.
    for _ in range(2):
        transfer = _Transfer(file, part, on_bytes)
        _complete(client, file, transfer)
        if transfer.digest.hexdigest() == file.checksum:
            target = folder / file.name
            with part.open("rb+") as stream:
                os.fsync(stream.fileno())
            return part.replace(target)
        part.unlink()
    raise DownloadError(
        f"{file.name} does not match its {file.algorithm} checksum, fetched twice: "
        "the server sends something else; try again later"
    )


def partial_path(folder: Path, file: RemoteFile) -> Path:
    """Where a file's bytes gather until it is whole."""
    return folder / f"{file.name}.part"


def file_checksum(path: Path, algorithm: str) -> str:
    """A file's checksum in hexadecimal, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def retry_delay(header: str | None, attempt: int, now: datetime) -> float:
    """Seconds to wait before attempt `attempt` + 1: what the server asks for, else growing.

    >>> now = datetime(2024, 1, 1, tzinfo=UTC)
    >>> retry_delay(None, 0, now), retry_delay(None, 3, now), retry_delay("7", 0, now)
    (0.5, 4.0, 7.0)
    >>> retry_delay("Mon, 01 Jan 2024 00:00:30 GMT", 0, now)
    30.0
    """
    if header is not None:
        text = header.strip()
        if text.isdecimal() and text.isascii():
            return float(text)
        try:
            return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
        except (TypeError, ValueError):
            pass  # a header that says nothing is as good as none
    return min(_LONGEST_BACKOFF, _FIRST_WAIT * 2.0**attempt)


class _Transfer:
    """The bytes of a file that are on the disk, and their checksum so far."""

    def __init__(self, file: RemoteFile, part: Path, on_bytes: Callable[[int], None]) -> None:
        self._file, self._part, self._on_bytes = file, part, on_bytes
        part.touch()
        self.have = part.stat().st_size
        self.digest = hashlib.new(file.algorithm)
        if self.have > file.size:
            self.restart()
        with part.open("rb") as stream:
            while block := stream.read(_BLOCK):
                self.digest.update(block)
        on_bytes(self.have)

    def restart(self) -> None:
        """Drop what is there."""
        os.truncate(self._part, 0)
        self.have = 0
        self.digest = hashlib.new(self._file.algorithm)

    def add(self, blocks: Iterable[bytes]) -> None:
        """Write blocks as they come."""
        # Unbuffered, so that a killed process leaves on the disk all that had come.
        with self._part.open("ab", buffering=0) as stream:
            for block in blocks:
                if self.have + len(block) > self._file.size:
                    raise DownloadError(
                        f"the server sends more than the {self._file.size} bytes of "
                        f"{self._file.name}; try again later"
                    )
                rest = memoryview(block)
                while rest:
                    rest = rest[stream.write(rest) :]
                self.digest.update(block)
                self.have += len(block)
                self._on_bytes(self.have)


def _complete(client: "httpx2.Client", file: RemoteFile, transfer: _Transfer) -> None:
    """Ask until all bytes are there."""
    import httpx2

    attempt, most = 0, transfer.have
    while transfer.have < file.size:
        asked_wait, problem = None, "the body was cut short"
        try:
            asked_wait, problem = _request(client, file, transfer)
        except httpx2.RequestError as error:
            problem = f"{type(error).__name__}: {error}"
        if transfer.have >= file.size:
            return
        attempt = 0 if transfer.have > most else attempt + 1
        most = max(most, transfer.have)
        delay = retry_delay(asked_wait, attempt, datetime.now(UTC))
        if attempt >= MAX_ATTEMPTS or delay > MAX_WAIT:
            wait = f" and asks to wait {delay:.0f} s" if delay > MAX_WAIT else ""
            raise DownloadError(
                f"{file.url} gives no more of {file.name} ({problem}){wait}: "
                f"{transfer.have} of {file.size} bytes are kept; run the command again to go on"
            )
        time.sleep(delay)


def _request(
    client: "httpx2.Client", file: RemoteFile, transfer: _Transfer
) -> tuple[str | None, str]:
    """One request for the rest of a file.

    Returns:
        The server's Retry-After, if any, and what was wrong.
    """
    # A compressed body would have other lengths and ranges than the file.
    headers = {"Accept-Encoding": "identity"}
    if transfer.have:
        headers["Range"] = f"bytes={transfer.have}-"
    with client.stream("GET", file.url, headers=headers, timeout=60.0) as response:
        status = response.status_code
        if status in RETRIED:
            return response.headers.get("retry-after"), f"it answers {status}"
        rest = f"bytes {transfer.have}-{file.size - 1}/{file.size}"
        if status == 416 or (status == 206 and response.headers.get("content-range") != rest):
            transfer.restart()
            return None, f"it answers {status} with another part of the file"
        if status not in (200, 206):
            raise DownloadError(f"{file.url} answers {status}: {file.name} cannot be fetched")
        if status == 200:
            transfer.restart()
        transfer.add(response.iter_raw())
    return None, "the body was too short"
