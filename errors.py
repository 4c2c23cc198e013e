"""The errors of dipbench: each message says what was wrong, what was expected, what to do."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar


class DipbenchError(Exception):
    """Base of every error raised on purpose; the command line makes one line of it."""


class GenotypeError(DipbenchError):
    """Text, pair or index that names no valid genotype of the search space."""


class ImageError(DipbenchError):
    """An image that is unknown, unreadable, too small, or not in [0, 1]."""


class TaskError(DipbenchError):
    """A task that is unknown, ambiguous or has unusable settings."""


class ProtocolError(DipbenchError):
    """A training protocol that is unknown or has unusable settings."""


class DivergenceError(DipbenchError):
    """A training without a single output: its loss was no finite number from the first on."""


class DeviceError(DipbenchError):
    """A device, precision or amount of memory that this machine does not have."""


class ScoreError(DipbenchError):
    """A score that is unknown, registered twice, or cannot be computed on what was given."""


class QueryError(DipbenchError):
    """A question about something that the benchmark, or the catalogue, does not hold."""


class StoreError(DipbenchError):
    """A benchmark folder that is missing, damaged, too new, or in use by another builder."""

    errno: int | None = None
    """Of the system's error that it tells: between processes the cause of an error is lost."""


class DownloadError(DipbenchError):
    """A published dataset that cannot be fetched or does not match its checksum."""


class MissingExtraError(DipbenchError):
    """A command whose optional dependencies are not installed.

    >>> print(MissingExtraError("train", "training"))
    training needs packages that are not installed; run: pip install "dipbench[train]"
    """

    def __init__(self, extra: str, purpose: str) -> None:
        super().__init__(
            f'{purpose} needs packages that are not installed; run: pip install "dipbench[{extra}]"'
        )
        self.extra, self.purpose = extra, purpose

    def __reduce__(self) -> tuple[type["MissingExtraError"], tuple[str, str]]:
        """How it goes to another process: made there again from what it was made from."""
        return MissingExtraError, (self.extra, self.purpose)


def one_line(error: object) -> str:
    r"""The text of another library's error without its line breaks.

    Of the system's errors it is what they say alone: which file it was about is told beside it.

    >>> one_line(ValueError("bad\n  data")), one_line(OSError(28, "No space left on device", "a"))
    ('bad data', 'No space left on device')
    """
    return " ".join(str(getattr(error, "strerror", None) or error).split())


def named(error: BaseException) -> str:
    r"""The kind of another library's error and its text, on one line.

    >>> named(ValueError("bad\n  data"))
    'ValueError: bad data'
    """
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def unknown(kind: str, name: object, known: Iterable[object], limit: int = 12) -> str:
    """Say that `name` is no known `kind`, name the nearest and list what there is.

    >>> unknown("image", "camra", ["camera", "coins"])
    "unknown image 'camra': did you mean 'camera'? There are: camera, coins"
    >>> unknown("seed", 7, [0, 1])
    "unknown seed '7'. There are: 0, 1"
    """
    names = [str(item) for item in known]
    near = [one for one in get_close_matches(str(name), names, n=2) if one != str(name)]
    hint = f": did you mean {near[0]!r}?" if near else "."
    return f"unknown {kind} {str(name)!r}{hint} There are: {listed(names, limit)}"


_Names = TypeVar("_Names", bound=Iterable[Any])


def listed_names(kind: str, given: _Names) -> _Names:
    """Names as they are, unless they are one text, which would be taken letter by letter.

    Raises:
        QueryError: it is.

    >>> listed_names("scores", ["macs"])
    ['macs']
    """
    if isinstance(given, str):
        raise QueryError(f"give a list of {kind}: [{given!r}]")
    return given


def listed(names: Sequence[str], limit: int = 12) -> str:
    """The first names, and how many there are where that is more.

    >>> listed(["camera", "coins", "page"], limit=2), listed([])
    ('camera, coins, … (3 in all)', 'none')
    """
    more = f", … ({len(names)} in all)" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more if names else "none"
