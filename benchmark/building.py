"""Building a benchmark: what remains of its plan is trained, and what is there is merged."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from math import gcd
from pathlib import Path
from typing import Any

from ..errors import StoreError
from .executors import Executor, Unit
from .joining import check_joins, refuse_orphans
from .locking import COMMITTING, PATIENCE_SECONDS, builder_lock, living_shards
from .merging import merge
from .parts import Keys, finished_keys, list_parts, readable_keys, table_keys
from .plan import Plan, planned_observations, read_plan, read_planned_images
from .schema import RunKey, furthest, row_order
from .store import (
    BEACON,
    MANIFEST,
    PARTS,
    Manifest,
    check_writable,
    file_of,
    find_manifest,
    read_manifest,
    read_table,
    remove_leftovers,
    writing,
)
from .training import environment


@dataclass(frozen=True)
class Progress:
    """How far a build is: runs done, failed and planned, and the damaged parts set aside."""

    planned: int
    done: int
    failed: int
    damaged: tuple[Path, ...] = ()

    @property
    def remaining(self) -> int:
        """Runs that have no record yet."""
        return self.planned - self.done - self.failed


@dataclass(frozen=True)
class Shard:
    """Shard `index` of `count`: every count-th run of the plan, from the index-th on (from 1).

    >>> Shard.parse("2/3").takes(list(range(7)))
    [1, 4]
    """

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read `i/n`.

        Raises:
            StoreError: if it is not of that form with 1 <= i <= n.
        """
        index, _, count = text.partition("/")
        if index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count):
            return cls(int(index), int(count))
        raise StoreError(f"{text!r} is no shard: write i/n with i from 1 to n, such as 2/8")

    def takes(self, items: list[Any]) -> list[Any]:
        """This shard's items: disjoint from other shards', and together complete."""
        return items[self.index - 1 :: self.count]

    def overlaps(self, other: "Shard") -> bool:
        """Whether a plan can have a run that both take.

        >>> Shard(1, 2).overlaps(Shard(2, 4)), Shard(1, 2).overlaps(Shard(3, 4))
        (False, True)
        """
        return (self.index - other.index) % gcd(self.count, other.count) == 0

    def __str__(self) -> str:
        return f"{self.index}of{self.count}"


WHOLE = Shard()
"""All runs of a plan."""


def recorded(
    folder: Path, plan: Plan, keys_of: Callable[[list[Path]], Keys] = finished_keys
) -> tuple[dict[RunKey, str], list[Path]]:
    """Status by key of the plan's runs that are on disk, and damaged parts, which are set aside.

    With `readable_keys` these stay where they are.
    """
    by_part, damaged = keys_of(list_parts(folder / PARTS))
    manifest = find_manifest(folder)
    committed = table_keys(read_table(folder, manifest, "runs")) if manifest else []
    statuses = furthest(chain(committed, *by_part.values()))
    planned = set(plan.run_keys())
    return {key: status for key, status in statuses.items() if key in planned}, damaged


def remaining(
    plan: Plan, shard: Shard, statuses: Mapping[RunKey, str], retry_failed: bool
) -> list[RunKey]:
    """The runs that a shard has left to make.

    Args:
        plan: what is built.
        shard: which share of its runs.
        statuses: of the runs that are on disk, see `recorded`.
        retry_failed: whether those recorded as failed are made again.
    """
    made = {key for key, status in statuses.items() if status != "failed" or not retry_failed}
    return [key for key in shard.takes(plan.run_keys()) if key not in made]


