"""Walking a folder, a zip or a tar without unpacking it, one bounded file at a time.

Nothing is ever written under a name that an archive gives. Members whose names would leave a
folder, links, devices and bombs are refused by name, and the walk goes on.
"""

import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from shlex import quote
from typing import BinaryIO, Self, cast

from ..errors import one_line
from .decompression import ARCHIVE_ALLOWANCE, MEMBER_ALLOWANCE, archive_kind, decompressed, is_bomb
from .refusal import RefusedError
from .unpickling import MAX_PICKLE_BYTES

MAX_MEMBER_BYTES = MAX_PICKLE_BYTES
"""The largest file that is read out of a folder or an archive."""

MAX_DIRECTORY_BYTES = 16 * 2**20
"""The largest directory of a zip: about 75,000 files of a published tree."""

MAX_HEADER_BYTES = 2**20
"""The largest header of a file in a tar."""

NEEDED_TOOLS = {"7z": "7z x", "rar": "unrar x", "zstd": "tar --zstd -xf"}
"""Archives that the standard library cannot read, and what unpacks them."""

INNER_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar")

_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RecursionError,
)
Refuse = Callable[[str, str], None]
"""Is told the name and the reason of what was refused."""


@dataclass(frozen=True)
class Member:
    """A file of a folder or an archive; to be read before the walk goes on.

    Attributes:
        name: Its path, `/` between folders, after the archives that it lies in.
        size: Bytes, unpacked.
    """

    name: str
    size: int
    _content: Callable[[], bytes] = field(repr=False)

    def read(self) -> bytes:
        """The whole content.

        Raises:
            RefusedError: It is larger than `MAX_MEMBER_BYTES`, or damaged.
        """
        if self.size > MAX_MEMBER_BYTES:
            raise RefusedError(f"has {self.size} bytes; at most {MAX_MEMBER_BYTES} are read")
        try:
            data = self._content()
        except _DAMAGE as error:
            raise RefusedError(f"is damaged or cannot be read ({error})") from error
        if len(data) != self.size:
            raise RefusedError(f"has {len(data)} bytes instead of the {self.size} announced")
        return data


def walk(source: Path | str, refuse: Refuse, but: Path | None = None) -> Iterator[Member]:
    """Yield the files of a folder, of the archives in it, or of one archive.

    Args:
        source: A folder, a zip, a tar (plain, gzip, bzip2, xz) whatever its name, or a lone file.
        refuse: Called for each file, or rest of an archive, that cannot be given safely.
        but: A folder in it that is passed over.

    Raises:
        RefusedError: `source` itself is missing.

    >>> import tempfile
    >>> from dipbench.data.archives import walk
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.csv").write_text("x,y")
    >>> [(member.name, member.read()) for member in walk(folder, print)]
    [('a.csv', b'x,y')]
    """
    source = Path(source)
    if source.is_dir():
        yield from _walk_folder(source, refuse, but and but.resolve())
    elif source.is_file():
        yield from _walk_file(source, source.name, refuse)
    else:
        raise RefusedError(f"nothing to import at {source}: there is no such file or folder")


def unsafe_name(name: str) -> str | None:
    """Why a member's name may not be followed, or None.

    >>> unsafe_name("../../etc/passwd"), unsafe_name("benchmark/htr.pkl")
    ("its name leaves the folder by '..'", None)
    """
    if not name:
        return "it has no name"
    if name.startswith(("/", "\\")) or name[1:2] == ":":
        return "its name is an absolute path"
    if ".." in PurePosixPath(name.replace("\\", "/")).parts:
        return "its name leaves the folder by '..'"
    if "\0" in name:
        return "its name holds a NUL"
    return None


def _walk_folder(folder: Path, refuse: Refuse, but: Path | None) -> Iterator[Member]:
    root = folder.resolve()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if but is not None and (root / name).is_relative_to(but):
            continue
        if path.is_symlink():
            refuse(name, "is a link; links are not followed")
        elif path.is_file():
            yield from _walk_file(path, name, refuse)
        elif not path.is_dir():
            refuse(name, "is no regular file")
        elif not os.access(path, os.R_OK | os.X_OK):
            refuse(name, "is a folder that may not be read")


def _walk_file(path: Path, name: str, refuse: Refuse) -> Iterator[Member]:
    """The files of an archive, or the file itself."""
    try:
        kind, size = archive_kind(path), path.stat().st_size
    except OSError as error:
        refuse(name, f"cannot be read ({one_line(error)})")
        return
    if kind is None:
        yield Member(name, size, path.read_bytes)
    elif kind in NEEDED_TOOLS:
        tool = NEEDED_TOOLS[kind]
        unpack = f"{tool} {quote(str(path))}"
        refuse(name, f"is a {kind} archive: unpack it (`{unpack}`) and import the folder")
    else:
        yield from _walk_archive(path, name, kind, refuse)


