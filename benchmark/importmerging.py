"""What an import found, committed: its runs, pictures, observations and scores as a generation."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..data import Image, Observation
from ..errors import StoreError
from ..evaluate.protocol import get_protocol
from .intake import HASHES, Intake
from .merging import merge
from .parts import list_parts, readable_keys
from .pictures import LazyObservations, committed_observations, read_images, read_observation
from .schema import Pair, RunKey
from .scorefiles import (
    SCORE_KEYS,
    SCORES_SCHEMA,
    commit_scores,
    committed_scores,
    first_values,
)
from .staging import Staging
from .store import (
    IMPORTED_FROM,
    MANIFEST,
    PARTS,
    Manifest,
    file_of,
    find_manifest,
    read_manifest,
    read_table,
)
from .training import environment

PROTOCOL = "isnas"

Committed = Mapping[RunKey, Mapping[str, str | None]]
"""The runs that a benchmark holds already, and their `HASHES`."""


@dataclass(frozen=True)
class _Found:
    """What was found for a benchmark, beside the parts that it was given.

    Attributes:
        folder: the benchmark's.
        staging: pictures, masks and observations.
        committed: the runs that the benchmark holds already.
        chosen: which observation is kept of each pair.
        facts: what is new of the `HASHES` of runs.
    """

    folder: Path
    staging: Staging
    committed: Committed
    chosen: Mapping[Pair, str]
    facts: Mapping[RunKey, Mapping[str, str]]


def commit_import(
    folder: Path, intake: Intake, staging: Staging, committed: Committed, sources: Sequence[str]
) -> None:
    """Make what was taken in a generation of the benchmark; its builder's lock is held.

    Args:
        folder: the benchmark, which holds the parts with the runs.
        intake: what was taken in.
        staging: its pictures, masks and observations.
        committed: the runs that the benchmark held before.
        sources: names of what was imported.

    Raises:
        StoreError: an observation is gone from the staging.
    """
    hashes, chosen = _observations(staging)
    found = _Found(folder, staging, committed, chosen, _facts(intake, committed, hashes))
    if _is_new(found):
        _merge(found, sources)
    if (folder / MANIFEST).is_file():
        _merge_scores(folder, intake)


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
        pair, held = key.pair, committed.get(key, {})
        found = (hashes.get((pair, intake.observed.get(key, ""))), intake.inputs.get(key))
        facts[key] = {
            name: value
            for name, value in zip(HASHES, found, strict=True)
            if value is not None and held.get(name) is None
        }
    return facts


def _is_new(found: _Found) -> bool:
    """Whether there are runs to commit, or pictures, observations or facts of those committed."""
    if list_parts(found.folder / PARTS):
        return True
    if not found.committed:
        return False
    pairs = {key.pair for key in found.committed}
    pictures = found.staging.image_names & {key.image for key in found.committed}
    return bool(
        pictures - set(read_manifest(found.folder).images)
        or (found.chosen.keys() & pairs) - committed_observations(found.folder).keys()
        or any(found.facts.get(key) for key in found.committed)
    )


def _merge(found: _Found, sources: Sequence[str]) -> None:
    folder, staging, chosen = found.folder, found.staging, found.chosen
    before = find_manifest(folder)
    by_part, _ = readable_keys(list_parts(folder / PARTS))
    keys = found.committed.keys() | {key for entries in by_part.values() for key, _ in entries}
    stored_in = file_of(folder, before, "images") if before else Path()
    held = read_images(stored_in) if before else {}
    stored = committed_observations(folder)
    fresh = sorted(staging.image_names & {key.image for key in keys} - set(held))
    makers: dict[Pair, Callable[[], Observation]] = {}
    for pair in sorted({key.pair for key in keys}):
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

    merge(folder, blank, images(), LazyObservations(makers), facts=found.facts)


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
