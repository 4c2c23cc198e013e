"""Importing a published tree: its files become the runs, scores and pictures of a benchmark."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from ..data import Observation
from ..data.archives import walk
from ..data.refusal import RefusedError
from ..errors import StoreError, listed, listed_names
from .importmerging import Committed, commit_import
from .importreport import ImportReport, make_report
from .intake import HASHES, Intake
from .joining import refuse_orphans
from .locking import COMMITTING, PATIENCE_SECONDS, builder_lock
from .parts import finished_keys, list_parts, read_made
from .pictures import committed_observations, read_images
from .plan import PLAN
from .schema import Pair, RunKey
from .staging import Staging
from .store import (
    PARTS,
    check_writable,
    file_of,
    find_manifest,
    read_table,
    remove_bare,
    remove_leftovers,
    writing,
)

_SCRATCH = ".import-"


def import_published(
    sources: Sequence[Path | str],
    out: Path | str,
    outputs: bool = False,
    on_file: Callable[[str], None] = lambda name: None,
) -> ImportReport:
    """Import published trees into a benchmark, a new one or one that was imported before.

    What was published is kept as it is: curves of unequal length, the published best PSNR and
    iterations, seed null. Archives are streamed; an import can be interrupted and repeated, and
    reads again only what is new. Where a mask comes later than its runs, give both again: only
    together do they tell what was trained on.

    Args:
        sources: Folders, zips or tars that hold published trees at any depth, or parts of one.
        out: The benchmark's folder.
        outputs: Keep the last smoothed output of each run, too.
        on_file: Told the name of each file before it is read.

    Returns:
        What was imported and what was not.

    Raises:
        RefusedError: A source is missing, or there is nothing in them that can be imported: no file
            of a published tree, or none of its runs for a new benchmark. Where files were refused,
            the report lists them instead.
        StoreError: `out` holds another kind of benchmark, or another process builds it.

    >>> import tempfile
    >>> empty, target = tempfile.mkdtemp(), tempfile.mkdtemp()
    >>> import_published([empty], target)
    Traceback (most recent call last):
    dipbench.data.refusal.RefusedError: nothing that could be imported was found in ...
    """
    folder = Path(out)
    for source in listed_names("sources", sources):
        if not Path(source).exists():
            raise RefusedError(f"nothing to import at {source}: there is no such file or folder")
    is_new = not folder.exists()
    _check_target(folder)
    try:
        with writing(folder, "give the same command again"):
            return _import(sources, folder, outputs, on_file)
    finally:
        if is_new:
            remove_bare(folder)


def _import(
    sources: Sequence[Path | str], folder: Path, outputs: bool, on_file: Callable[[str], None]
) -> ImportReport:
    with builder_lock(folder, "import"), _scratch(folder) as scratch:
        remove_leftovers(folder)
        staging = Staging(scratch)
        committed, stored = _held_hashes(folder), committed_observations(folder)
        _stage_stored(folder, stored, staging)
        by_part, damaged = finished_keys(list_parts(folder / PARTS))
        for path in damaged:
            warnings.warn(
                f"a damaged part is set aside as {path}: its runs are imported again where their "
                "sources are given",
                stacklevel=2,
            )
        written = {key for keys in by_part.values() for key, _ in keys}
        intake = Intake(folder / PARTS, staging, outputs, committed, written, stored.keys())
        for source in sources:
            for member in walk(source, intake.refused.add, but=folder):
                on_file(member.name)
                intake.take(member)
        intake.flush()
        if not intake.taken and not intake.refused.count:
            raise _nothing_in(sources)
        with builder_lock(folder, COMMITTING, PATIENCE_SECONDS):
            commit_import(
                folder, intake, staging, committed, [Path(s).resolve().name for s in sources]
            )
            report = make_report(folder, intake)
        if not report.runs and not report.refused:
            raise _nothing_in(sources)
        return report


def _nothing_in(sources: Sequence[Path | str]) -> RefusedError:
    return RefusedError(
        f"nothing that could be imported was found in {listed(list(map(str, sources)))}: expected "
        "a published tree, whose runs are files such as denoising/25/IMAGE/data/MODEL/htr.pkl; "
        "give the folder, zip or tar in which its denoising, inpainting or sr lies"
    )


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder for pictures; one that a killed import left is removed."""
    for stale in folder.glob(f"{_SCRATCH}*"):
        rmtree(stale)
    with TemporaryDirectory(prefix=_SCRATCH, dir=folder) as scratch:
        yield Path(scratch)


def _check_target(folder: Path) -> None:
    if (folder / PLAN).is_file():
        raise StoreError(f"{folder} is a benchmark that is trained: import into another folder")
    manifest = find_manifest(folder)
    if manifest is not None:
        if not manifest.is_imported:
            raise StoreError(
                f"{folder} holds runs that were trained under {manifest.protocol.get('name')}, not "
                "published ones: import into another folder"
            )
        if manifest.stride is not None:
            raise StoreError(
                f"{folder} is a compact benchmark, whose curves lack iterations: import into "
                "another folder, or into the benchmark that it was made from"
            )
    refuse_orphans(folder)
    if any("protocol" in read_made(part) for part in list_parts(folder / PARTS)):
        raise StoreError(f"{folder} holds runs of a training: import into another folder")
    check_writable(folder)


def _held_hashes(folder: Path) -> Committed:
    manifest = find_manifest(folder)
    if manifest is None:
        return {}
    rows = read_table(folder, manifest, "runs").select([*RunKey._fields, *HASHES]).to_pylist()
    return {RunKey.of(row): {name: row[name] for name in HASHES} for row in rows}


def _stage_stored(folder: Path, stored: Mapping[Pair, Observation], staging: Staging) -> None:
    """Give the staging the true pictures and masks that the benchmark holds.

    Further runs may come without, and those that come with others are told apart.
    """
    manifest = find_manifest(folder)
    if manifest is not None:
        images = read_images(file_of(folder, manifest, "images"))
        for image in images.values():
            staging.add_image(image.name, image.array)
    for pair in filter(staging.lacks_mask, stored):
        mask = stored[pair].mask
        if mask is not None:
            staging.add_mask(pair, mask)
