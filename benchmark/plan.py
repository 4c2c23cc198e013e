"""The plan of a benchmark: which runs it will hold, frozen before the first one starts."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..data import Image, Observation, parse_task
from ..errors import DipbenchError, StoreError, TaskError, listed_names
from ..evaluate.protocol import Protocol
from ..files import published
from ..genotypes.reference import check_fits
from ..seeds import checked_seed
from .choosing import model_text
from .joining import check_joins, differing_observations, refuse_imported
from .locking import PATIENCE_SECONDS, builder_lock
from .pictures import StoredObservations, read_images, write_pictures
from .schema import Pair, RunKey, row_order
from .store import command, find_manifest, writing

PLAN = "plan.json"
PLAN_PICTURES = "plan-images.h5"

MOST_SEED = 2**53
"""The largest run seed: up to here whole numbers are exact as float64, which queries go by."""

_KINDS: Mapping[str, Any] = {
    "name": str,
    "models": list,
    "images": dict,
    "tasks": list,
    "seeds": list,
    "protocol": dict,
    "observation_seed": int | None,
    "outputs": bool,
}


@dataclass(frozen=True)
class Plan:
    """All runs of a benchmark under construction.

    Attributes:
        name: the benchmark's name.
        models: text forms, without repeats.
        images: SHA-256 by image name.
        tasks: text forms.
        seeds: run seeds.
        protocol: resolved: precision and threads are those that every worker will use.
        observation_seed: of the draw of the observations; None where they come from elsewhere.
        outputs: whether smoothed outputs are kept.

    Raises:
        DipbenchError: if a seed is out of range.
    """

    name: str
    models: tuple[str, ...]
    images: Mapping[str, str]
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    protocol: Protocol
    observation_seed: int | None = 0
    outputs: bool = False

    def __post_init__(self) -> None:
        for seed in self.seeds:
            if not 0 <= seed <= MOST_SEED:
                raise DipbenchError(f"seed {seed} is out of range: choose 0 to {MOST_SEED}")

    @property
    def pairs(self) -> list[Pair]:
        """Its images with each of its tasks."""
        return [(image, task) for image in self.images for task in self.tasks]

    def run_keys(self) -> list[RunKey]:
        """Every run of the plan, in the order of a file's rows."""
        return sorted(
            (
                RunKey(model, image, task, seed)
                for image, task in self.pairs
                for model in self.models
                for seed in self.seeds
            ),
            key=row_order,
        )

    def to_record(self) -> dict[str, Any]:
        """Plain values for `plan.json`."""
        return {
            "name": self.name,
            "models": list(self.models),
            "images": dict(self.images),
            "tasks": list(self.tasks),
            "seeds": list(self.seeds),
            "protocol": self.protocol.to_record(),
            "observation_seed": self.observation_seed,
            "outputs": self.outputs,
        }


def make_plan(
    name: str,
    models: Iterable[str],
    images: Sequence[Image],
    tasks: Iterable[str],
    seeds: Iterable[int],
    protocol: Protocol,
    observation_seed: int | None = 0,
    outputs: bool = False,
) -> Plan:
    """A plan from what a user names; models and tasks are brought to their text forms.

    Raises:
        DipbenchError: if a model, task or seed is none, or if there is none of something.
    """
    named = [str(task).strip() for task in listed_names("tasks", tasks)]
    masked = [task for task in named if task.startswith("inpainting-mask")]
    if masked:
        raise TaskError(
            f"{masked[0]} is of one picture, whose mask a benchmark has no place for: "
            "give a task that any picture can have, such as inpainting-50 or inpainting-hole-25"
        )
    if observation_seed is not None:
        observation_seed = checked_seed(observation_seed, DipbenchError)
    plan = Plan(
        name=name,
        models=tuple(dict.fromkeys(model_text(model) for model in listed_names("models", models))),
        images={image.name: image.sha256 for image in images},
        tasks=tuple(dict.fromkeys(str(parse_task(task)) for task in named)),
        seeds=tuple(dict.fromkeys(checked_seed(seed, DipbenchError) for seed in seeds)),
        protocol=protocol,
        observation_seed=observation_seed,
        outputs=outputs,
    )
    for kind in ("models", "images", "tasks", "seeds"):
        if not getattr(plan, kind):
            raise DipbenchError(f"no {kind} given, so that there is nothing to train: name some")
    return plan


def check_fit(plan: Plan, images: Iterable[Image]) -> None:
    """See that every task can be had of every image, and that every model makes it.

    Raises:
        DipbenchError: if a task or a model does not fit an image.
    """
    for image in images:
        for task in plan.tasks:
            if plan.observation_seed is not None:
                parse_task(task).observe(image, plan.observation_seed)
            for model in plan.models:
                check_fits(model, task, image.shape)


def freeze_plan(
    folder: Path | str,
    plan: Plan,
    images: Sequence[Image],
    observations: Mapping[Pair, Observation] = MappingProxyType({}),
) -> None:
    """Publish the plan, or see that the one already there is the same.

    Args:
        folder: of the benchmark.
        plan: which runs it will hold.
        images: of the plan.
        observations: what to train on, by image and task, where the plan has no seed to draw it.

    Raises:
        DipbenchError: as `check_plan` and `check_fit`, or if the folder cannot be written.
    """
    folder = Path(folder)
    check_plan(folder, plan, observations)
    if (folder / PLAN).is_file():
        return
    check_fit(plan, images)
    with writing(folder), builder_lock(folder, "plan", PATIENCE_SECONDS):
        # Again: another builder may have frozen one meanwhile.
        check_plan(folder, plan, observations)
        if not (folder / PLAN).is_file():
            _write_plan(folder, plan, images, observations)


