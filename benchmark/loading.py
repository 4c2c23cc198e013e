"""Finding a benchmark by folder or by name."""

from os import PathLike
from pathlib import Path

from ..data.catalogue import known_datasets
from ..errors import StoreError, unknown
from ..files import data_home, expanded
from .plan import PLAN
from .query import Benchmark
from .store import MANIFEST, PARTS


def load(name: str | Path) -> Benchmark:
    """Open a benchmark.

    Args:
        name: a folder, or the name of a shipped or downloaded benchmark.

    Raises:
        StoreError: if there is no such benchmark, or it cannot be read.
    """
    return Benchmark(find(name))


def find(name: str | Path) -> Path:
    """The folder of a benchmark.

    Args:
        name: as in `load`.

    Raises:
        StoreError: if there is no such benchmark.

    >>> from dipbench.benchmark.loading import find
    >>> find("pilot").name
    'pilot'
    """
    if not isinstance(name, str | PathLike):
        raise StoreError(f"{name!r:.60} names no benchmark: give a folder, or mini or pilot")
    if not str(name).strip():
        raise StoreError("the name of the benchmark is empty: give a folder, or mini or pilot")
    folder, text = expanded(Path(name)), str(name)
    there = _is_folder(folder)
    if there and _may_be_one(folder):
        return folder
    known = known_names()
    if text in known:  # a folder that happens to be called so is not meant
        return known[text]
    if there:
        return folder
    if text in known_datasets():
        raise StoreError(f"{text} is not here yet: run `dipbench download {text}`")
    raise StoreError(f"{unknown('benchmark', text, sorted(known))}; or give a folder")


def known_names() -> dict[str, Path]:
    """The folders of the downloaded and the shipped benchmarks by name; the latter go first."""
    return {path.parent.name: path.parent for path in _manifests()}


def shipped_folder() -> Path:
    """Where the benchmarks inside the package lie."""
    return Path(__file__).parent / "shipped"


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # too long for a name
        return False


def _may_be_one(folder: Path) -> bool:
    return any((folder / name).exists() for name in (MANIFEST, PLAN, PARTS))


def _manifests() -> list[Path]:
    """Those of the downloaded benchmarks, then of the shipped ones, which take precedence."""
    # Not those with a dot: they are being made.
    homes = (data_home(), shipped_folder())
    return [path for home in homes for path in home.glob(f"[!.]*/{MANIFEST}")]