def build(
    folder: Path | str,
    executor: Executor,
    *,
    shard: Shard = WHOLE,
    retry_failed: bool = False,
    on_start: Callable[[Progress], None] = lambda progress: None,
    on_run: Callable[[RunKey, str], None] = lambda key, status: None,
) -> Manifest | None:
    """Train what remains of a frozen plan, then merge it.

    Args:
        folder: a benchmark whose plan is frozen (`freeze_plan`).
        executor: what trains the units.
        shard: which share of the runs this builder takes.
        retry_failed: take up runs recorded as failed, too.
        on_start: told how far the build is before it goes on.
        on_run: told of each run that has reached the disk.

    Returns:
        The manifest of the merged benchmark; None for a shard, which leaves merging to `finish`.

    Raises:
        StoreError: if there is no plan, its runs cannot stand beside those that are there, another
            builder is at work, or the disk is full.
    """
    folder = Path(folder)
    plan = read_plan(folder)
    read_planned_images(folder, plan)
    check_joins(folder, plan, planned_observations(folder))
    check_writable(folder)
    with writing(folder), _sole_builder(folder, shard):
        remove_leftovers(folder)
        if shard.count == 1:  # else another shard's builder may need its own
            for beacon in folder.glob(f"{BEACON}*"):
                beacon.unlink(missing_ok=True)
        statuses, damaged = recorded(folder, plan)
        left = remaining(plan, shard, statuses, retry_failed)
        own = shard.takes(plan.run_keys())
        there = Counter(statuses[key] == "failed" for key in set(own) - set(left))
        on_start(Progress(len(own), there[False], there[True], tuple(damaged)))
        for outcome in executor.run(folder, plan, _units(left)):
            for key, status in outcome:
                on_run(key, status)
        if shard.count == 1:
            return finish(folder, PATIENCE_SECONDS)
    return None


@contextmanager
def _sole_builder(folder: Path, shard: Shard) -> Iterator[None]:
    """Hold the lock of a shard, of whose runs no other builder has any.

    Raises:
        StoreError: if another builder has.
    """
    with ExitStack() as held:
        with builder_lock(folder, "shards", PATIENCE_SECONDS):
            for other in living_shards(folder):
                if shard.overlaps(Shard.parse(other.replace("of", "/"))) and other != str(shard):
                    raise StoreError(
                        f"{folder}: shard {other.replace('of', '/')} is being built, which has "
                        f"runs of {shard.index}/{shard.count} too: wait for it, end it first, or "
                        "give --shard with its number of shards"
                    )
            held.enter_context(builder_lock(folder, str(shard)))
        yield


def read_progress(folder: Path | str) -> Progress:
    """How far the benchmark of a plan is, seen from outside."""
    folder = Path(folder)
    plan = read_plan(folder)
    statuses, damaged = recorded(folder, plan, readable_keys)
    failed = sum(status == "failed" for status in statuses.values())
    return Progress(len(plan.run_keys()), len(statuses) - failed, failed, tuple(damaged))


def finish(folder: Path | str, patience: float = 0.0) -> Manifest:
    """Merge the parts that are there into a new generation; it can be repeated at any time.

    Args:
        folder: the benchmark.
        patience: seconds to wait for another process that merges or commits scores.

    Raises:
        StoreError: if there is nothing to merge, or what cannot stand beside the runs that are
            there, another process merges, or the disk is full.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise StoreError(f"nothing to finish at {folder}: there is no such folder")
    refuse_orphans(folder)
    if not list_parts(folder / PARTS) and not (folder / MANIFEST).is_file():
        raise StoreError(f"{folder} holds no finished runs yet: run `dipbench train` first")
    with writing(folder), builder_lock(folder, COMMITTING, patience):
        remove_leftovers(folder)
        if not list_parts(folder / PARTS):
            manifest = read_manifest(folder)
            for role in manifest.files:
                file_of(folder, manifest, role)
            return manifest
        plan = read_plan(folder)
        images = read_planned_images(folder, plan)
        check_joins(folder, plan, planned_observations(folder))
        return merge(
            folder,
            Manifest(
                name=plan.name,
                generation=0,
                protocol=plan.protocol.to_record(),
                tasks=plan.tasks,
                images=plan.images,
                observation_seed=plan.observation_seed,
                environment=environment(),
                content_sha256="",
                files={},
            ),
            images.values(),
            planned_observations(folder),
        )


def _units(keys: Iterable[RunKey]) -> list[Unit]:
    return [Unit((key,)) for key in sorted(keys, key=row_order)]
