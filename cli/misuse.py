"""Whether a command line is at fault, and what typer says of one that it does not understand."""

import errno
from typing import Any

from ..errors import DivergenceError, DownloadError, one_line

_ASKED_WRONGLY = (
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)
_FAILURES = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ETIMEDOUT),
    *(errno.EMFILE, errno.ENFILE, errno.ENOLCK, errno.ENOMEM),
}


def exit_status(error: Exception) -> int:
    """1 where all was asked rightly, but a disk, a server, its way or a training failed; else 2.

    >>> exit_status(OSError(errno.ENOSPC, "No space left on device")), exit_status(ValueError())
    (1, 2)
    """
    cause = error if isinstance(error, OSError) else error.__cause__
    number = cause.errno if isinstance(cause, OSError) else getattr(error, "errno", None)
    if number in _FAILURES:
        return 1
    if isinstance(error, DivergenceError):
        return 1
    return 1 if isinstance(error, DownloadError) and not isinstance(cause, _ASKED_WRONGLY) else 2


def is_misuse(error: Exception) -> bool:
    """Whether an error is typer's, which brings its own click or uses the other."""
    return hasattr(error, "format_message")


def explained(error: Any) -> str:
    """What was wrong, and where help is.

    >>> import typer
    >>> explained(typer.BadParameter("give a number", param_hint="--seed"))
    'invalid value for --seed: give a number.'
    """
    said = one_line(error.format_message()).replace(": Value error, ", ": ")
    context = getattr(error, "ctx", None)
    told = [said[:1].lower() + said[1:] + "." * (said[-1:] not in ".?"), _on_stores(error, context)]
    if context is not None:
        told.append(f"See {context.command_path} --help.")
    return " ".join(filter(None, told))


def _on_stores(error: Any, context: Any) -> str:
    """Where a benchmark's name goes, which differs between commands."""
    command = getattr(context, "command", None)
    names = [option for each in getattr(command, "params", []) for option in each.opts]
    if "unexpected extra argument" in error.message and "--store" in names:
        return f"A benchmark is named by --store: {context.command_path} --store NAME."
    if getattr(error, "option_name", None) == "--store" and {"store", "folder"} & set(names):
        return f"The benchmark stands without --store: {context.command_path} NAME."
    return ""