def _walk_archive(path: Path, name: str, kind: str, refuse: Refuse) -> Iterator[Member]:
    is_zip = kind == "zip"
    members = _walk_zip(path, name, refuse) if is_zip else _walk_tar(path, name, kind, refuse)
    try:
        yield from members
    except RefusedError as error:
        refuse(name, str(error))
    except _DAMAGE as error:
        refuse(name, f"cannot be read to its end ({error})")


def _walk_zip(path: Path, name: str, refuse: Refuse) -> Iterator[Member]:
    _check_directory(path)
    with zipfile.ZipFile(path) as archive:
        total = sum(info.file_size for info in archive.infolist())
        if is_bomb(total, path.stat().st_size, ARCHIVE_ALLOWANCE):
            raise RefusedError(f"would expand to {total} bytes, beyond the bound; nothing is read")
        for info in archive.infolist():
            if info.filename.endswith("/"):
                continue
            inner = f"{name}/{info.filename}"
            reason = unsafe_name(info.filename) or _inner_archive(inner) or _zip_problem(info)
            if reason:
                refuse(inner, reason)
            else:
                yield Member(inner, info.file_size, partial(_unpacked, archive, info))


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    # Asked for without a number, `zipfile` unpacks all that there is, whatever was announced.
    with archive.open(info) as file:
        return file.read(info.file_size + 1)


def _inner_archive(name: str) -> str | None:
    """Why an archive in an archive is not read, or None where it is none by its name."""
    if name.lower().endswith(INNER_ARCHIVES):
        return "is an archive in an archive: unpack the outer one and import its folder"
    return None


def _zip_problem(info: zipfile.ZipInfo) -> str | None:
    mode = info.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "is a link or a device"
    if info.flag_bits & 1:
        return "is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"is packed by method {info.compress_type}; deflate is read: unpack it, import that"
    if is_bomb(info.file_size, info.compress_size, MEMBER_ALLOWANCE):
        return f"would expand from {info.compress_size} to {info.file_size} bytes: a bomb"
    return None


def _check_directory(path: Path) -> None:
    """Refuse a zip whose directory would fill the memory; `zipfile` reads it all at once."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 66_000))
        tail = file.read()
    # As `zipfile` finds it: a record without a comment at the very end comes first, and where a
    # 64-bit record is named before it, that one's size counts.
    bare = tail[-22:-18] == b"PK\x05\x06" and tail[-2:] == b"\0\0"
    at = len(tail) - 22 if bare else tail.rfind(b"PK\x05\x06")
    size = int.from_bytes(tail[at + 12 : at + 16], "little")
    wide = tail.rfind(b"PK\x06\x06", 0, max(at, 0))
    if wide >= 0 and tail[at - 20 : at - 16] == b"PK\x06\x07":
        size = int.from_bytes(tail[wide + 40 : wide + 48], "little")
    if at < 0 or size > MAX_DIRECTORY_BYTES:
        raise RefusedError("has no directory, or one too large to be a published tree's")


class _BoundedHeader(tarfile.TarInfo):
    """A header whose extensions are bounded; `tarfile` reads them whole."""

    at_end = False
    """Whether the archive's end was seen, for `tarfile` ends just so where a header is damaged."""

    _EXTENSIONS = (
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    )

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        if not any(buf) and len(buf) == tarfile.BLOCKSIZE:
            cls.at_end = True
        header = super().frombuf(buf, encoding, errors)
        if header.type in cls._EXTENSIONS and header.size > MAX_HEADER_BYTES:
            raise RefusedError(f"holds a header of {header.size} bytes; reading stops there")
        return header


def _walk_tar(path: Path, name: str, kind: str, refuse: Refuse) -> Iterator[Member]:
    with path.open("rb") as raw:
        stream = cast(BinaryIO, decompressed(raw, "none" if kind == "tar" else kind))

        class Header(_BoundedHeader):
            """This archive's own, for `at_end` is set on the class."""

        try:
            opened = tarfile.open(fileobj=stream, mode="r|", tarinfo=Header)  # noqa: SIM115
        except tarfile.ReadError as error:
            raise RefusedError(f"holds no tar archive ({error})") from error
        with opened as archive:
            while (info := archive.next()) is not None:
                # tarfile remembers every header; of a stream none is needed again.
                archive.members.clear()  # type: ignore[attr-defined]
                inner = f"{name}/{info.name}"
                reason = unsafe_name(info.name) or _inner_archive(inner)
                if reason is None and not (info.isdir() or (info.isreg() and not info.issparse())):
                    reason = "is a link, a device or a sparse file"
                if reason:
                    refuse(inner, reason)
                elif not info.isdir():
                    yield Member(inner, info.size, partial(_extract, archive, info))
    if not Header.at_end:
        raise RefusedError("is cut short or damaged; what came before that was read")


def _extract(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(info)
    return b"" if file is None else file.read()
