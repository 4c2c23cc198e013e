"""Runs kept between the sittings of a long build, in a few files that are small enough to commit.

They are parts as any, so that nothing of a run is lost: a build that takes them up again ends with
the content hash of one that was never interrupted. They lie by image, task and seed, so that what
has been shipped can be removed.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

from ..errors import ProtocolError, StoreError, one_line
from ..evaluate.protocol import PeakStop, Protocol
from ..files import published
from .building import recorded
from .cutting import cut
from .joining import check_joins, differing_settings
from .locking import PATIENCE_SECONDS, builder_lock
from .merging import Generation, Source, choose_sources, environment_of, load_runs
from .parts import in_common, list_parts, part_keys, readable_keys, write_part
from .plan import Plan, planned_observations, read_plan
from .schema import USABLE, Run, RunKey, furthest, row_order, supersedes
from .store import MANIFEST, PARTS, check_writable, writing

RECORD = "kept.json"
RUNS_PER_KEPT_PART = 128


def keep(folder: Path, kept: Path) -> int:
    """Keep the runs of a benchmark under construction that are not kept yet; it can be repeated.

    Failed runs are not kept: they are tried again.

    Args:
        folder: of the benchmark; it may be built meanwhile.
        kept: of the files; made where it is not there.

    Returns:
        How many runs were added.

    Raises:
        StoreError: if there is no plan, the benchmark or `kept` holds runs of another protocol,
            observation seed or image, or the benchmark is being merged.
    """
    plan = read_plan(folder)
    if plan.outputs:
        raise StoreError(f"{folder} keeps smoothed outputs, which are too large to be kept apart")
    check_joins(folder, plan, planned_observations(folder))
    check_writable(kept)
    with (
        writing(kept, "keep them again"),
        # Two benchmarks may be kept in one place, whose record is read and written again.
        builder_lock(kept, "keep", PATIENCE_SECONDS),
        builder_lock(folder, "keep"),
    ):
        record = matching_record(kept, plan.protocol, plan.observation_seed, plan.images)
        there = furthest(chain.from_iterable(_entries(kept).values()))
        # The parts come first: what is merged meanwhile is in the generation.
        # Damaged ones stay for `train` or `finish`, which say so.
        parts, _ = readable_keys(list_parts(folder / PARTS))
        generations = [Generation(folder)] if (folder / MANIFEST).is_file() else []
        sources = choose_sources(parts, generations)
        by_place: defaultdict[Path, list[RunKey]] = defaultdict(list)
        for key in sorted(sources, key=row_order):
            if there.get(key) not in USABLE:
                by_place[runs_of(kept, key.image, key.task, key.seed)].append(key)
        write_record(kept, record)
        protocol = plan.protocol
        return sum(_add(place, keys, sources, there, protocol) for place, keys in by_place.items())


def restore(kept: Path, folder: Path) -> int:
    """Give a planned benchmark those of the kept runs that it lacks; it can be repeated.

    Where the plan's protocol stops at the peak and that of the kept runs is the same without a
    stop rule, they are cut where it would have ended them. They may have had fewer iterations: of
    such runs those that the rule would not have ended are left out.

    Args:
        kept: what `keep` filled.
        folder: a benchmark whose plan is frozen.

    Returns:
        How many runs it was given.

    Raises:
        StoreError: if nothing is kept there, it is damaged, or of another protocol, observation
            seed or image than the plan, or the plan keeps outputs.
    """
    if not (kept / RECORD).is_file():
        raise StoreError(f"{kept} holds no kept runs: `keep` makes it")
    plan = read_plan(folder)
    if plan.outputs:
        raise StoreError(f"{folder} is to hold smoothed outputs, which kept runs do not have")
    ends = _cutting(kept, plan)
    if ends is None:
        matching_record(kept, plan.protocol, plan.observation_seed, plan.images)
    there, _ = recorded(folder, plan, readable_keys)
    sources = choose_sources(_entries(kept), [])
    wanted = [key for key in plan.run_keys() if key in sources and there.get(key) not in USABLE]
    with writing(folder):
        return _add(folder / PARTS, wanted, sources, there, plan.protocol, ends)


def runs_of(kept: Path, image: str, task: str, seed: int | None) -> Path:
    """Where the runs of an image, task and seed are kept."""
    return kept / image / task / f"seed-{seed}"


def _add(
    place: Path,
    keys: Sequence[RunKey],
    sources: Mapping[RunKey, Source],
    there: Mapping[RunKey, str],
    protocol: Protocol,
    change: Callable[[Run], Run | None] | None = None,
) -> int:
    """Write the runs that are worth it as parts of their own."""
    try:
        loaded = load_runs(keys, sources)
    except FileNotFoundError as error:
        raise StoreError("the benchmark was merged meanwhile: run it again") from error
    worth = [
        run
        for run in loaded
        if run.status != "failed" and supersedes(run.status, there.get(run.key))
    ]
    runs = worth if change is None else [new for run in worth if (new := change(run))]
    made: dict[str, Any] = {"protocol": protocol.to_record()}
    environments = [environment_of(source) for source in {sources[key] for key in keys}]
    known = [environment for environment in environments if environment is not None]
    if len(known) == len(environments) > 0:
        made["environment"] = in_common(known)
    for start in range(0, len(runs), RUNS_PER_KEPT_PART):
        write_part(place, runs[start : start + RUNS_PER_KEPT_PART], made)
    return len(runs)


def _entries(kept: Path) -> dict[Path, list[tuple[RunKey, str]]]:
    """Keys and statuses of what is kept, by part."""
    parts = sorted(kept.glob("*/*/seed-*/*.parquet"))
    return {part: part_keys(part) for part in parts}


def _cutting(kept: Path, plan: Plan) -> Callable[[Run], Run | None] | None:
    """How runs kept without the plan's stop rule become its own; None if they are not such runs.

    A run of fewer iterations that the rule would not have ended becomes none.
    """
    rule = plan.protocol.stop
    if not isinstance(rule, PeakStop):
        return None
    held = Protocol.from_record(_read_record(kept)["protocol"])
    whole = plan.protocol.replace(stop=None, iterations=held.iterations)
    counts = asdict(held.iterations).items()
    longer = any(count > plan.protocol.iterations_for(kind) for kind, count in counts)
    if longer or held.replace(name=whole.name) != whole:
        return None
    matching_record(kept, whole, plan.observation_seed, plan.images)
    as_long = held.iterations == plan.protocol.iterations

    def change(run: Run) -> Run | None:
        new = cut(run, rule)
        return new if as_long or new.status != "finished" else None

    return change


def matching_record(
    kept: Path, protocol: Protocol, observation_seed: int | None, images: Mapping[str, str]
) -> dict[str, Any]:
    """What all that is kept has in common with a benchmark, whose images are added.

    Args:
        kept: of the files.
        protocol: the benchmark's.
        observation_seed: the benchmark's.
        images: SHA-256 of its images by name.

    Raises:
        StoreError: if they differ in the protocol, the observation seed or an image's content.
    """
    own: dict[str, Any] = {
        "protocol": protocol.to_record(),
        "observation_seed": observation_seed,
        "images": dict(images),
    }
    if not (kept / RECORD).is_file():
        return own
    held = _read_record(kept)
    merged = {**own["images"], **held["images"]}
    names = differing_settings(own["protocol"], held["protocol"])
    differing = [f"protocol ({', '.join(names)})"] if names else []
    differing += ["observation_seed"] * (own["observation_seed"] != held["observation_seed"])
    differing += [f"image {name}" for name in own["images"] if own["images"][name] != merged[name]]
    if differing:
        raise StoreError(
            f"{kept} holds runs of another {', '.join(differing)}: choose another folder for these"
        )
    return {**own, "images": dict(sorted(merged.items()))}


def write_record(kept: Path, record: Mapping[str, Any]) -> None:
    """Say of what is kept what it has in common."""
    with published(kept / RECORD) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _read_record(kept: Path) -> dict[str, Any]:
    """The protocol, observation seed and images of kept runs."""
    try:
        held = json.loads((kept / RECORD).read_text(encoding="utf-8"))
        Protocol.from_record(held["protocol"])
        return {
            **held,
            "images": dict(held["images"]),
            "observation_seed": held["observation_seed"],
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ProtocolError) as error:
        raise StoreError(
            f"{kept / RECORD} is damaged ({one_line(error)}): restore it from a copy"
        ) from error
