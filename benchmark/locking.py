"""One builder at a time: a lock that the operating system lets go when its holder dies."""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import StoreError
from ..files import published

HEARTBEAT_SECONDS = 10.0

COMMITTING = "finish"
"""The lock of who reads a generation to commit the next: never two at once, or one's is lost."""

PATIENCE_SECONDS = 900.0
"""How long the last step of long work waits for that lock, instead of being refused."""


@dataclass(frozen=True)
class Builder:
    """Who builds (a shard of) a benchmark: host, process, since when and last seen (Unix time)."""

    shard: str
    host: str
    process: int
    since: float
    seen: float


@contextmanager
def builder_lock(folder: Path, shard: str, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock of a benchmark's shard, and show a heartbeat beside it.

    Args:
        folder: the benchmark.
        shard: what is locked: a share of the runs, or a name of another work.
        patience: seconds to wait for another builder to give it back.

    Raises:
        StoreError: if a living builder holds it.
    """
    locks = folder / "builders"
    locks.mkdir(parents=True, exist_ok=True)
    lock = FileLock(locks / f"{shard}.lock")
    try:
        lock.acquire(timeout=patience)
    except Timeout as error:
        raise StoreError(_held_by(folder, shard)) from error
    ended = threading.Event()
    since = time.time()

    def show() -> None:
        _show(locks, Builder(shard, socket.gethostname(), os.getpid(), since, time.time()))

    def beat() -> None:
        while not ended.wait(HEARTBEAT_SECONDS):
            show()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        show()
        yield
    finally:
        ended.set()
        thread.join()
        (locks / f"{shard}.json").unlink(missing_ok=True)
        lock.release()


def living_shards(folder: Path) -> list[str]:
    """Shards, such as `1of4`, whose locks are held."""
    found = []
    for path in sorted((folder / "builders").glob("*of*.lock")):
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            found.append(path.stem)
        else:
            lock.release()
    return found


def builders(folder: Path) -> list[Builder]:
    """Those who build now, or died while building, by their last heartbeats."""
    found = []
    for path in sorted((folder / "builders").glob("*.json")):
        try:
            found.append(Builder(**json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError):
            continue  # removed or renamed while we looked
    return found


def _show(locks: Path, builder: Builder) -> None:
    try:
        with published(locks / f"{builder.shard}.json") as temporary:
            temporary.write_text(json.dumps(asdict(builder)), encoding="utf-8")
    except OSError:
        pass  # a full disk must not end a build that could still finish what it has


def _held_by(folder: Path, shard: str) -> str:
    for builder in builders(folder):
        if builder.shard == shard:
            return (
                f"{folder} is being built by process {builder.process} on {builder.host}: "
                "wait for it, or end it first"
            )
    return (
        f"{folder} is being built by another process: wait for it, or end it first; where there is "
        f"none, as a file system without locks may leave it, remove {folder}/builders/{shard}.lock"
    )
