"""One log a unit, found by the unit's name: where and when its runs were made, and what failed."""

import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOGS = "logs"

logger = logging.getLogger(__name__.partition(".")[0])
logger.addHandler(logging.NullHandler())
logger.setLevel(logging.INFO)


def log_path(folder: Path, unit: str) -> Path:
    """Where the log of the unit of that name lies."""
    return folder / LOGS / f"{unit}.log"


def add_to_log(folder: Path, unit: str, text: str) -> None:
    """Add lines to the log of a unit, if that can be done."""
    # A full disk must not end a build that could still finish what it has.
    with suppress(OSError):
        path = log_path(folder, unit)
        path.parent.mkdir(exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(text)


@contextmanager
def unit_log(folder: Path, unit: str) -> Iterator[logging.Logger]:
    """Have what is logged meanwhile added to the unit's log; it gives the logger.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with unit_log(folder, "aafb2f6ca5") as log:
    ...     log.info("started")
    >>> log_path(folder, "aafb2f6ca5").read_text().split()[-1]
    'started'
    """
    handler = _Appending(folder, unit)
    logger.addHandler(handler)
    try:
        yield logger
    finally:
        logger.removeHandler(handler)


@contextmanager
def told(tell: Callable[[str], None]) -> Iterator[None]:
    """Have the warnings of a build told meanwhile, such as of units that were lost.

    >>> with told(print):
    ...     logger.warning("unit aafb2f6ca5 is lost: its machine was lost")
    unit aafb2f6ca5 is lost: its machine was lost
    """
    handler = _Telling(tell)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Telling(logging.Handler):
    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self.tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self.tell(record.getMessage())


class _Appending(logging.Handler):
    def __init__(self, folder: Path, unit: str) -> None:
        super().__init__()
        self.folder, self.unit = folder, unit
        where = f"{socket.gethostname()} {os.getpid()}"
        self.setFormatter(logging.Formatter(f"%(asctime)s {where} %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        add_to_log(self.folder, self.unit, self.format(record) + "\n")
