"""Importing a published tree: its files become the runs, scores and pictures of a benchmark."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from ..data import Image, Observation
from ..data.archives import walk
from ..data.refusal import RefusedError
from ..errors import StoreError, listed
from ..evaluate.protocol import get_protocol
from .importreport import Report, make_report
from .intake import HASHES, Intake
from .locking import COMMITTING, PATIENCE_SECONDS, builder_lock
from .merging import merge
from .parts import finished_keys, list_parts, read_made
from .pictures import Pair, StoredObservations, read_images, read_observation
from .plan import PLAN
from .schema import RunKey
from .scorefiles import (
    SCORE_KEYS,
    SCORES_SCHEMA,
    commit_scores,
    committed_scores,
    first_values,
)
from .staging import LazyObservations, Staging
from .store import (
    IMPORTED_FROM,
    MANIFEST,
    PARTS,
    Manifest,
    check_writable,
    file_of,
    read_manifest,
    read_table,
    remove_bare,
    remove_leftovers,
    writing,
)
from .training import environment

PROTOCOL = "isnas"
_SCRATCH = ".import-"

Committed = Mapping[RunKey, Mapping[str, str | None]]
"""The runs that the benchmark holds already, and their `HASHES`."""


def import_published(
    sources: Sequence[Path | str],
    out: Path | str,
    outputs: bool = False,
    on_file: Callable[[str], None] = lambda name: None,
) -> Report:
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
    for source in sources:
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
) -> Report:
    with builder_lock(folder, "import"), _scratch(folder) as scratch:
        remove_leftovers(folder)
        staging = Staging(scratch)
        committed, stored = _committed(folder), _stored_observations(folder)
        _stage_masks(stored, staging)
        by_part, _ = finished_keys(list_parts(folder / PARTS))
        written = {key for keys in by_part.values() for key, _ in keys}
        intake = Intake(folder / PARTS, staging, outputs, committed, written, stored.keys())
        for source in sources:
            for member in walk(source, intake.refused.add):
                on_file(member.name)
                intake.take(member)
        intake.flush()
        if not intake.taken and not intake.refused.count:
            raise _nothing_in(sources)
        with builder_lock(folder, COMMITTING, PATIENCE_SECONDS):
            report = _finish(folder, intake, staging, committed, sources)
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
    if (folder / MANIFEST).is_file():
        manifest = read_manifest(folder)
        if not manifest.is_imported:
            raise StoreError(
                f"{folder} holds runs that were trained under {manifest.protocol.get('name')}, not "
                "published ones: import into another folder"
            )
    if any("protocol" in read_made(part) for part in list_parts(folder / PARTS)):
        raise StoreError(f"{folder} holds runs of a training: import into another folder")
    check_writable(folder)


def _committed(folder: Path) -> Committed:
    if not (folder / MANIFEST).is_file():
        return {}
    rows = read_table(folder, read_manifest(folder), "runs").select([*RunKey._fields, *HASHES])
    return {RunKey(*(row.pop(name) for name in RunKey._fields)): row for row in rows.to_pylist()}


def _stage_masks(stored: Mapping[Pair, Observation], staging: Staging) -> None:
    """Give the staging the masks that the benchmark holds: further runs may come without."""
    for pair in filter(staging.lacks_mask, stored):
        mask = stored[pair].mask
        if mask is not None:
            staging.add_mask(pair, mask)


def _finish(
    folder: Path,
    intake: Intake,
    staging: Staging,
    committed: Committed,
    sources: Sequence[Path | str],
) -> Report:
    hashes, chosen = _observations(staging)
    facts = _facts(intake, committed, hashes)
    if _is_new(folder, staging, committed, chosen, facts):
        names = [Path(source).resolve().name for source in sources]
        _merge(folder, staging, committed, chosen, facts, names)
    if (folder / MANIFEST).is_file():
        _merge_scores(folder, intake)
    return make_report(folder, intake)


def _observations(staging: Staging) -> tuple[dict[tuple[Pair, str], str], dict[Pair, str]]:
    """Final hashes of what runs were trained on, and for each pair the one that is kept.

    Kept is the one of most runs. One that does not fit its mask or image keeps the hash of its
    values alone, and is not stored; one whose mask is not known has none yet.
    """
    hashes: dict[tuple[Pair, str], str] = {}
    chosen: dict[Pair, str] = {}
    for pair in staging.pairs:
        if staging.lacks_mask(pair):
            continue  # the hash is with the mask, which may come with another import
        for digest in staging.digests(pair):
            made = staging.observation(pair, digest)
            hashes[pair, digest] = digest if made is None else made.sha256
            if made is not None:
                chosen.setdefault(pair, digest)
    return hashes, chosen


def _facts(
    intake: Intake, committed: Committed, hashes: Mapping[tuple[Pair, str], str]
) -> dict[RunKey, dict[str, str]]:
    """The `HASHES` of runs, which may have come after them; one that is committed stays."""
    facts = {}
    for key in intake.observed.keys() | intake.inputs.keys():
        pair, held = (key.image, key.task), committed.get(key, {})
        found = (hashes.get((pair, intake.observed.get(key, ""))), intake.inputs.get(key))
        facts[key] = {
            name: value
            for name, value in zip(HASHES, found, strict=True)
            if value is not None and held.get(name) is None
        }
    return facts


def _stored_observations(folder: Path) -> Mapping[Pair, Observation]:
    if not (folder / MANIFEST).is_file():
        return {}
    return StoredObservations(file_of(folder, read_manifest(folder), "images"))


def _is_new(
    folder: Path,
    staging: Staging,
    committed: Committed,
    chosen: Mapping[Pair, str],
    facts: Mapping[RunKey, Mapping[str, str]],
) -> bool:
    """Whether there are runs to commit, or pictures, observations or facts of those committed."""
    if list_parts(folder / PARTS):
        return True
    if not committed:
        return False
    pairs = {(key.image, key.task) for key in committed}
    pictures = staging.image_names & {key.image for key in committed}
    return bool(
        pictures - set(read_manifest(folder).images)
        or (chosen.keys() & pairs) - _stored_observations(folder).keys()
        or any(facts.get(key) for key in committed)
    )


def _merge(
    folder: Path,
    staging: Staging,
    committed: Committed,
    chosen: Mapping[Pair, str],
    facts: Mapping[RunKey, Mapping[str, str]],
    sources: Sequence[str],
) -> None:
    before = read_manifest(folder) if (folder / MANIFEST).is_file() else None
    by_part, _ = finished_keys(list_parts(folder / PARTS))
    keys = committed.keys() | {key for entries in by_part.values() for key, _ in entries}
    stored_in = file_of(folder, before, "images") if before else Path()
    held = read_images(stored_in) if before else {}
    stored = _stored_observations(folder)
    fresh = sorted(staging.image_names & {key.image for key in keys} - set(held))
    makers: dict[Pair, Callable[[], Observation]] = {}
    for pair in sorted({(key.image, key.task) for key in keys}):
        if pair in stored:
            makers[pair] = partial(read_observation, stored_in, pair)
        elif pair in chosen:
            makers[pair] = partial(_made, staging, pair, chosen[pair])
    earlier = before.further.get(IMPORTED_FROM, []) if before else []
    blank = Manifest(
        name=folder.resolve().name,
        generation=0,
        protocol=get_protocol(PROTOCOL).to_record(),
        tasks=tuple(sorted({key.task for key in keys})),
        images={
            **{name: image.sha256 for name, image in held.items()},
            **{name: staging.image(name).sha256 for name in fresh},
        },
        observation_seed=None,
        environment={"imported by": f"dipbench {environment().get('dipbench', 'not installed')}"},
        content_sha256="",
        files={},
        further={IMPORTED_FROM: list(dict.fromkeys([*earlier, *sources]))},
    )

    def images() -> Iterator[Image]:
        yield from held.values()
        yield from map(staging.image, fresh)

    merge(folder, blank, images(), LazyObservations(makers), facts=facts)


def _made(staging: Staging, pair: Pair, digest: str) -> Observation:
    made = staging.observation(pair, digest)
    if made is None:
        raise StoreError(f"the observation of {pair} is gone from {digest}.npy: import again")
    return made


def _merge_scores(folder: Path, intake: Intake) -> None:
    """Add the scores of the tables to those that the benchmark holds; a value stays as it is."""
    rows = read_table(folder, read_manifest(folder), "runs")
    records = [
        _score(key.model, key.image, key.task, name, value)
        for key, row in intake.tables.items()
        for name, value in row.scores.items()
    ]
    # A low-pass score is of the model alone, and so of each image and task that it was run on.
    records += [
        _score(run["model"], run["image"], run["task"], name, value)
        for run in rows.select(["model", "image", "task"]).to_pylist()
        if run["model"] in intake.lowpass
        for name, value in intake.lowpass[run["model"]].scores.items()
    ]
    held = committed_scores(folder)
    there = {tuple(row.values()) for row in held.select(SCORE_KEYS).to_pylist()}
    new = [row for row in records if tuple(row[name] for name in SCORE_KEYS) not in there]
    if new:
        # Two tables may tell one score.
        found = first_values(pa.Table.from_pylist(new, schema=SCORES_SCHEMA))
        commit_scores(folder, pa.concat_tables([held, found]))


def _score(model: str, image: str, task: str, name: str, value: float) -> dict[str, Any]:
    return {
        "model": model,
        "image": image,
        "task": task,
        "score": name,
        "initialisation": 0,
        "value": value,
        "how": "table",
    }
