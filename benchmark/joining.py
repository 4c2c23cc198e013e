"""Seeing that a plan's runs can stand beside those that its folder holds, before any is trained."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from ..data import Observation
from ..errors import ProtocolError, StoreError
from ..evaluate.protocol import Protocol
from .parts import list_parts, part_observations, read_made, readable_keys, table_keys
from .pictures import committed_observations
from .schema import Pair, RunKey
from .store import (
    MANIFEST,
    PARTS,
    Manifest,
    find_manifest,
    orphaned,
    read_table,
)

if TYPE_CHECKING:
    from .plan import Plan


def check_joins(folder: Path, plan: "Plan", observations: Mapping[Pair, Observation]) -> None:
    """See that the benchmark in a folder, if there is one, can take in the runs of a plan.

    Args:
        folder: the plan's.
        plan: whose runs are to be trained or merged.
        observations: what they are trained on, once it is drawn or where it comes from elsewhere.

    Raises:
        StoreError: if the benchmark is compact, or of another protocol, observation seed, or
            content of an image or observation, or parts hold runs of another protocol or
            observation, or of an image and task that neither it nor the plan has; or if its runs
            of an image and task of the plan have no seed, or its `benchmark.json` is lost.
    """
    manifest = find_manifest(folder)
    _check_parts(folder, manifest, plan, observations)
    if manifest is None:
        refuse_orphans(folder)
        return
    if manifest.stride is not None:
        raise StoreError(
            f"{folder} is a compact benchmark, whose curves lack iterations: train into another "
            "folder, or go on with the benchmark that it was made from"
        )
    planned = set(plan.pairs)
    keys = table_keys(read_table(folder, manifest, "runs")) if manifest.is_imported else []
    if any(key.seed is None and key.pair in planned for key, _ in keys):
        raise StoreError(
            f"{folder} holds published runs, whose seed is not known, of what is to be trained: "
            "train into another folder (`dipbench agreement` compares the two)"
        )
    differing = list(_differences(folder, manifest, plan, observations))
    if differing:
        raise StoreError(
            f"{folder} holds runs of another {', '.join(differing)}: choose another folder for "
            "this plan"
        )


def pairs_partly_seeded(keys: Iterable[RunKey]) -> set[Pair]:
    """The images with tasks that have runs with a seed and runs without, which share none.

    >>> one = RunKey("dip", "camera", "denoising-25", None)
    >>> pairs_partly_seeded([one, one._replace(seed=0), one._replace(image="coins")])
    {('camera', 'denoising-25')}
    """
    seeded: dict[Pair, set[bool]] = {}
    for key in keys:
        seeded.setdefault(key.pair, set()).add(key.seed is None)
    return {pair for pair, kinds in seeded.items() if len(kinds) > 1}


def refuse_orphans(folder: Path) -> None:
    """See that no file of runs has lost its `benchmark.json`: the next merging would remove it.

    One that a killed merging left holds nothing that the parts do not hold too.

    Raises:
        StoreError: if one holds other runs.
    """
    orphan = orphaned(folder)
    if orphan is None:
        return
    by_part, _ = readable_keys(list_parts(folder / PARTS))
    held = {key for keys in by_part.values() for key, _ in keys}
    try:
        lost = any(key not in held for key, _ in table_keys(pq.read_table(orphan.absolute())))
    except (pa.ArrowException, OSError, KeyError):
        lost = True  # whatever it held
    if lost and orphaned(folder):  # else another process has committed it meanwhile
        raise StoreError(
            f"{folder} holds {orphan.name} without its {MANIFEST}: restore that from a copy; or "
            f"move {orphan.name} away, to make its runs again"
        )


def refuse_imported(folder: Path) -> None:
    """See that no part of a folder without a plan is of an import, which alone can end it.

    Raises:
        StoreError: if one is.
    """
    if any(read_made(part).get("imported") for part in list_parts(folder / PARTS)):
        raise _of_an_import(folder)


def _of_an_import(folder: Path) -> StoreError:
    return StoreError(
        f"{folder} holds published runs of an import that did not end: give `dipbench import` its "
        "sources again, or train into another folder"
    )


def _check_parts(
    folder: Path,
    manifest: Manifest | None,
    plan: "Plan",
    observations: Mapping[Pair, Observation],
) -> None:
    """See that the parts, whose plan may have been lost, are of this one."""
    protocol = plan.protocol.to_record()
    planned = set(plan.pairs)
    committed = cache(lambda: committed_observations(folder))
    expected: dict[Pair, str] = {}
    for part in list_parts(folder / PARTS):
        made = read_made(part)
        if made.get("imported"):
            raise _of_an_import(folder)
        names = differing_settings(made.get("protocol", protocol), protocol)
        if names:
            raise StoreError(
                f"{part} holds runs of another protocol ({', '.join(names)}): choose another "
                "folder for this plan, or move them away"
            )
        for image, task, sha256 in part_observations(part):
            pair = image, task
            known = observations if pair in planned else committed()
            if pair not in planned and pair not in known:
                raise StoreError(
                    f"{part} holds runs of {image}, {task}, which this plan lacks: plan them too, "
                    "without the plan.json that may be there, or move the part away"
                )
            if pair in known and pair not in expected:
                expected[pair] = known[pair].sha256
            if sha256 is not None and expected.get(pair, sha256) != sha256:
                raise StoreError(
                    f"{part} holds runs on another observation of {image}, {task}: choose another "
                    "folder for this plan, or move them away"
                )


def _differences(
    folder: Path, manifest: Manifest, plan: "Plan", observations: Mapping[Pair, Observation]
) -> Iterator[str]:
    names = differing_settings(manifest.protocol, plan.protocol.to_record())
    if names:
        yield f"protocol ({', '.join(names)})"
    if manifest.observation_seed != plan.observation_seed:
        yield f"observation seed ({manifest.observation_seed} and not {plan.observation_seed})"
    for name, sha256 in plan.images.items():
        if manifest.images.get(name, sha256) != sha256:
            yield f"image {name}"
    if plan.observation_seed is None:
        for pair in differing_observations(committed_observations(folder), observations):
            yield f"observation {' '.join(pair)}"


def differing_settings(one: Mapping[str, object], other: Mapping[str, object]) -> list[str]:
    """Names of the settings in which two recorded protocols differ.

    The name is none, nor is a setting that only a newer version knows.

    >>> differing_settings({"name": "a", "size": 64, "stop": None}, {"name": "b", "size": 512})
    ['size']
    """
    one, other = _as_known(one), _as_known(other)
    names = sorted({*one, *other} - {"name"})
    return [name for name in names if one.get(name) != other.get(name)]


def differing_observations(
    held: Mapping[Pair, Observation], others: Mapping[Pair, Observation]
) -> Iterator[Pair]:
    """The pairs of which both have an observation, and not the same."""
    return (pair for pair, other in others.items() if pair in held and held[pair] != other)


def _as_known(record: Mapping[str, object]) -> Mapping[str, object]:
    """A recorded protocol as this version records it; as it is if it is unusable."""
    try:
        return Protocol.from_record(record).to_record()
    except ProtocolError:
        return record