def _write_plan(
    folder: Path, plan: Plan, images: Sequence[Image], observations: Mapping[Pair, Observation]
) -> None:
    if plan.observation_seed is not None:
        observations = {
            (image.name, task): parse_task(task).observe(image, plan.observation_seed)
            for image in images
            for task in plan.tasks
        }
    else:
        observations = _planned(plan, observations)
    write_pictures(folder / PLAN_PICTURES, images, observations)
    with published(folder / PLAN) as temporary:
        temporary.write_text(json.dumps(plan.to_record(), indent=2) + "\n", encoding="utf-8")


def check_plan(
    folder: Path, plan: Plan, observations: Mapping[Pair, Observation] = MappingProxyType({})
) -> None:
    """See that a plan can be frozen in a folder, or is the one that is; nothing is written.

    Args:
        folder: of the benchmark; it need not be there.
        plan: which runs it will hold.
        observations: what to train on, where the plan has no seed to draw it.

    Raises:
        StoreError: if the folder holds another plan, or runs that the plan's cannot stand beside;
            the message names what differs. Or if observations are missing.
    """
    if (folder / PLAN).is_file():
        differing = _differences(read_plan(folder), plan)
        if differing:
            raise StoreError(
                f"{folder} was planned with other {', '.join(differing)}: resume it with "
                f"{command('train --out', folder)} alone, or choose another folder"
            )
        if plan.observation_seed is None and observations:
            frozen = planned_observations(folder)
            others = list(differing_observations(frozen, _planned(plan, observations)))
            if others:
                raise StoreError(
                    f"{folder} was planned with other observations of "
                    f"{', '.join(map(' '.join, others))}: choose another folder"
                )
    elif plan.observation_seed is None:
        observations = _planned(plan, observations)
    check_joins(folder, plan, observations)


def _planned(plan: Plan, observations: Mapping[Pair, Observation]) -> Mapping[Pair, Observation]:
    """Those of the plan's images and tasks."""
    missing = [" ".join(pair) for pair in plan.pairs if pair not in observations]
    if missing:
        held = ", ".join(" ".join(pair) for pair in observations) or "none"
        raise StoreError(
            f"there are no observations of {', '.join(missing)}: choose images and tasks with all "
            f"of theirs among {held}"
        )
    return {pair: observations[pair] for pair in plan.pairs}


def read_plan(folder: Path) -> Plan:
    """The plan of a benchmark under construction.

    Raises:
        StoreError: if there is none or it is damaged; the message says what the folder holds.
    """
    path = folder / PLAN
    if not path.is_file():
        raise StoreError(f"{folder} {_why_no_plan(folder)}")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        _check_kinds(record)
        return Plan(
            name=record["name"],
            models=tuple(record["models"]),
            images=record["images"],
            tasks=tuple(record["tasks"]),
            seeds=tuple(record["seeds"]),
            protocol=Protocol.from_record(record["protocol"]),
            observation_seed=record["observation_seed"],
            outputs=record["outputs"],
        )
    except (DipbenchError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(f"{path} is damaged ({error}): restore it from a copy") from error


def _why_no_plan(folder: Path) -> str:
    refuse_imported(folder)
    manifest = find_manifest(folder)
    if manifest and (manifest.stride is not None or manifest.is_imported):
        return (
            f"is complete: {command('info --store', folder)} tells what it holds; to train "
            "further runs, give another folder"
        )
    return (
        f"holds no plan to go by: {command('train --out', folder)} starts one with --images, "
        "--tasks and --models"
    )


def _check_kinds(record: Any) -> None:
    """See that a plan's record holds what its users expect."""
    for name, kind in _KINDS.items():
        if not isinstance(record[name], kind):
            raise TypeError(f"{name} is {record[name]!r:.40}")
    if not all(isinstance(text, str) for text in (*record["models"], *record["tasks"])):
        raise TypeError("models and tasks must be texts")
    if not all(isinstance(sha256, str) for sha256 in record["images"].values()):
        raise TypeError("images must have hashes")
    if not all(type(seed) is int for seed in record["seeds"]):
        raise TypeError("seeds must be whole numbers")


def planned_observations(folder: Path) -> StoredObservations:
    """What the runs of the plan in a folder are trained on."""
    return StoredObservations(folder / PLAN_PICTURES)


def read_planned_images(folder: Path, plan: Plan) -> dict[str, Image]:
    """The images of a plan by name.

    Raises:
        StoreError: if their file is damaged, or not of this plan.
    """
    path = folder / PLAN_PICTURES
    images = read_images(path)
    for name, sha256 in plan.images.items():
        if name not in images or images[name].sha256 != sha256:
            raise StoreError(
                f"{path} does not hold the image {name} of the plan: restore both from a copy"
            )
    return {name: images[name] for name in plan.images}


def _differences(one: Plan, other: Plan) -> list[str]:
    left, right = (_unordered(plan.to_record()) for plan in (one, other))
    return [name for name in left if left[name] != right[name]]


def _unordered(record: dict[str, Any]) -> dict[str, Any]:
    """Lists as sets: a plan's runs have an order of their own."""
    return {
        name: set(value) if isinstance(value, list) else value for name, value in record.items()
    }
