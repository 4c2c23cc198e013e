"""Adding the runs of one benchmark to another."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from ..errors import StoreError
from .joining import differing_observations, differing_settings, pairs_partly_seeded
from .locking import COMMITTING, builder_lock
from .merging import Generation, merge, refuse_compact, refuse_unmerged, run_sha256
from .parts import in_common
from .pictures import StoredObservations, read_images
from .schema import USABLE, supersedes
from .scorefiles import SCORE_KEYS, commit_scores, committed_scores, first_values
from .store import (
    IMPORTED_FROM,
    Manifest,
    check_writable,
    file_of,
    read_manifest,
    writing,
)
from .verifying import refuse_unsound, told_of


@dataclass(frozen=True)
class Added:
    """What `add` did.

    Attributes:
        manifest: of the benchmark that grew.
        runs: how many are new.
        scores: how many are new.
        alike: runs that both benchmarks held alike.
        differing: scores that both held and that differ: those of the one that grew stay.
    """

    manifest: Manifest
    runs: int
    scores: int
    alike: int
    differing: int


def add(folder: Path | str, other: Path | str) -> Added:
    """Add the runs, scores, images and observations of another benchmark; it can be repeated.

    Both must be of one protocol, one observation seed and the same images by their SHA-256; a run
    that both hold must be the same to the bit, unless only one of them succeeded. Of a score that
    both hold the value of `folder` stays: on other hardware its last bits are others.

    Args:
        folder: the benchmark that grows.
        other: the one that is read; it stays as it is.

    Raises:
        StoreError: if they do not go together, one holds runs that are not merged yet, or `other`
            is damaged; nothing is changed then.
    """
    folder, other = Path(folder), Path(other)
    read_manifest(folder)
    check_writable(folder)
    refuse_unsound(other, "added")
    for each in (folder, other):
        refuse_unmerged(each)
    with writing(folder, "give the same command again"), builder_lock(folder, COMMITTING):
        mine, theirs = Generation(folder), Generation(other)
        refuse_compact(folder, (mine, theirs))
        check_alike(mine, theirs)
        new, alike = _compare(mine, theirs)
        images = read_images(file_of(other, theirs.manifest, "images"))
        observations = StoredObservations(file_of(other, theirs.manifest, "images"))
        scores, added_scores, differing = _scores(folder, other)
        blank = replace(
            mine.manifest,
            tasks=tuple(dict.fromkeys([*mine.manifest.tasks, *theirs.manifest.tasks])),
            images={**mine.manifest.images, **theirs.manifest.images},
            environment=in_common([mine.manifest.environment, theirs.manifest.environment]),
            further=origins(mine.manifest, theirs.manifest),
        )
        manifest = mine.manifest
        if new:
            kept = read_images(file_of(folder, mine.manifest, "images"))
            manifest = merge(
                folder,
                blank,
                {**kept, **images}.values(),
                observations,
                others=[theirs],
                scores=scores if added_scores else None,
                pending=(),  # a training may have added some meanwhile, of other pictures
            )
        elif added_scores:
            manifest = commit_scores(folder, scores)
    return Added(manifest, new, added_scores, alike, differing)


def origins(*manifests: Manifest) -> dict[str, list[str]]:
    """What published files the runs of several benchmarks were imported from, if any were."""
    names = [name for each in manifests for name in each.further.get(IMPORTED_FROM, [])]
    return {IMPORTED_FROM: list(dict.fromkeys(names))} if names else {}


def check_alike(one: Generation, other: Generation) -> None:
    """See that the runs of two benchmarks can stand in one.

    Raises:
        StoreError: if they are of two protocols or observation seeds, have two contents of one
            image or two observations of it, or runs of one image and task with and without a seed.
    """
    mine, theirs = one.manifest, other.manifest
    differing = differing_settings(mine.protocol, theirs.protocol)
    if differing:
        raise StoreError(
            f"{other.folder} was trained under another protocol than {one.folder} "
            f"({', '.join(differing)}): keep the two apart"
        )
    if mine.observation_seed != theirs.observation_seed:
        raise StoreError(
            f"{other.folder} drew its observations with seed {theirs.observation_seed}, "
            f"{one.folder} with {mine.observation_seed}: keep the two apart"
        )
    shared = sorted(mine.images.keys() & theirs.images)
    _refuse(
        "images of one name with two contents",
        [name for name in shared if mine.images[name] != theirs.images[name]],
    )
    pairs = sorted(pairs_partly_seeded([key for each in (one, other) for key, _ in each.entries]))
    _refuse(
        "images with tasks whose runs have a seed in one benchmark alone (`dipbench agreement` "
        "compares them apart)",
        map(" ".join, pairs),
    )
    own = StoredObservations(file_of(one.folder, mine, "images"))
    others = StoredObservations(file_of(other.folder, theirs, "images"))
    _refuse("observations that differ", map(" ".join, differing_observations(own, others)))


def _compare(mine: Generation, theirs: Generation) -> tuple[int, int]:
    """How many of their runs are new and how many are alike."""
    held = dict(mine.entries)
    new, alike, conflicts = 0, 0, []
    for key, status in theirs.entries:
        if supersedes(status, held.get(key)):
            new += 1
        elif status in USABLE and run_sha256(mine.run(key)) != run_sha256(theirs.run(key)):
            conflicts.append(str(key))
        else:
            alike += status == held[key]
    _refuse("runs that both hold, and differ", conflicts)
    return new, alike


def _scores(folder: Path, other: Path) -> tuple[pa.Table, int, int]:
    """The scores of both, how many are new, how many differ; a value goes before a failure."""
    mine, theirs = committed_scores(folder), committed_scores(other)
    held = {_key(row): row["value"] for row in mine.to_pylist()}
    fresh, differing = [], 0
    for place, row in enumerate(theirs.to_pylist()):
        key, value = _key(row), row["value"]
        if key not in held or (held[key] is None and value is not None):
            fresh.append(place)
        else:
            differing += value not in (held[key], None)
    if not fresh:
        return mine, 0, differing
    rows = theirs.take(pa.array(fresh))
    both = first_values(pa.concat_tables([mine, rows], promote_options="default"))
    return both, len(fresh), differing


def _key(row: dict[str, object]) -> tuple[object, ...]:
    return tuple(row[name] for name in SCORE_KEYS)


def _refuse(what: str, names: Iterable[str]) -> None:
    for problem in told_of(what, list(names)):
        raise StoreError(f"{problem}; nothing was written")
