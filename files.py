"""Publishing files by rename: a reader sees a whole file or none."""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from platformdirs import user_cache_path

from .errors import DipbenchError, one_line


@contextmanager
def published(path: Path | str, refused: type[DipbenchError] | None = None) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on leaving without an error, rename it there.

    The content reaches the disk before the name does. On an error nothing is left behind.

    Args:
        path: of the file.
        refused: raised, in one line, in place of the `OSError` of a full disk and the like.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with published(target) as temporary:
    ...     _ = temporary.write_text("whole")
    >>> target.read_text(), [p.name for p in target.parent.iterdir()]
    ('whole', ['a.txt'])
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{token_hex(4)}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):  # of a read-only mount; the error that led here tells more
            temporary.unlink(missing_ok=True)
        if refused is not None and isinstance(error, OSError):
            raise refused(f"cannot write {path}: {one_line(error)}") from error
        raise


def data_home() -> Path:
    """Where downloaded benchmarks lie: `DIPBENCH_HOME`, or the platform's cache folder."""
    asked = os.environ.get("DIPBENCH_HOME")
    return expanded(Path(asked)) if asked else user_cache_path("dipbench")


def expanded(path: Path) -> Path:
    """With the home folder in place of `~`; as it is where there is none."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def file_sha256(path: Path | str) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal, read in blocks."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Have the names in a folder reach the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network shares cannot do so with folders; the file is there all the same.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
