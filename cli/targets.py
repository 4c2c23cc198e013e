"""Files that a command will write at its end, looked at before its long work begins."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ..errors import DipbenchError, one_line

PICTURES = (".png", ".tif", ".tiff")
FIGURES = (".png", ".svg", ".pdf")


def check_target(path: Path | None, endings: tuple[str, ...], option: str) -> None:
    """See that a file can be written under that name; nothing is left there.

    Args:
        path: of the file; None is accepted, for nothing will be written.
        endings: that its name may have, in lower case; without any, all.
        option: the option that named it, for the message.

    Raises:
        DipbenchError: the ending is another, or the folder is not there or not writable.
        MissingExtraError: it is a TIFF, and tifffile is not installed.
    """
    if path is None:
        return
    if endings and path.suffix.lower() not in endings:
        raise DipbenchError(f"{option} {path}: the name must end in {', '.join(endings)}")
    if path.suffix.lower() in (".tif", ".tiff"):
        from ..data.imagefiles import import_tifffile

        import_tifffile()
    if path.is_dir():
        raise DipbenchError(f"{option} {path} is a folder: name a file")
    if path.exists() and not path.is_file():
        raise DipbenchError(f"{option} {path} is no regular file, and would be replaced by one")
    if not path.parent.is_dir():
        raise DipbenchError(f"{option} {path}: there is no folder {path.parent}; make it first")
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"):
            pass
    except OSError as error:
        raise DipbenchError(
            f"{option} {path} cannot be written: {one_line(error)}; choose another place"
        ) from error


def check_target_folder(path: Path | None, option: str) -> None:
    """See that files can be written in a folder, which is made later if need be.

    Args:
        path: of the folder; None is accepted, for nothing will be written.
        option: the option that named it, for the message.

    Raises:
        DipbenchError: it, or what it would be made in, is a file or not writable.
    """
    if path is None:
        return
    there = next(place for place in (path, *path.absolute().parents) if place.exists())
    if not there.is_dir():
        raise DipbenchError(f"{option} {path}: {there} is a file; name a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise DipbenchError(
            f"{option} {path} cannot be written: {there} is not writable; choose another place"
        )


def check_apart(
    written: Mapping[str, Path | None], read: Mapping[str, Path | str | None] | None = None
) -> None:
    """Refuse to write a file over another one that the same command writes or reads.

    Args:
        written: by the option that names each; None where nothing is written.
        read: by what each is, for the message.

    Raises:
        DipbenchError: two names are of one file.

    >>> check_apart({"--out": Path("clean.png"), "--gif": None}, {"the picture": "noisy.png"})
    """
    taken = {os.path.realpath(path): what for what, path in (read or {}).items() if path}
    for option, path in written.items():
        if path is None:
            continue
        other = taken.setdefault(os.path.realpath(path), option)
        if other != option:
            raise DipbenchError(
                f"{option} {path} is {other} too, which would be overwritten: choose another name"
            )
