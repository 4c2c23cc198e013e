"""From the options of `train` to a plan, for the commands that freeze it or only look at it."""

from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import NamedTuple

import typer

from ..benchmark import load
from ..benchmark.choosing import parse_models
from ..benchmark.pictures import StoredObservations, read_images
from ..benchmark.plan import Plan, check_fit, check_plan, make_plan, read_plan, read_planned_images
from ..benchmark.schema import Pair
from ..benchmark.store import file_of
from ..data import Image, Observation, load_images
from ..errors import DipbenchError, unknown
from ..evaluate.protocol import Protocol, get_protocol
from . import options

PLANNED = (
    *("tasks", "models", "protocol", "size", "iterations", "seeds", "observation_seed"),
    *("outputs", "threads", "precision"),
)
"""The options of `train`, beside the images, that say what is planned."""
OF_THE_PROTOCOL = ("protocol", "size", "iterations", "observation_seed", "outputs", "precision")
"""Those by which runs differ that cannot stand in one benchmark."""


class Planned(NamedTuple):
    """A plan, its images, and their observations where they are another benchmark's."""

    plan: Plan
    pictures: list[Image]
    observations: Mapping[Pair, Observation]


def planned_before(train: typer.Context, out: Path) -> Planned:
    """The plan that is in a folder.

    Raises:
        DipbenchError: if there is none, or options are given that it would pass over.
    """
    plan = read_plan(out)
    given = options.given(train, PLANNED)
    if given:
        together = f" and bring the two together by `dipbench add {quote(str(out))} OTHER`"
        raise DipbenchError(
            f"{out} is planned already, and {', '.join(given)} would be passed over: leave that "
            "out to resume it, or train into another folder with --images"
            + together
            * (not options.given(train, OF_THE_PROTOCOL))
        )
    check_plan(out, plan)
    return Planned(plan, list(read_planned_images(out, plan).values()), {})


def plan_anew(train: typer.Context, out: Path, precision: str) -> Planned:
    """The plan that the options make.

    Args:
        train: the options as `train` was given them.
        out: the benchmark's folder, which is not touched.
        precision: `float32` or `bf16`.

    Raises:
        DipbenchError: if an option is unusable, does not go with another, or makes a plan that the
            folder or the images cannot have.
    """
    given = train.params
    if given["images_from"] is not None and options.given(train, ("observation_seed",)):
        raise DipbenchError(
            "--images-from takes the observations of a benchmark as they are: leave out "
            "--observation-seed"
        )
    protocol = _protocol(given["protocol"], given["size"], given["iterations"])
    protocol = protocol.replace(threads=given["threads"], precision=precision)
    pictures, observations = _pictures(given["images"], given["images_from"], protocol.size)
    plan = make_plan(
        out.resolve().name,
        parse_models(given["models"]),
        pictures,
        _items(given["tasks"]),
        _seeds(given["seeds"]),
        protocol,
        given["observation_seed"] if given["images_from"] is None else None,
        given["outputs"],
    )
    check_plan(out, plan, observations)
    check_fit(plan, pictures)
    return Planned(plan, pictures, observations)


def _protocol(name: str, size: int | None, iterations: int | None) -> Protocol:
    """The named protocol with the changes asked for, which then show in its name."""
    base = get_protocol(name)
    changed = base.replace(size=size) if size is not None else base
    changed = changed.with_iterations(iterations) if iterations is not None else changed
    return changed if changed == base else changed.replace(name=f"{name}-changed")


def _pictures(
    images: str | None, images_from: str | None, size: int | None
) -> tuple[list[Image], Mapping[Pair, Observation]]:
    if images_from is None:
        return load_images(images or "", size=size), {}
    bench = load(images_from)
    path = file_of(bench.folder, bench.manifest, "images")
    held = read_images(path)
    names = list(held) if images is None else _items(images)
    for name in names:
        if name not in held:
            raise DipbenchError(
                f"{unknown(f'image of {images_from}', name, held)}; with --images-from, --images "
                "chooses among the benchmark's own"
            )
    other = [name for name in names if size and set(held[name].shape[1:]) != {size}]
    if other:
        raise DipbenchError(
            f"--images-from takes the images of a benchmark as they are, and {other[0]} is not "
            f"{size}x{size}: choose a protocol of its size, or one without, such as isnas"
        )
    return [held[name] for name in dict.fromkeys(names)], StoredObservations(path)


def _items(text: str) -> list[str]:
    """What a list with commas names.

    >>> _items("denoising, sr-4,")
    ['denoising', 'sr-4']
    """
    return [item.strip() for item in text.split(",") if item.strip()]


def _seeds(text: str) -> list[int]:
    items = _items(text)
    if not items or not all(item.isdecimal() and len(item) < 1000 for item in items):
        raise DipbenchError(f"seeds {text!r:.60} are no whole numbers: write them like 0,1,2")
    return [int(item) for item in items]
